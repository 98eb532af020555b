"""The systems whose documents ask for Docker, on a real engine: each is green, and each of its alerts arrives."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standins.rehearse import Ground

import apps
from e2e.drills import LOWERED, MEMORY, drilled, not_shown
from e2e.environments import FAST_FORWARD, Environment

pytestmark = pytest.mark.e2e

SYSTEMS = ("lmmc", "graphmemory", "boss-workflow", "tdd-project")


@pytest.fixture(scope="module")
def environments(scratch: Path, there: Ground) -> Iterator[dict[str, Environment]]:
    """All of them on one engine, up at the same time."""
    with ExitStack() as around:
        made = {name: Environment(name, scratch, variables=tuple(there.variables.items())) for name in SYSTEMS}
        for name, environment in made.items():
            settings = there.settings({}) | ({"override": {MEMORY: LOWERED}} if name == "tdd-project" else {})
            settings["docker"]["publish"] += ["loki", *(["graphmemory-bridge"] if name == "graphmemory" else [])]
            environment.hasten(fast_forward=FAST_FORWARD, **settings)
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
    heard = {alert["name"] for group in environments["graphmemory"].get(8001, "/groups") for alert in group["alerts"]}
    # While it is stopped it hears nothing.
    assert heard >= apps.profile("graphmemory").drills.keys() - {"GraphMemoryAlertBridgeDown"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_empty_by_nature_has_shown_the_faults_of_the_drills(
    environments: dict[str, Environment], name: str
) -> None:
    assert not_shown(environments[name]) == []
