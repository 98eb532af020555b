"""The systems whose documents ask for Docker, on a real engine: each is green, and each of its alerts arrives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.rehearse import Ground

import apps
from e2e.environments import FAST_FORWARD, Environment
from e2e.test_drills import ELSEWHERE, LOWERED, MEMORY

pytestmark = pytest.mark.e2e

SYSTEMS = ("boss-workflow", "graphmemory", "lmmc", "tdd-project")


@pytest.fixture(scope="module", params=SYSTEMS)
def running(request: pytest.FixtureRequest, scratch: Path, there: Ground) -> Iterator[Environment]:
    """One after the other: to make five times as many containers at once would take as long."""
    environment = Environment(request.param, scratch, variables=tuple(there.variables.items()))
    lowered = {"override": {MEMORY: LOWERED}} if environment.name == "tdd-project" else {}
    environment.hasten(fast_forward=FAST_FORWARD, **lowered, **there.settings({}))
    try:
        environment.up()
        yield environment
    finally:
        environment.down()
    assert environment.watchstack("audit")["left"] == []


def test_its_selftest_is_green(running: Environment) -> None:
    answer = running.watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_a_second_up_changes_nothing(running: Environment) -> None:
    assert "unchanged" in running.up("--expect-no-changes")


def test_every_alert_is_raised_delivered_and_resolved(running: Environment) -> None:
    answer = running.watchstack("drill", "--timeout", "120", check=False)
    drills = {drill["alert"].partition("/")[2]: drill for drill in answer["drills"]}
    assert {alert: drill["problem"] for alert, drill in drills.items() if not drill["passed"]} == {}
    assert (answer["problem"], answer["passed"]) == ("", True)
    assert set(drills) == set(apps.profile(running.name).drills)
    assert [alert for alert, drill in drills.items() if drill["inhibited"]] == []
    elsewhere = {one["name"] for drill in drills.values() for one in drill["channels"] if not one["captured"]}
    assert elsewhere == ELSEWHERE.get(running.name, set())
