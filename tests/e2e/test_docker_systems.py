"""The systems whose documents ask for Docker, on a real engine: each is green, and each of its alerts arrives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from standins.rehearse import Ground

import apps
from e2e.environments import FAST_FORWARD, Environment
from e2e.test_drills import AT_ONCE, ELSEWHERE, LOWERED, MEMORY

pytestmark = pytest.mark.e2e

# Those with the most alerts first.
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
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(SYSTEMS, pool.map(lambda name: _drilled(environments[name]), SYSTEMS), strict=True))
    for name, answer in answers.items():
        drills = {drill["alert"].partition("/")[2]: drill for drill in answer["drills"]}
        assert {alert: drill["problem"] for alert, drill in drills.items() if not drill["passed"]} == {}
        assert (answer["problem"], answer["passed"]) == ("", True)
        assert set(drills) == set(apps.profile(name).drills)
        assert [alert for alert, drill in drills.items() if drill["inhibited"]] == []
        elsewhere = {one["name"] for drill in drills.values() for one in drill["channels"] if not one["captured"]}
        assert elsewhere == ELSEWHERE.get(name, set())


def _drilled(environment: Environment) -> Any:
    return environment.watchstack("drill", "--timeout", "120", check=False)
