"""The loader, run by this machine's shell: what it makes of a bundle, and of what was there before."""

import os
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stacks.targets import containers

Load = Callable[[str, Mapping[str, str]], None]
OWN = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def run(volume: str, files: Mapping[str, str]) -> None:
        (tmp_path / volume).mkdir(exist_ok=True)
        (tmp_path / volume / ".bundle").write_text(
            containers.bundle(volume, {f"{volume}/{path}": text for path, text in files.items()})
        )
        _run(tmp_path)

    return run


def _run(directory: Path) -> None:
    line = ["/bin/sh", "-c", containers.script("loader.sh"), "loader", OWN]
    subprocess.run(line, cwd=directory, check=True)


def _there(volume: Path) -> dict[str, str]:
    """The files of a volume by their paths in it, but for the loader's own mark."""
    files = {str(path.relative_to(volume)): path for path in volume.rglob("*") if path.is_file()}
    assert files.pop(".loaded").read_bytes() == b""
    return {path: file.read_bytes().decode() for path, file in files.items()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "no line break at its end",
        "one\n\ntwo\n",
        "Grüße, 監視\n",
        "==> 3 0123abcd etc/other\nlike a line before a file\n",
        "back\\slash and  spaces  \t\n",
        "a line of many bytes\n" * 10_000,
    ],
)
def test_every_file_is_there_byte_for_byte(tmp_path: Path, load: Load, text: str) -> None:
    files = {"first.yml": text, "rules/a pack/v1/alerts.yml": "groups: []\n", "rules/last.yml": text}
    load("etc", files)
    assert _there(tmp_path / "etc") == files


def test_what_is_no_longer_wanted_goes_and_an_emptied_directory_with_it(tmp_path: Path, load: Load) -> None:
    load("etc", {"rules/old/alerts.yml": "old", "stays.yml": "before"})
    load("etc", {"stays.yml": "after"})
    assert _there(tmp_path / "etc") == {"stays.yml": "after"}
    assert [path.name for path in (tmp_path / "etc").iterdir() if path.is_dir()] == []


def test_what_a_loader_that_was_killed_left_is_not_taken_for_a_file(tmp_path: Path, load: Load) -> None:
    (tmp_path / "etc" / ".new").mkdir(parents=True)
    (tmp_path / "etc" / ".new" / "left.yml").write_text("half of")
    load("etc", {"whole.yml": "whole"})
    assert _there(tmp_path / "etc") == {"whole.yml": "whole"}


@pytest.mark.parametrize(("volume", "mode"), [("etc", 0o644), ("secrets", 0o400)])
def test_secrets_are_for_the_service_alone(tmp_path: Path, load: Load, volume: str, mode: int) -> None:
    load(volume, {"below/file": "text"})
    assert stat.S_IMODE((tmp_path / volume / "below" / "file").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / volume / "below").stat().st_mode) & 0o055 == 0o055


def test_a_bundle_that_ends_early_is_told_and_nothing_of_it_is_taken(tmp_path: Path, load: Load) -> None:
    load("etc", {"one.yml": "before", "two.yml": "before"})
    (tmp_path / "etc" / ".bundle").write_text(
        containers.bundle("etc", {"etc/one.yml": "after"}) + "==> 100 0123abcd two.yml\nhalf"
    )
    with pytest.raises(subprocess.CalledProcessError):
        _run(tmp_path)
    assert (tmp_path / "etc" / "one.yml").read_text() == "before"


def test_an_edit_changes_the_line_before_its_file() -> None:
    before, after = (
        containers.bundle("etc", {"etc/a.yml": "x > 0\n", "etc/b.yml": limit}) for limit in ("y > 0\n", "y > 1\n")
    )
    changed = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [line.split()[-1] for line in changed] == ["b.yml", "1"]
