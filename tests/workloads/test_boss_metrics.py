"""What the application exposes is what its catalogue declares, and nothing else."""

import asyncio
import random
from collections.abc import Iterator

import pytest
from asgi_client import Client, opened
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

import apps
from workloads.boss_metrics import BossMetrics, RequestMetrics
from workloads.boss_workflow import BossWorkflow

CATALOGUE = {metric.name: metric for metric in apps.profile("boss-workflow").metrics}
TASK = {"title": "Review the budget", "assignee": "ana", "priority": "high"}


@pytest.fixture(name="boss")
def _boss() -> Iterator[Client]:
    with opened(BossWorkflow(1, pace=0, limit=20_000).app) as client:
        yield client


def _exposed(client: Client) -> dict[str, Family]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {family.name + ("_total" if family.type == "counter" else ""): family for family in families}


def _labels(family: Family) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, set()).add(value)
    return values


def test_catalogue_and_exposition_have_the_same_metrics(boss: Client) -> None:
    exposed = _exposed(boss)
    assert list(exposed) == list(CATALOGUE)
    assert {name: family.type for name, family in exposed.items()} == {
        name: metric.type for name, metric in CATALOGUE.items()
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_labels_values_and_buckets_are_those_of_the_catalogue(boss: Client, name: str) -> None:
    exposed = _labels(_exposed(boss)[name])
    buckets = exposed.pop("le", set()) - {"+Inf"}
    assert exposed == {label: set(values or ()) for label, values in CATALOGUE[name].labels.items()}
    assert sorted(float(edge) for edge in buckets) == list(CATALOGUE[name].buckets or ())


def test_traffic_of_all_kinds_adds_no_label_value(boss: Client) -> None:
    for _ in range(3):
        boss.post("/api/db/tasks", TASK)
    boss.patch("/api/db/tasks/TASK-1", {"status": "in_progress"})
    boss.patch("/api/db/tasks/TASK-1", {"status": "pending"})
    for operation in ("summary", "breakdown", "nonsense"):
        boss.post(f"/api/ai/{operation}", {"text": "two words"})
    for path in ("/api/db/tasks?status=pending", "/api/db/audit/TASK-1", "/health", "/x/y", "/api/db/tasks/"):
        boss.get(path)
    boss.request("DELETE", "/api/db/tasks")
    boss.request("BREW", "/pot")
    for name, family in _exposed(boss).items():
        exposed = _labels(family)
        exposed.pop("le", None)
        assert exposed == {label: set(values or ()) for label, values in CATALOGUE[name].labels.items()}


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
    app = BossWorkflow(1, pace=0, limit=20_000).app
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


def test_metrics_and_simulation_paths_are_not_counted(boss: Client) -> None:
    boss.get("/_sim/faults")
    boss.post("/_sim/fault", {"fault": "cache_miss", "value": 0})
    boss.get("/metrics")
    assert boss.value("http_requests_total") == 0


def test_client_above_the_limit_is_rejected_and_counted() -> None:
    with opened(BossWorkflow(1, pace=0, limit=5).app) as boss:
        # More than twice the limit: a window that ends in between changes nothing.
        statuses = [boss.get("/api/db/tasks", **{"X-Client-Id": "importer"}).status_code for _ in range(12)]
        assert statuses.count(429) >= 2
        assert boss.value("rate_limit_violations_total", endpoint="/api/db/tasks") == statuses.count(429)
        assert boss.value("rate_limit_near_limit") == 1
        assert boss.get("/api/db/tasks", **{"X-Client-Id": "someone"}).status_code == 200


def test_allowed_assignee_appears_by_name_and_no_other() -> None:
    with opened(BossWorkflow(1, pace=0, assignees=("ana",)).app) as boss:
        boss.post("/api/db/tasks", TASK)
        boss.post("/api/db/tasks", TASK | {"assignee": "bo"})
        assert boss.value("tasks_created_total", assignee="ana") == 1
        assert boss.value("tasks_created_total", assignee="other") == 1


def test_exception_counts_as_500_and_is_raised_on() -> None:
    async def broken(scope: Scope, _receive: Receive, _send: Send) -> None:
        scope["route"] = type("Route", (), {"path": "/health"})
        raise OSError("disk")

    metrics = BossMetrics([("GET", "/health")])
    scope = {"type": "http", "method": "GET", "path": "/health"}
    with pytest.raises(OSError, match="disk"):
        asyncio.run(RequestMetrics(broken, metrics, ("/_sim/",))(scope, _receive, _swallow))
    labels = {"method": "GET", "endpoint": "/health", "status": "500"}
    assert metrics.registry.get_sample_value("http_requests_total", labels) == 1


def test_what_is_not_declared_is_other_or_unmatched() -> None:
    metrics = BossMetrics([("GET", "/health")])
    metrics.request("BREW", "/pot/7", 418, 0.1)
    labels = {"method": "other", "endpoint": "unmatched", "status": "other"}
    assert metrics.registry.get_sample_value("http_requests_total", labels) == 1


def test_request_is_counted_before_its_answer_ends() -> None:
    metrics = BossMetrics([("GET", "/health")])
    counted: list[float | None] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(_message: Message) -> None:
        labels = {"method": "GET", "endpoint": "unmatched", "status": "200"}
        counted.append(metrics.registry.get_sample_value("http_requests_total", labels))

    scope = {"type": "http", "method": "GET", "path": "/health"}
    asyncio.run(RequestMetrics(app, metrics, ("/_sim/",))(scope, _receive, send))
    assert counted == [0, 0, 1]


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _swallow(_message: Message) -> None:
    pass
