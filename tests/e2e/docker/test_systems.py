"""The systems whose documents ask for Docker, on a real engine: each is green, and each of its alerts arrives."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from standins.rehearse import Ground

import apps
from e2e.drills import LOWERED, MEMORY, drilled, not_shown
from e2e.environments import CONTAINED, FAST_FORWARD, Environment

pytestmark = pytest.mark.e2e

SYSTEMS = ("lmmc", "graphmemory", "boss-workflow", "tdd-project")


@pytest.fixture(scope="module", params=SYSTEMS)
def running(request: pytest.FixtureRequest, scratch: Path, there: Ground) -> Iterator[Environment]:
    """One after the other."""
    environment = Environment(request.param, scratch, variables=tuple(there.variables.items()))
    # Not those of the same system on the local target, which may be up at this time.
    settings = {**there.settings({}), "port_offset": CONTAINED["systems"]}
    if environment.name == "tdd-project":
        settings["override"] = {MEMORY: LOWERED}
    environment.hasten(fast_forward=FAST_FORWARD, **settings)
    with environment.running():
        yield environment
    assert environment.watchstack("audit")["left"] == []


def test_its_selftest_is_green(running: Environment) -> None:
    answer = running.watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_a_second_up_changes_nothing(running: Environment) -> None:
    assert "unchanged" in running.up("--expect-no-changes")


def test_every_alert_is_raised_delivered_and_resolved(running: Environment) -> None:
    drilled(running)
    assert not_shown(running) == []
    if running.name == "graphmemory":
        groups = httpx.get(f"{running.urls()['graphmemory-bridge']}/groups", trust_env=False).raise_for_status().json()
        heard = {alert["name"] for group in groups for alert in group["alerts"]}
        # While it is stopped it hears nothing.
        assert heard >= apps.profile("graphmemory").drills.keys() - {"GraphMemoryAlertBridgeDown"}
