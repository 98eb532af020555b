"""What the application exposes is what its catalogue declares, and nothing else."""

import asyncio
import json
import random
from collections.abc import Iterator

import pytest
from asgi_client import Client, opened
from exposition import differences
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instrument.asgi import measured, operations
from workloads.boss_workflow import BossWorkflow
from workloads.boss_workflow.app import OPERATIONS
from workloads.boss_workflow.metrics import BossMetrics

TASK = {"title": "Review the budget", "assignee": "ana", "priority": "high"}


@pytest.fixture(name="boss")
def _boss() -> Iterator[Client]:
    with opened(BossWorkflow(1, pace=0, keep=0, limit=20_000).app) as client:
        yield client


@pytest.mark.parametrize(
    ("job", "path"), [("boss-workflow", "/metrics"), ("boss-workflow-default", "/metrics/default")]
)
def test_exposition_is_the_catalogue_before_and_after_traffic_of_all_kinds(boss: Client, job: str, path: str) -> None:
    assert differences("boss-workflow", job, boss.get(path).text) == []
    for _ in range(3):
        boss.post("/api/db/tasks", TASK)
    boss.patch("/api/db/tasks/TASK-1", {"status": "in_progress"})
    boss.patch("/api/db/tasks/TASK-1", {"status": "pending"})
    for operation in ("summary", "breakdown", "nonsense"):
        boss.post(f"/api/ai/{operation}", {"text": "two words"})
    for url in ("/api/db/tasks?status=pending", "/api/db/audit/TASK-1", "/health", "/x/y", "/api/db/tasks/"):
        boss.get(url)
    boss.request("DELETE", "/api/db/tasks")
    boss.request("BREW", "/pot")
    boss.request("POST", "/api/admin/test-alert")
    assert boss.value("http_requests_total") == 16
    assert differences("boss-workflow", job, boss.get(path).text) == []


def test_every_endpoint_that_is_served_is_declared() -> None:
    assert sorted(operations(BossWorkflow(1, pace=0).app.routes)) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/api/db/tasks/TASK-123", "/api/db/tasks/{task_id}"),
        ("/api/db/audit/TASK-456", "/api/db/audit/{task_id}"),
        ("/api/db/audit/TASK-456/more", "unmatched"),
        ("/wp-login.php", "unmatched"),
    ],
)
def test_path_becomes_its_route_template(boss: Client, path: str, endpoint: str) -> None:
    boss.get(path)
    assert boss.value("http_requests_total", method="GET") == 1
    assert boss.value("http_requests_total", endpoint=endpoint, status="404") == 1


def test_ten_thousand_random_ids_are_one_endpoint() -> None:
    app = BossWorkflow(1, pace=0, keep=0, limit=20_000).app
    rng = random.Random(7)

    async def call(path: str) -> None:
        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        await app(scope, _receive, _swallow)

    async def storm() -> None:
        for _ in range(10_000):
            await call(f"/api/db/tasks/{rng.choice(('TASK-', '', 'x'))}{rng.getrandbits(64):x}")

    with opened(app) as client:
        before = client.get("/metrics").text.count("\n")
        client.run(storm)
        assert client.get("/metrics").text.count("\n") == before
        assert client.value("http_requests_total") == 10_000
        assert client.value("http_requests_total", endpoint="/api/db/tasks/{task_id}") == 10_000


def test_scripted_requests_count_exactly(boss: Client) -> None:
    for _ in range(25):
        boss.post("/api/db/tasks", TASK)
    for number in range(1, 11):
        boss.patch(f"/api/db/tasks/TASK-{number}", {"status": "in_progress"})
    for number in range(1, 5):
        boss.patch(f"/api/db/tasks/TASK-{number}", {"status": "completed"})
    boss.patch("/api/db/tasks/TASK-5", {"status": "in_review"})
    task = "/api/db/tasks/{task_id}"
    assert boss.value("http_requests_total") == 40
    assert boss.value("http_requests_total", method="POST", endpoint="/api/db/tasks", status="201") == 25
    assert boss.value("http_request_duration_seconds_count", method="PATCH", endpoint=task) == 15
    assert boss.value("tasks_created_total", assignee="other", priority="high") == 25
    assert boss.value("tasks_completed_total") == 4
    assert boss.value("tasks_by_status", status="pending") == 15
    assert boss.value("tasks_by_status", status="completed") == 4
    assert boss.value("db_queries_total", operation="create_task") == 25
    assert boss.value("db_query_duration_seconds_count", operation="change_status") == 15
    assert boss.value("discord_messages_sent_total", channel="tasks", status="success") == 25
    assert boss.value("discord_messages_sent_total", channel="completions", status="success") == 4
    assert boss.value("discord_messages_sent_total", channel="reviews", status="success") == 1
    assert boss.value("redis_operation_duration_seconds_count", operation="increment") == 40
    assert boss.value("errors_total") == 0


def test_cache_is_hit_after_the_first_look(boss: Client) -> None:
    for _ in range(4):
        boss.get("/api/db/tasks?status=pending")
    assert boss.value("cache_operations_total", operation="list_tasks", result="miss") == 1
    assert boss.value("cache_operations_total", operation="list_tasks", result="hit") == 3
    assert boss.value("db_queries_total", operation="list_tasks") == 1


def test_sizes_of_requests_and_answers_are_in_the_default_registry(boss: Client) -> None:
    asked = json.dumps(TASK).encode()
    answer = boss.request("POST", "/api/db/tasks", content=asked)
    text = boss.get("/metrics/default").text
    assert f'http_request_size_bytes_sum{{endpoint="/api/db/tasks"}} {float(len(asked))}' in text
    assert f'http_response_size_bytes_sum{{endpoint="/api/db/tasks"}} {float(len(answer.content))}' in text
    assert "process_cpu_seconds_total" in text
    assert "process_cpu_seconds_total" not in boss.get("/metrics").text


def test_metrics_and_simulation_paths_are_not_counted(boss: Client) -> None:
    boss.get("/_sim/faults")
    boss.post("/_sim/fault", {"fault": "cache_miss", "value": 0})
    boss.get("/metrics")
    assert boss.value("http_requests_total") == 0


def test_client_above_the_limit_is_rejected_and_counted() -> None:
    with opened(BossWorkflow(1, pace=0, keep=0, limit=5).app) as boss:
        # More than twice the limit: a window that ends in between changes nothing.
        statuses = [boss.get("/api/db/tasks", **{"X-Client-Id": "importer"}).status_code for _ in range(12)]
        assert statuses.count(429) >= 2
        assert boss.value("rate_limit_violations_total", endpoint="/api/db/tasks") == statuses.count(429)
        assert boss.value("rate_limit_near_limit") == 1
        assert boss.get("/api/db/tasks", **{"X-Client-Id": "someone"}).status_code == 200


def test_allowed_assignee_appears_by_name_and_no_other() -> None:
    with opened(BossWorkflow(1, pace=0, keep=0, assignees=("ana",)).app) as boss:
        boss.post("/api/db/tasks", TASK)
        boss.post("/api/db/tasks", TASK | {"assignee": "bo"})
        assert boss.value("tasks_created_total", assignee="ana") == 1
        assert boss.value("tasks_created_total", assignee="other") == 1


def test_exception_counts_as_500_and_is_raised_on() -> None:
    async def broken(scope: Scope, _receive: Receive, _send: Send) -> None:
        scope["route"] = type("Route", (), {"path": "/health"})
        raise OSError("disk")

    metrics = BossMetrics([("GET", "/health")])
    with pytest.raises(OSError, match="disk"):
        _ask(measured(broken, metrics.http), "GET", _swallow)
    assert _counted(metrics, method="GET", endpoint="/health", status="500") == 1


def test_what_is_not_declared_is_other_or_unmatched() -> None:
    async def teapot(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    metrics = BossMetrics([("GET", "/health")])
    _ask(measured(teapot, metrics.http), "BREW", _swallow)
    assert _counted(metrics, method="other", endpoint="unmatched", status="other") == 1


def test_request_is_counted_before_its_answer_ends() -> None:
    metrics = BossMetrics([("GET", "/health")])
    counted: list[float | None] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(_message: Message) -> None:
        counted.append(_counted(metrics, method="GET", endpoint="/health", status="200"))

    _ask(measured(app, metrics.http), "GET", send)
    assert counted == [0, 0, 1]


def test_without_metrics_the_application_answers_the_same() -> None:
    with opened(BossWorkflow(1, pace=0, keep=0, limit=5, metered=False).app) as boss:
        assert boss.post("/api/db/tasks", TASK).status_code == 201
        assert boss.patch("/api/db/tasks/TASK-1", {"status": "completed"}).status_code == 409
        assert boss.post("/api/ai/summary", {"text": "two words"}).json()["source"] == "ai"
        assert boss.get("/health/db").json()["pool"]["checked_in"] == 1
        assert 429 in [boss.get("/api/db/tasks").status_code for _ in range(12)]
        assert [boss.get(path).text for path in ("/metrics", "/metrics/default")] == ["", ""]


def _ask(app: ASGIApp, method: str, send: Send) -> None:
    async def ask() -> None:
        await app({"type": "http", "method": method, "path": "/health"}, _receive, send)

    asyncio.run(ask())


def _counted(metrics: BossMetrics, **labels: str) -> float | None:
    assert metrics.registry
    return metrics.registry.get_sample_value("http_requests_total", labels)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _swallow(_message: Message) -> None:
    pass
