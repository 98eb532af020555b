"""Every alert of a system, from its fault to its receivers and back, by the verbs that a person would use.

The systems whose documents ask for Docker are drilled there, Phase 5 in a cluster, and one on the local target.
"""

import time
from collections.abc import Mapping
from typing import Any

import httpx
from conftest import seen

import apps
import dashboards
from apps import Profile
from dashboards import PanelQuery
from e2e.environments import Environment

# Told by a service of the system: the capture receiver does not see it.
ELSEWHERE = {
    "graphmemory": {"graphmemory-bridge (webhook)"},
    "tdd-project": {"web-hook (webhook)"},
}
# The memory of the host cannot be used up for a test: the threshold is lowered below it in its place.
MEMORY = "tdd-project/MemoryUsageHigh"
LOWERED = {"threshold": 0.5, "because": "the drill of a host with memory to spare", "seen": seen(MEMORY)}


def drilled(environment: Environment) -> Any:
    """The drills of a system, each of whose alerts was raised, delivered and resolved."""
    answer = environment.watchstack("drill", "--timeout", "120", check=False)
    drills = {drill["alert"].partition("/")[2]: drill for drill in answer["drills"]}
    assert {alert: drill["problem"] for alert, drill in drills.items() if not drill["passed"]} == {}
    assert (answer["problem"], answer["passed"]) == ("", True)
    assert set(drills) == set(apps.profile(environment.name).drills)
    # None is silent, and each is seen where it arrives, but for those that a service of the system takes.
    assert [alert for alert, drill in drills.items() if drill["inhibited"]] == []
    elsewhere = {one["name"] for drill in drills.values() for one in drill["channels"] if not one["captured"]}
    assert elsewhere == ELSEWHERE.get(environment.name, set())
    return answer


def not_shown(drilled: Environment) -> list[str]:
    """Panels that are empty without a fault, and showed none of those of the drills in the last half hour."""
    boards = _boards(apps.profile(drilled.name))
    asked = [query for name in boards for query in dashboards.queries(dashboards.build(name))]
    faulty = [query for query in asked if "nothing is logged" in (query.empty_when or "") or _fires(query)]
    assert faulty
    urls = drilled.urls()
    return [f"{query.dashboard}: {query.panel}" for query in faulty if not _has_shown(urls, query)]


def _boards(profile: Profile) -> list[str]:
    return [*profile.dashboards, "start", "alertmanager", "logs-explorer"]


def _fires(query: PanelQuery) -> bool:
    return (query.empty_when or "").endswith("fires")


def _has_shown(urls: Mapping[str, str], query: PanelQuery) -> bool:
    now = time.time()
    expr = dashboards.runnable(query.expr, step_seconds=2, range_seconds=1800)
    span = {"query": expr, "start": str(now - 1800), "end": str(now)}
    if query.datasource == "loki":
        found = httpx.get(f"{urls['loki']}/loki/api/v1/query_range", params=span, trust_env=False)
    else:
        found = httpx.get(f"{urls['prometheus']}/api/v1/query_range", params={**span, "step": "2"}, trust_env=False)
    return bool(found.raise_for_status().json()["data"]["result"])
