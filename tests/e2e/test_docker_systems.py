"""The systems whose documents ask for Docker, on a real engine: each is green, and each of its alerts arrives."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standins.rehearse import Ground

from e2e.environments import FAST_FORWARD, Environment
from e2e.test_drills import LOWERED, MEMORY, drilled

pytestmark = pytest.mark.e2e

SYSTEMS = ("lmmc", "graphmemory", "boss-workflow", "tdd-project")


@pytest.fixture(scope="module")
def environments(scratch: Path, there: Ground) -> Iterator[dict[str, Environment]]:
    """All of them on one engine, up at the same time."""
    with ExitStack() as around:
        made = {name: Environment(name, scratch, variables=tuple(there.variables.items())) for name in SYSTEMS}
        for name, environment in made.items():
            lowered = {"override": {MEMORY: LOWERED}} if name == "tdd-project" else {}
            environment.hasten(fast_forward=FAST_FORWARD, **lowered, **there.settings({}))
            around.callback(_end, environment)
            environment.up()
        yield made


def _end(environment: Environment) -> None:
    environment.down()
    assert environment.watchstack("audit")["left"] == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_its_selftest_is_green(environments: dict[str, Environment], name: str) -> None:
    answer = environments[name].watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_second_up_changes_nothing(environments: dict[str, Environment], name: str) -> None:
    assert "unchanged" in environments[name].up("--expect-no-changes")


def test_every_alert_is_raised_delivered_and_resolved(environments: dict[str, Environment]) -> None:
    assert drilled(environments).keys() == {*SYSTEMS}
