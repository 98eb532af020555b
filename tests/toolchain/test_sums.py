import json
from pathlib import Path

import pytest

from toolchain import sums
from toolchain.programs import MANIFEST, Installed


@pytest.fixture
def greeter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """A product of one program, as an install leaves it."""
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path / "cache"))
    program = tmp_path / "bin" / "greeter"
    program.parent.mkdir()
    program.write_text("hello")
    (tmp_path / MANIFEST).write_text(json.dumps({"sha256": {"greeter": sums.read(program)}}))
    return Installed("greeter", "1.0", "build", tmp_path, {"greeter": program})


def test_a_program_that_is_what_was_installed(greeter: Installed) -> None:
    assert sums.altered(greeter) == []
    assert sums.altered(greeter) == []


def test_a_program_that_was_altered_is_named_though_it_was_looked_at_before(greeter: Installed) -> None:
    assert sums.altered(greeter) == []
    greeter.programs["greeter"].write_text("hallo")
    assert sums.altered(greeter) == ["greeter"]


def test_what_was_installed_before_sums_were_kept_is_not_judged(greeter: Installed) -> None:
    (greeter.directory / MANIFEST).write_text("{}")
    greeter.programs["greeter"].write_text("hallo")
    assert sums.altered(greeter) == []
