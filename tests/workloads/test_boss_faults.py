"""Every fault moves the metric that its alert watches, and ends."""

import random
import time
from collections.abc import Callable, Iterator

import pytest
from asgi_client import Client, opened

from workloads.boss_workflow import FAULTS, BossWorkflow
from workloads.faults import Fault, Faults

TASK = {"title": "Review the budget", "assignee": "ana", "priority": "high"}
ROUNDS = 20


@pytest.fixture(name="boss")
def _boss() -> Iterator[Client]:
    """Waits are a hundredth of what they simulate."""
    with opened(BossWorkflow(1, pace=0.01, keep=0, limit=1000).app) as client:
        client.post("/api/db/tasks", TASK)
        yield client


def _switch(boss: Client, fault: str, value: float) -> None:
    answer = boss.post("/_sim/fault", {"fault": fault, "value": value})
    assert answer.status_code == 200
    assert answer.json()["value"] == value


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_http_errors_answer_500_for_that_share(boss: Client) -> None:
    _switch(boss, "http_errors", 0.5)
    statuses = [boss.get("/api/db/tasks").status_code for _ in range(ROUNDS)]
    assert 0 < statuses.count(500) < ROUNDS
    assert boss.value("http_requests_total", endpoint="/api/db/tasks", status="500") == statuses.count(500)
    assert boss.value("errors_total", type="api", severity="error") == statuses.count(500)
    assert boss.get("/health").status_code == 200


def test_http_latency_is_in_the_histogram(boss: Client) -> None:
    _switch(boss, "http_latency", 3)
    boss.get("/api/db/tasks")
    labels = {"method": "GET", "endpoint": "/api/db/tasks"}
    assert boss.value("http_request_duration_seconds_sum", **labels) >= 0.03
    assert boss.value("http_request_duration_seconds_bucket", le="0.025", **labels) == 0


def test_db_pool_hold_shows_as_overflow_and_lets_go(boss: Client) -> None:
    _switch(boss, "db_pool_hold", 11)
    assert _until(lambda: boss.value("db_pool_connections", state="overflow") == 6)
    assert boss.value("db_pool_connections", state="checked_out") == 11
    assert boss.get("/health/db").json()["pool"] == _pool(boss)
    assert boss.get("/api/db/tasks").status_code == 200
    _switch(boss, "db_pool_hold", 0)
    assert _until(lambda: boss.value("db_pool_connections", state="checked_out") == 0)
    assert boss.value("db_pool_connections", state="overflow") == 0
    assert boss.get("/health/db").json()["pool"] == _pool(boss)


def _pool(boss: Client) -> dict[str, float]:
    states = ("size", "checked_in", "checked_out", "overflow")
    return {state: boss.value("db_pool_connections", state=state) for state in states}


def test_db_latency_is_in_the_query_histogram(boss: Client) -> None:
    _switch(boss, "db_latency", 2)
    boss.get("/api/db/audit/TASK-1")
    assert boss.value("db_query_duration_seconds_sum", operation="get_audit") >= 0.02
    assert boss.value("db_query_duration_seconds_bucket", operation="get_audit", le="0.01") == 0


def test_ai_errors_count_as_failures_and_answers_fall_back(boss: Client) -> None:
    _switch(boss, "ai_errors", 1)
    answer = boss.post("/api/ai/summary", {"text": "two words"})
    assert (answer.status_code, answer.json()["source"]) == (200, "fallback")
    assert boss.value("ai_requests_total", operation="summary", status="failure") == 1
    assert boss.value("ai_requests_total", status="success") == 0
    assert boss.value("ai_request_duration_seconds_count", operation="summary") == 1
    assert boss.value("errors_total", type="ai", severity="warning") == 1


def test_discord_errors_count_as_failures_and_tasks_are_created(boss: Client) -> None:
    _switch(boss, "discord_errors", 1)
    assert boss.post("/api/db/tasks", TASK).status_code == 201
    assert boss.value("discord_messages_sent_total", channel="tasks", status="failure") == 1


def test_cache_miss_brings_the_hit_rate_below_half(boss: Client) -> None:
    _switch(boss, "cache_miss", 0.8)
    for _ in range(ROUNDS):
        assert boss.get("/api/db/tasks/TASK-1").status_code == 200
    assert boss.value("cache_operations_total", result="hit") < ROUNDS / 2
    assert boss.value("cache_operations_total", result="miss") > ROUNDS / 2


def test_redis_down_counts_errors_and_requests_are_still_answered() -> None:
    # A scrape that reads the health again would itself ask Redis.
    with opened(BossWorkflow(1, pace=0, keep=3600).app) as boss:
        boss.post("/api/db/tasks", TASK)
        assert boss.value("boss_health_check_status", check="redis") == 1
        _switch(boss, "redis_down", 1)
        assert boss.get("/api/db/tasks/TASK-1").status_code == 200
        # The rate limiter, the lookup and the store each failed.
        assert boss.value("redis_connection_errors_total") == 3
        assert boss.value("cache_operations_total", operation="get_task", result="error") == 1


def test_redis_down_degrades_the_health(boss: Client) -> None:
    _switch(boss, "redis_down", 1)
    health = boss.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["redis"]["message"] == "Redis does not answer (ping)"
    assert boss.value("boss_health_check_status", check="redis") == 0
    assert boss.value("boss_health_check_status", check="database") == 1


def test_pool_without_a_free_connection_answers_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.boss_workflow.app.CHECK_TIMEOUT", 0.1)
    with opened(BossWorkflow(1, pace=0, keep=0).app) as boss:
        _switch(boss, "db_pool_hold", 25)
        assert _until(lambda: boss.value("db_pool_connections", state="checked_out") == 25)
        health = boss.get("/health/db")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["pool"]["overflow"] == 20
        assert boss.value("boss_health_check_status", check="database") == 0


def test_all_faults_are_told_with_what_they_accept(boss: Client) -> None:
    _switch(boss, "db_latency", 2)
    told = {fault["fault"]: fault for fault in boss.get("/_sim/faults").json()}
    assert sorted(told) == sorted(fault.name for fault in FAULTS)
    assert told["db_latency"]["value"] == 2
    assert told["db_pool_hold"]["accepted"] == [0, 25]
    assert [name for name, fault in told.items() if fault["value"]] == ["db_latency"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"fault": "http_error", "value": 1},
            "fault 'http_error' is not known; accepted are http_errors (0 to 1)",
        ),
        ({"fault": ["http_errors"], "value": 1}, "is not known"),
        ({"fault": "http_errors", "value": 1.5}, "value 1.5 is not accepted; give a number from 0 to 1"),
        ({"fault": "http_errors", "value": -0.1}, "give a number from 0 to 1"),
        ({"fault": "http_errors", "value": True}, "value True is not accepted"),
        ({"fault": "http_errors", "value": "1"}, "value '1' is not accepted"),
        ({"fault": "http_errors"}, "value None is not accepted"),
        ({"fault": "http_errors", "value": 1, "seconds": -1}, "seconds -1 is not accepted"),
        ({"fault": "http_errors", "value": 1, "second": 1}, "'second' is not accepted; the keys are"),
        ([1], "the body is a JSON list; an object is accepted"),
    ],
)
def test_bad_fault_is_refused_with_what_is_accepted(boss: Client, body: object, error: str) -> None:
    answer = boss.post("/_sim/fault", body)
    assert answer.status_code == 422
    assert error in answer.json()["error"]
    assert not any(fault["value"] for fault in boss.get("/_sim/faults").json())


@pytest.mark.parametrize("body", ["{", "NaN", '{"value": 1e999}', '"\\ud800"', "[" * 100_000, ""])
def test_body_that_is_not_json_is_refused(boss: Client, body: str) -> None:
    answer = boss.request("POST", "/_sim/fault", content=body)
    assert answer.status_code in (413, 422)
    assert answer.json()["error"].startswith("the body is ")


def test_fault_ends_when_its_time_is_over() -> None:
    now = 100.0
    faults = Faults([Fault("slow", "seconds added", 10)], random.Random(1), lambda: now)
    faults.switch("slow", 3, seconds=60)
    assert faults.value("slow") == 3
    now = 159.9
    assert faults.value("slow") == 3
    now = 160.0
    assert faults.value("slow") == 0
