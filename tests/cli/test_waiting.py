"""What is waited for is shown on a terminal, and nowhere else."""

import io

import pytest
from rich.console import Console

from cli import common


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_wait_is_shown_to_people(monkeypatch: pytest.MonkeyPatch, terminal: bool, quiet: bool, shown: bool) -> None:
    said = io.StringIO()
    monkeypatch.setattr(common, "console", Console(file=said, force_terminal=terminal))
    with common.waiting("asking everybody", quiet=quiet):
        pass
    assert ("asking everybody" in said.getvalue()) == shown
