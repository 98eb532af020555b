"""One scratch clone a run, and edits of its files that a test takes back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.environments import clone


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = clone(tmp_path_factory.mktemp("e2e"))
    profile = copy / "apps" / "boss-workflow.yaml"
    text = profile.read_text()
    assert "group_interval: 5m" in text
    profile.write_text(text.replace("group_interval: 5m", "group_interval: 5s"))
    return copy


@pytest.fixture
def edit(scratch: Path) -> Iterator[Callable[[str, str, str], None]]:
    """Replace a piece of a file in the clone; afterwards the file is what it was."""
    before: dict[Path, str] = {}

    def replace(path: str, old: str, new: str) -> None:
        file = scratch / path
        before.setdefault(file, file.read_text())
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    yield replace
    for file, text in before.items():
        file.write_text(text)
