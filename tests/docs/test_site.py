"""The site is built without a warning, has every page, and asks nobody for anything."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from docs.site import diagram, expanded

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NAV = expanded(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"], DOCS)


class _Loads(HTMLParser):
    """What a browser loads of a page by itself. Links that a reader may follow are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a" and (loaded := given.get("src") or given.get("href")):
            self.found.append(loaded)


def _pages(nav: object) -> list[str]:
    if isinstance(nav, dict):
        nav = [*nav.values()]
    return [page for entry in nav for page in _pages(entry)] if isinstance(nav, list) else [str(nav)]


def _built(out: Path, source: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=source, env=quiet, capture_output=True, text=True, check=False, timeout=120)


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(_pages(NAV)) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_a_directory_in_the_navigation_is_its_pages(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.md", "a.md", "a.py"):
        (tmp_path / "deep" / name).touch()
    assert expanded([{"Deep": "deep/"}, "x.md"], tmp_path) == [{"Deep": ["deep/a.md", "deep/b.md"]}, "x.md"]


def test_a_diagram_is_drawn_where_the_site_is_built() -> None:
    drawn = diagram("flowchart LR\n  settings --> plan\n")
    assert "<svg" in drawn
    assert ">settings<" in drawn
    assert "flowchart LR" not in drawn


@pytest.mark.timeout(180)
def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = _built(tmp_path)
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == len(_pages(NAV)) + 1  # and one for what is not found
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text())
        assert [loaded for loaded in loads.found if re.match(r"(https?:)?//", loaded)] == []
        assert 'class="mermaid"' not in page.read_text()  # the theme would fetch the program that draws it
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".py", ".pyc")]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Start\n\n[gone](gone.md)\n", "gone.md"),
        ("# Start\n\n[here](index.md#nowhere)\n", "nowhere"),
    ],
)
def test_a_broken_link_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(text)
    for name in ("site.py", "site.css"):
        shutil.copy(DOCS / name, tmp_path / "docs")
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({**settings, "nav": ["index.md"]}))
    built = _built(tmp_path / "site", tmp_path)
    assert built.returncode == 1
    assert said in built.stderr
