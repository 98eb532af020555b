"""The catalogues have what the running programs expose: names, types and labels, of the version that runs."""

import shutil
from pathlib import Path

import pytest

import catalogue
from catalogue import observe
from cli.common import make_plan
from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e


# What shows only after an event may be new here. Of another version there would be many more.
FEW = 5


def test_observing_a_running_environment_adds_nothing_but_what_events_bring(one: Environment, tmp_path: Path) -> None:
    one.up()
    for attempt in eventually(60):
        with attempt:
            assert one.watchstack("selftest", "--timeout", "120", check=False)["passed"]
    for path in catalogue.DIRECTORY.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    made = make_plan("one", stack_file=one.clone / "stacks" / "env" / "Pulumi.one.yaml")
    observe.observe(made, tmp_path)
    added = {path.stem: _lines(path) - _lines(catalogue.DIRECTORY / path.name) for path in tmp_path.iterdir()}
    assert {name: sorted(lines) for name, lines in added.items() if len(lines) > FEW} == {}, (
        "read it into the catalogues with `python -m catalogue.observe -e ENV`"
    )


def _lines(path: Path) -> set[str]:
    return set(path.read_text().splitlines())
