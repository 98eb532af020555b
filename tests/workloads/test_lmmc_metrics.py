"""What LMMC exposes is what its catalogue declares, and it counts what was done."""

import random
from collections.abc import Iterator

import httpx
import pytest
from asgi_client import opened
from exposition import differences
from lmmc_opened import TASK, Opened, lmmc_opened
from prometheus_client.parser import text_string_to_metric_families

from workloads.lmmc.qdrant import Qdrant
from workloads.lmmc.store import BACKLOG
from workloads.lmmc.traffic import Traffic

DAY = 24 * 3600


@pytest.fixture(name="lmmc")
def _lmmc() -> Iterator[Opened]:
    with lmmc_opened() as lmmc:
        yield lmmc


def _drive(lmmc: Opened, count: int) -> None:
    traffic, rng = Traffic(), random.Random(1)
    for _ in range(count):
        call = traffic(rng)
        answer = lmmc.client.request(call.method, call.path, json=call.json)
        if call.answered:
            call.answered(answer)
    lmmc.client.run(lmmc.lmmc.ai.settle)


def test_exposition_is_that_of_the_catalogue(lmmc: Opened) -> None:
    assert differences("lmmc", "lmmc-server", lmmc.client.get("/metrics").text) == []


def test_traffic_of_all_kinds_adds_no_label_value(lmmc: Opened) -> None:
    _drive(lmmc, 300)
    for path in ("/x/y", "/api/v1/tasks/", "/health/ready", "/api/v1/tasks/TASK-1/more"):
        lmmc.client.get(path)
    lmmc.client.post("/api/v1/tasks", TASK | {"repository": "somebody's own"})
    lmmc.client.request("BREW", "/pot")
    assert differences("lmmc", "lmmc-server", lmmc.client.get("/metrics").text) == []
    assert lmmc.client.value("instrument_faults_total") == 0


def test_traffic_moves_every_counter_of_success(lmmc: Opened) -> None:
    _drive(lmmc, 800)
    moved = {
        family.name
        for family in text_string_to_metric_families(lmmc.client.get("/metrics").text)
        for sample in family.samples
        if sample.value
    }
    quiet = {"instrument_faults", "lmmc_task_collector_error", "lmmc_websocket_connections_active"}
    declared = {family.name for family in text_string_to_metric_families(lmmc.client.get("/metrics").text)}
    assert declared - moved == quiet | {"lmmc_websocket_messages", "lmmc_http_requests_in_flight"}
    for status in ("409", "422", "429", "500", "503"):
        assert lmmc.client.value("lmmc_http_requests_total", status=status) == 0, status


def test_scripted_requests_count_exactly(lmmc: Opened) -> None:
    client = lmmc.client
    made = [client.post("/api/v1/tasks", TASK).json()["task_id"] for _ in range(25)]
    for task_id in made[:10]:
        client.patch(f"/api/v1/tasks/{task_id}", {"status": "in_progress"})
    for task_id in made[:4]:
        client.patch(f"/api/v1/tasks/{task_id}", {"status": "completed"})
    client.patch(f"/api/v1/tasks/{made[5]}", {"status": "cancelled"})
    assert client.patch(f"/api/v1/tasks/{made[0]}", {"status": "pending"}).status_code == 409
    assert client.value("lmmc_http_requests_total") == 41
    assert client.value("lmmc_http_requests_total", method="POST", endpoint="/api/v1/tasks", status="201") == 25
    assert client.value("lmmc_http_duration_seconds_count", method="PATCH", endpoint="/api/v1/tasks/{task_id}") == 16
    assert client.value("lmmc_tasks_total", repository="web", priority="high", status="pending") == 25
    assert client.value("lmmc_task_duration_seconds_count", repository="web", priority="high") == 4
    assert client.value("lmmc_qdrant_operations_total", operation="search", status="success") == 25
    assert client.value("lmmc_qdrant_operations_total", operation="upsert", status="success") == 25 + 14
    assert client.value("lmmc_qdrant_operations_total", operation="delete", status="success") == 1
    assert client.value("lmmc_qdrant_operations_total", status="error") == 0
    assert client.value("lmmc_qdrant_latency_seconds_count") == 65


def test_active_tasks_are_those_of_the_store_and_completed_ones_are_not_among_them(lmmc: Opened) -> None:
    before = lmmc.client.value("lmmc_active_tasks", repository="web")
    task_id = lmmc.client.post("/api/v1/tasks", TASK | {"status": "in_progress"}).json()["task_id"]
    assert lmmc.client.value("lmmc_active_tasks", repository="web") == before + 1
    lmmc.client.patch(f"/api/v1/tasks/{task_id}", {"status": "completed"})
    assert lmmc.client.value("lmmc_active_tasks", repository="web") == before
    assert lmmc.client.value("lmmc_active_tasks") == BACKLOG


def test_age_of_tasks_is_in_days(lmmc: Opened) -> None:
    ages = [lmmc.client.value("lmmc_task_age_days", percentile=each) for each in ("50", "95", "99")]
    assert 1 < ages[0] < ages[1] < ages[2] < 60


def test_duration_of_a_task_counts_from_its_creation_elsewhere(lmmc: Opened) -> None:
    task = TASK | {"status": "in_progress", "created_at": "2026-01-31T12:00:00Z"}
    task_id = lmmc.client.post("/api/v1/tasks", task).json()["task_id"]
    answer = lmmc.client.patch(f"/api/v1/tasks/{task_id}", {"status": "completed"})
    assert answer.json()["created_at"] == "2026-01-31T12:00:00.000Z"
    assert lmmc.client.value("lmmc_task_duration_seconds_sum") > DAY
    assert lmmc.client.value("lmmc_task_duration_seconds_bucket", le="61440.0") == 0


def test_ai_answer_is_counted_with_its_tokens_and_kept_with_the_task(lmmc: Opened) -> None:
    assert lmmc.ask("decompose") == 202
    labels = {"model": "large", "operation": "decompose"}
    assert lmmc.client.value("lmmc_ai_requests_total", **labels, status="success") == 1
    assert lmmc.client.value("lmmc_ai_response_seconds_count", **labels) == 1
    assert lmmc.client.value("lmmc_ai_tokens_used_total", model="large", type="prompt") > 0
    assert lmmc.client.value("lmmc_ai_tokens_used_total", model="large", type="completion") > 0
    assert "decompose" in lmmc.client.get("/api/v1/tasks/TASK-1").json()["notes"]


def test_patterns_are_counted_by_repository_and_their_confidence_is_high(lmmc: Opened) -> None:
    for _ in range(20):
        found = lmmc.client.post("/api/v1/patterns", {"repository": "playground"}).json()["patterns"]
        assert found[0]["repository"] == "playground"
    count = lmmc.client.value("lmmc_patterns_detected_total", repository="other")
    assert count == lmmc.client.value("lmmc_pattern_confidence_count") >= 20
    assert lmmc.client.value("lmmc_pattern_confidence_bucket", le="0.6") == 0


def test_health_is_a_gauge_and_json(lmmc: Opened) -> None:
    health = lmmc.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    checks = health.json()["checks"]
    assert {name: check["status"] for name, check in checks.items()} == dict.fromkeys(
        ("qdrant", "task_store", "ai"), "healthy"
    )
    assert all(0 <= check["duration_ms"] < 1000 for check in checks.values())
    assert lmmc.client.value("lmmc_health_check_status") == 3


def test_without_metrics_everything_else_works() -> None:
    with lmmc_opened(enabled=False) as lmmc:
        assert lmmc.client.post("/api/v1/tasks", TASK).status_code == 201
        assert lmmc.ask() == 202
        assert lmmc.client.post("/api/v1/patterns", {"repository": "web"}).json()["patterns"]
        assert lmmc.client.get("/health").json()["status"] == "healthy"
        assert lmmc.client.get("/metrics").text == ""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (TASK | {"priority": "now"}, "priority 'now' is not accepted; give one of low, medium, high, urgent"),
        (TASK | {"status": "completed"}, "give one of pending, in_progress"),
        (TASK | {"content": ""}, "content '' is not accepted; give a text of 1 to 200 characters"),
        (TASK | {"repository": 7}, "repository 7 is not accepted"),
        (TASK | {"created_at": "yesterday"}, "give a past time such as"),
        (TASK | {"created_at": "2999-01-01T00:00:00Z"}, "give a past time such as"),
        (TASK | {"created_at": 12}, "created_at 12 is not accepted"),
    ],
)
def test_bad_task_is_refused_with_what_is_accepted(lmmc: Opened, body: object, error: str) -> None:
    answer = lmmc.client.post("/api/v1/tasks", body)
    assert answer.status_code == 422
    assert error in answer.json()["error"]
    assert lmmc.client.value("lmmc_tasks_total") == 0


def test_search_finds_what_was_written(lmmc: Opened) -> None:
    wanted = lmmc.client.post("/api/v1/tasks", TASK | {"content": "Rotate the signing keys"}).json()["task_id"]
    lmmc.client.post("/api/v1/tasks", TASK)
    answer: httpx.Response = lmmc.client.post("/api/v1/search", {"text": "rotate signing keys"})
    assert answer.json()["source"] == "vectors"
    assert answer.json()["tasks"][0]["task_id"] == wanted


def test_qdrant_exposes_what_its_catalogue_says() -> None:
    with opened(Qdrant(1, pace=0).app) as client:
        assert differences("lmmc", "qdrant", client.get("/metrics").text) == []
        client.request("PUT", "/collections/tasks", json={"vectors": {"size": 2, "distance": "Cosine"}})
        client.request("PUT", "/collections/tasks/points", json={"points": [{"id": 1, "vector": [1, 0]}]})
        client.post("/collections/other/points/search", {"vector": [1, 0], "limit": 1})
        client.request("DELETE", "/collections/tasks")
        client.get("/nothing")
        assert differences("lmmc", "qdrant", client.get("/metrics").text) == []
        labels = {"method": "PUT", "endpoint": "/collections/{name}/points", "status": "200"}
        assert client.value("rest_responses_total", **labels) == 1
        assert client.value("rest_responses_duration_seconds_count", **labels) == 1
        assert client.value("collections_total") == 1
