"""Every alert of every system, from its fault to its receivers and back, by the verbs that a person would use."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import seen

import apps
import dashboards
from apps import Profile
from dashboards import PanelQuery
from e2e.environments import FAST_FORWARD, Environment, eventually

pytestmark = pytest.mark.e2e

# Told by a service of the system: the capture receiver does not see it.
ELSEWHERE = {
    "graphmemory": {"graphmemory-bridge (webhook)"},
    "tdd-project": {"web-hook (webhook)"},
}
# So many environments are drilled at a time: mostly they wait.
AT_ONCE = 3
# The memory of the host cannot be used up for a test: the threshold is lowered below it in its place.
MEMORY = "tdd-project/MemoryUsageHigh"
LOWERED = {"threshold": 0.5, "because": "the drill of a host with memory to spare", "seen": seen(MEMORY)}


@pytest.fixture(scope="module")
def environments(scratch: Path) -> Iterator[dict[str, Environment]]:
    """All of them, up at the same time."""
    with ExitStack() as around:
        made = {name: Environment(name, scratch, ("target=local",)) for name in apps.names()}
        for name, environment in made.items():
            environment.hasten(
                fast_forward=FAST_FORWARD, **({"override": {MEMORY: LOWERED}} if name == "tdd-project" else {})
            )
            around.callback(environment.end)
            environment.up()
        yield made


@pytest.fixture(params=apps.names())
def running(request: pytest.FixtureRequest, environments: dict[str, Environment]) -> Environment:
    return environments[request.param]


def test_every_alert_of_every_system_is_raised_delivered_and_resolved(environments: dict[str, Environment]) -> None:
    answers = drilled(environments)
    assert list(answers["tdd-project"]["not_drilled"]) == [MEMORY]
    assert _heard_by_the_bridge(environments["graphmemory"]) >= (
        # While it is stopped it hears nothing.
        apps.profile("graphmemory").drills.keys() - {"GraphMemoryAlertBridgeDown"}
    )


def drilled(environments: Mapping[str, Environment]) -> dict[str, Any]:
    """The drills of environments by system, each of whose alerts was raised, delivered and resolved."""
    # Those with the most alerts first.
    order = sorted(environments, key=lambda name: -len(apps.profile(name).drills))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(order, pool.map(lambda name: _drilled(environments[name]), order), strict=True))
    for name, answer in answers.items():
        drills = {drill["alert"].partition("/")[2]: drill for drill in answer["drills"]}
        assert {alert: drill["problem"] for alert, drill in drills.items() if not drill["passed"]} == {}
        assert (answer["problem"], answer["passed"]) == ("", True)
        assert set(drills) == set(apps.profile(name).drills)
        # None is silent, and each is seen where it arrives, but for those that a service of the system takes.
        assert [alert for alert, drill in drills.items() if drill["inhibited"]] == []
        elsewhere = {one["name"] for drill in drills.values() for one in drill["channels"] if not one["captured"]}
        assert elsewhere == ELSEWHERE.get(name, set())
    return answers


def _drilled(environment: Environment) -> Any:
    return environment.watchstack("drill", "--timeout", "120", check=False)


def _heard_by_the_bridge(environment: Environment) -> set[str]:
    return {alert["name"] for group in environment.get(8001, "/groups") for alert in group["alerts"]}


def test_what_is_empty_by_nature_has_shown_the_faults_of_the_drills(running: Environment) -> None:
    asked = [
        query for name in _boards(apps.profile(running.name)) for query in dashboards.queries(dashboards.build(name))
    ]
    faulty = [query for query in asked if "nothing is logged" in (query.empty_when or "") or _fires(query)]
    assert faulty
    assert [f"{query.dashboard}: {query.panel}" for query in faulty if not _has_shown(running, query)] == []


def _boards(profile: Profile) -> list[str]:
    return [*profile.dashboards, "start", "alertmanager", "logs-explorer"]


def _fires(query: PanelQuery) -> bool:
    return (query.empty_when or "").endswith("fires")


def _has_shown(running: Environment, query: PanelQuery) -> bool:
    """Whether the panel showed anything in the last half hour, in which the drills were."""
    expr = dashboards.runnable(query.expr, step_seconds=2, range_seconds=1800)
    if query.datasource == "loki":
        start = str(time.time_ns() - 1800 * 10**9)
        return bool(running.get(3100, "/loki/api/v1/query_range", query=expr, start=start)["data"]["result"])
    span = {"start": str(time.time() - 1800), "end": str(time.time()), "step": "2"}
    return bool(running.get(9090, "/api/v1/query_range", query=expr, **span)["data"]["result"])


def test_the_alert_of_the_hosts_memory_is_mailed_and_ends_with_its_threshold(
    environments: dict[str, Environment],
) -> None:
    environment = environments["tdd-project"]
    for attempt in eventually(60):
        with attempt:
            assert _mailed(environment, "tdd-project/host warning firing")
    environment.hasten(fast_forward=FAST_FORWARD)
    environment.up()
    for attempt in eventually(60):
        with attempt:
            assert _mailed(environment, "tdd-project/host warning resolved")


def _mailed(environment: Environment, text: str) -> list[Any]:
    found: list[Any] = environment.get(9099, "/notifications", path="/email", contains=f"MemoryUsageHigh {text}")
    return found


@pytest.mark.parametrize(
    ("name", "alert", "told"),
    [
        ("boss-workflow", "HighErrorRate", {("discord-critical", "discord")}),
        (
            "phase5",
            "AuditLogFailures",
            {("phase5-agents", "slack"), ("phase5-critical", "slack"), ("phase5-critical", "email")},
        ),
        ("tdd-project", "StreamlitDown", {("web-hook", "webhook"), ("web-hook", "email")}),
    ],
)
def test_a_test_notification_goes_where_the_alert_would(
    environments: dict[str, Environment], name: str, alert: str, told: set[tuple[str, str]]
) -> None:
    environment = environments[name]
    answer = environment.watchstack("fire", alert, check=False)
    assert (answer["problem"], answer["passed"]) == ("", True)
    assert {(one["receiver"], one["integration"]) for one in answer["receivers"]} == told
    assert environment.get(9099, "/notifications", contains="TEST: ")
    held = environment.get(9093, "/api/v2/alerts", filter='watchstack_drill!=""')
    assert held == []
