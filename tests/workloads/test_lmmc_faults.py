"""Every fault moves the metric that its alert watches, and nothing beside it."""

from collections.abc import Iterator

import pytest
from exposition import differences
from lmmc_opened import TASK, Opened, lmmc_opened

from workloads.lmmc import ai
from workloads.lmmc.server import FAULTS

ROUNDS = 20


@pytest.fixture(name="lmmc")
def _lmmc() -> Iterator[Opened]:
    with lmmc_opened() as lmmc:
        yield lmmc


def test_http_errors_answer_500_for_that_share(lmmc: Opened) -> None:
    lmmc.switch("http_errors", 0.5)
    statuses = [lmmc.client.get("/api/v1/tasks").status_code for _ in range(ROUNDS)]
    assert 0 < statuses.count(500) < ROUNDS
    assert lmmc.client.value("lmmc_http_requests_total", endpoint="/api/v1/tasks", status="500") == statuses.count(500)
    assert lmmc.client.get("/health").status_code == 200


def test_ai_latency_is_above_30_seconds_in_the_histogram_and_no_request_waits_for_it() -> None:
    with lmmc_opened(pace=0.01) as lmmc:
        seconds = lmmc.client.value("lmmc_ai_response_seconds_sum")
        lmmc.switch("ai_latency", 40)
        assert lmmc.ask() == 202
        # Waits are a hundredth of what they simulate.
        assert lmmc.client.value("lmmc_ai_response_seconds_sum") - seconds > 0.4
        assert lmmc.client.value("lmmc_http_duration_seconds_sum", endpoint="/api/v1/ai/{operation}") < 0.4


def test_30_seconds_is_an_edge_of_the_ai_histogram(lmmc: Opened) -> None:
    assert 'lmmc_ai_response_seconds_bucket{le="30.0"' in lmmc.client.get("/metrics").text


def test_ai_calls_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ai, "IN_FLIGHT", 2)
    with lmmc_opened(pace=1) as lmmc:
        lmmc.switch("ai_latency", 40)
        asked = [lmmc.client.post("/api/v1/ai/suggest", {"task_id": "TASK-1"}).status_code for _ in range(3)]
        assert asked == [202, 202, 429]


def test_confidence_lies_around_the_value_of_the_fault(lmmc: Opened) -> None:
    lmmc.switch("confidence", 0.4)
    for _ in range(ROUNDS):
        lmmc.client.post("/api/v1/patterns", {"repository": "web"})
    below, count = (
        lmmc.client.value("lmmc_pattern_confidence_bucket", le="0.6"),
        lmmc.client.value("lmmc_pattern_confidence_count"),
    )
    assert below / count > 0.9
    assert 0.3 < lmmc.client.value("lmmc_pattern_confidence_sum") / count < 0.5


def test_qdrant_errors_are_counted_and_answers_are_poorer_but_no_errors(lmmc: Opened) -> None:
    lmmc.switch("qdrant_errors", 1)
    task_id = lmmc.client.post("/api/v1/tasks", TASK).json()["task_id"]
    found = lmmc.client.post("/api/v1/search", {"text": "the budget"})
    assert (found.status_code, found.json()["source"]) == (200, "text")
    assert [task["task_id"] for task in found.json()["tasks"]] == [task_id]
    assert lmmc.client.post("/api/v1/patterns", {"repository": "web"}).json()["patterns"]
    assert lmmc.client.patch(f"/api/v1/tasks/{task_id}", {"status": "cancelled"}).status_code == 200
    assert lmmc.client.value("lmmc_qdrant_operations_total", operation="upsert", status="error") == 1
    assert lmmc.client.value("lmmc_qdrant_operations_total", operation="search", status="error") == 3
    assert lmmc.client.value("lmmc_qdrant_operations_total", operation="delete", status="error") == 1
    assert lmmc.client.value("lmmc_qdrant_operations_total", status="success") == 0
    assert lmmc.client.value("lmmc_http_requests_total", status="500") == 0


def test_store_errors_leave_the_tasks_out_and_the_rest_of_the_scrape_in(lmmc: Opened) -> None:
    assert lmmc.client.value("lmmc_task_collector_error") == 0
    lmmc.switch("store_errors", 1)
    lmmc.client.get("/api/v1/tasks")
    text = lmmc.client.get("/metrics").text
    assert "lmmc_task_collector_error 1.0" in text
    assert "lmmc_task_age_days{" not in text
    assert "lmmc_active_tasks{" not in text
    assert lmmc.client.value("lmmc_http_requests_total", endpoint="/api/v1/tasks", status="200") == 1
    health = lmmc.client.get("/health").json()
    assert health["checks"]["task_store"]["message"].startswith("the task store does not answer")
    assert lmmc.client.value("lmmc_health_check_status", check="task_store") == 0
    lmmc.switch("store_errors", 0)
    assert lmmc.client.value("lmmc_task_collector_error") == 0
    assert differences("lmmc", "lmmc-server", lmmc.client.get("/metrics").text) == []


def test_stopped_qdrant_makes_only_its_own_check_unhealthy(lmmc: Opened) -> None:
    lmmc.wire.cut = True
    health = lmmc.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    checks = health.json()["checks"]
    assert "connection refused" in checks["qdrant"]["message"]
    assert [name for name, check in checks.items() if check["status"] != "healthy"] == ["qdrant"]
    assert lmmc.client.value("lmmc_health_check_status", check="qdrant") == 0
    assert lmmc.client.value("lmmc_health_check_status") == 2
    assert lmmc.client.get("/health/live").status_code == 200
    lmmc.client.post("/api/v1/tasks", TASK)
    assert lmmc.client.value("lmmc_qdrant_operations_total", status="error") == 2
    lmmc.wire.cut = False
    assert lmmc.client.get("/health").status_code == 200


def test_slow_ai_makes_the_server_degraded_and_not_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.lmmc.server.AI_TIMEOUT", 0.05)
    with lmmc_opened(pace=0.01) as lmmc:
        lmmc.switch("ai_latency", 40)
        health = lmmc.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["checks"]["ai"]["message"]


def test_all_faults_are_told_with_what_they_accept(lmmc: Opened) -> None:
    lmmc.switch("qdrant_errors", 0.5)
    told = {fault["fault"]: fault for fault in lmmc.client.get("/_sim/faults").json()}
    assert sorted(told) == sorted(fault.name for fault in FAULTS)
    assert [name for name, fault in told.items() if fault["value"]] == ["qdrant_errors"]
