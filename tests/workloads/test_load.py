"""The load generator keeps its rate, and its choices follow the seed."""

import itertools
import random

import httpx
import pytest
from asgi_client import opened

from workloads.boss_workflow import BossWorkflow
from workloads.boss_workflow.traffic import BossTraffic
from workloads.load import Call, Load


def _calls(seed: int) -> list[Call]:
    traffic, rng = BossTraffic(20), random.Random(seed)
    return [traffic(rng) for _ in range(500)]


def _told(calls: list[Call]) -> list[tuple[str, str, object, object]]:
    return [(call.method, call.path, call.json, call.headers) for call in calls]


def test_same_seed_same_traffic() -> None:
    assert _told(_calls(1)) == _told(_calls(1))
    assert _told(_calls(1)) != _told(_calls(2))


def test_traffic_moves_every_counter() -> None:
    """All but the failures, which are the faults' business."""
    traffic, rng = BossTraffic(20), random.Random(1)
    with opened(BossWorkflow(1, pace=0, limit=40).app) as boss:
        for _ in range(600):
            call = traffic(rng)
            answer = boss.request(call.method, call.path, json=call.json, headers=call.headers)
            if call.answered:
                call.answered(answer)
        for metric in (
            "tasks_created_total",
            "tasks_completed_total",
            "ai_requests_total",
            "cache_operations_total",
            "discord_messages_sent_total",
            "rate_limit_violations_total",
        ):
            assert boss.value(metric) > 0, metric
        for status in ("pending", "in_progress", "completed"):
            assert boss.value("tasks_by_status", status=status) > 0, status
        for endpoint in ("/health", "/health/db", "unmatched", "/api/db/audit/{task_id}"):
            assert boss.value("http_requests_total", endpoint=endpoint) > 0, endpoint
        hits = boss.value("cache_operations_total", result="hit")
        assert hits / (hits + boss.value("cache_operations_total", result="miss")) > 0.7
        assert boss.value("http_requests_total", status="409") == 0
        assert boss.value("http_requests_total", status="422") == 0


def test_rate_is_set_and_told_over_http() -> None:
    load = Load(BossTraffic(20), 20, seed=1)
    with opened(BossWorkflow(1, pace=0, routes=load.routes()).app) as boss:
        assert boss.post("/_sim/rate", {"per_second": 5}).json()["per_second"] == 5
        assert boss.get("/_sim/rate").json() == {"per_second": 5, "sent": 0, "skipped": 0, "in_flight": 0}
        refused = boss.post("/_sim/rate", {"per_second": 501})
        assert refused.status_code == 422
        assert "give a number from 0 to 500" in refused.json()["error"]
        assert boss.get("/_sim/rate").json()["per_second"] == 5


@pytest.mark.parametrize(
    ("status", "next_statuses"), [(200, {"in_review", "completed"}), (429, {"in_progress", "cancelled"})]
)
def test_task_is_moved_on_only_when_the_answer_says_so(status: int, next_statuses: set[str]) -> None:
    traffic, rng = BossTraffic(20), random.Random(1)
    ids = (f"TASK-{number}" for number in itertools.count(1))
    moves: list[object] = []
    while len(moves) < 2:
        call = traffic(rng)
        code = status if call.path == "/api/db/tasks/TASK-1" and not moves else 200
        if call.method == "PATCH" and call.path == "/api/db/tasks/TASK-1":
            moves.append((call.json or {})["status"])
        if call.answered:
            call.answered(httpx.Response(code, json={"task_id": next(ids)}))
    assert moves[0] == "in_progress"
    assert moves[1] in next_statuses
