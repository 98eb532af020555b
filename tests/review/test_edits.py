"""A history of edits: of each, `diff` says exactly what is written beside it, and nothing of what changes nothing."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from review import compare, revisions, text
from review.facts import Facts

ROOT = Path(__file__).parents[2]
EDITS = sorted((Path(__file__).parent / "edits").glob("*.yaml"))
# What a revision's facts are made of.
_TREE = ("apps", "catalogue", "dashboards", "instrument", "review", "rules", "stacks", "toolchain", "workloads")


def _git(root: Path, *arguments: str) -> str:
    own = ("git", "-C", root, "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run((*own, *arguments), check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit: this tree as it is."""
    root = tmp_path_factory.mktemp("history")
    for name in _TREE:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "go"))
    shutil.copy(ROOT / "requirements.txt", root)
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "as it is")
    return root


@pytest.fixture(scope="module")
def before(history: Path) -> Facts:
    return revisions.of_base("main", [], history)[1]


@pytest.mark.parametrize("file", EDITS, ids=lambda file: file.stem)
def test_diff_says_exactly_what_an_edit_does(file: Path, history: Path, before: Facts) -> None:
    edit = yaml.safe_load(file.read_text())
    _git(history, "checkout", "-q", "--detach", "main")
    for step in edit["edit"]:
        _apply(history, step)
    _git(history, "add", "-A")
    _git(history, "commit", "-q", "-m", file.stem)
    wanted = edit["environments"]
    _, after = revisions.of_base("HEAD", wanted, history)
    old = {name: facts for name, facts in before["environments"].items() if not wanted or name in wanted}
    found = compare.environments(old, after["environments"])
    said = text.markdown("base", found, {})
    assert list(_said(said)) == edit["says"].splitlines()
    assert text.touches_production(found) == edit.get("production", [])


def _apply(root: Path, step: dict[str, Any]) -> None:
    """Replace, append, cut, write or remove, as the step says."""
    path = root / step["file"]
    if "remove" in step:
        path.unlink()
    elif "write" in step:
        path.write_text(step["write"])
    elif "append" in step:
        path.write_text(path.read_text() + step["append"])
    elif "cut_from" in step:
        start, end = (path.read_text().index(step[key]) for key in ("cut_from", "cut_to"))
        path.write_text(path.read_text()[:start] + path.read_text()[end:])
    else:
        assert path.read_text().count(step["old"]) >= 1, f"{step['old']!r} is not in {step['file']}"
        path.write_text(path.read_text().replace(step["old"], step["new"], 1))


def _said(markdown: str) -> Iterator[str]:
    """The verdict, the rows of environments, the headings and the changes. Digests of content stand for themselves."""
    for line in markdown.splitlines():
        if line.startswith(("**", "| `", "#### ", "- ")):
            yield re.sub(r"`[0-9a-f]{8}`", "`DIGEST`", line.removesuffix(" Compared with `base`."))
