"""Every fault of the GraphMemory API moves the metric that its alert watches, and ends."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from asgi_client import Client, opened

from workloads.graphmemory.app import GraphMemory
from workloads.graphmemory.simulation import FAULTS

MEMORY = {"index": "notes", "text": "Ana split parse() in parser.py for streaming"}
SEARCH = {"index": "notes", "text": "Ana split parse() streaming"}
TALK = {"source": "chat", "name": "talk-1", "text": MEMORY["text"]}
ROUNDS = 20


@pytest.fixture(name="memory")
def _memory() -> Iterator[Client]:
    """Waits are a hundredth of what they simulate."""
    with opened(GraphMemory(1, pace=0.01, keep=0).app) as client:
        assert client.post("/api/memories", MEMORY).status_code == 201
        yield client


def _switch(memory: Client, fault: str, value: float) -> None:
    answer = memory.post("/_sim/fault", {"fault": fault, "value": value})
    assert (answer.status_code, answer.json()["value"]) == (200, value)


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_http_errors_answer_500_for_that_share(memory: Client) -> None:
    _switch(memory, "http_errors", 0.5)
    statuses = [memory.get("/api/memories/1").status_code for _ in range(ROUNDS)]
    assert 0 < statuses.count(500) < ROUNDS
    assert memory.value("graphmemory_http_requests_total", status="500") == statuses.count(500)
    assert memory.value("graphmemory_memory_operations_total", status="failure") == 0
    assert memory.get("/health").status_code == 200


def test_http_latency_is_in_the_histogram(memory: Client) -> None:
    _switch(memory, "http_latency", 3)
    memory.get("/api/memories/1")
    labels = {"method": "GET", "route": "/api/memories/{memory_id}"}
    assert memory.value("graphmemory_http_request_duration_seconds_sum", **labels) >= 0.03
    assert memory.value("graphmemory_http_request_duration_seconds_bucket", le="0.025", **labels) == 0


def test_db_pool_hold_keeps_that_share_of_the_pool_and_lets_go(memory: Client) -> None:
    _switch(memory, "db_pool_hold", 0.95)
    assert _until(lambda: _pool(memory) == {"checked_in": 0, "checked_out": 38, "overflow": 28})
    assert memory.value("graphmemory_db_pool_max_connections") == 40
    assert memory.post("/api/memories", MEMORY).status_code == 201
    _switch(memory, "db_pool_hold", 0)
    assert _until(lambda: _pool(memory) == {"checked_in": 10, "checked_out": 0, "overflow": 0})


def _pool(memory: Client) -> dict[str, float]:
    states = ("checked_in", "checked_out", "overflow")
    return {state: memory.value("graphmemory_db_pool_connections", state=state) for state in states}


def test_full_pool_answers_503(memory: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.graphmemory.postgres.POOL_TIMEOUT", 0.1)
    with opened(GraphMemory(1, pace=0, keep=0).app) as full:
        _switch(full, "db_pool_hold", 1)
        assert _until(lambda: full.value("graphmemory_db_pool_connections", state="checked_out") == 40)
        answer = full.post("/api/memories", MEMORY)
        assert (answer.status_code, answer.json()["error"]) == (
            503,
            "no connection became free in 0.1 s: all 40 are in use",
        )
        _switch(full, "db_pool_hold", 0)
        assert _until(lambda: full.post("/api/memories", MEMORY).status_code == 201)
    assert memory.get("/api/memories/1").status_code == 200


def test_db_latency_is_in_the_query_histogram(memory: Client) -> None:
    _switch(memory, "db_latency", 2)
    memory.post("/api/sessions", {"user": "ana"})
    name = "graphmemory_db_query_duration_seconds"
    assert memory.value(f"{name}_sum", operation="sign_in") >= 0.02
    assert memory.value(f"{name}_bucket", operation="sign_in", le="0.01") == 0


def test_cache_miss_brings_the_hit_ratio_below_half(memory: Client) -> None:
    _switch(memory, "cache_miss", 0.8)
    for _ in range(ROUNDS):
        assert memory.get("/api/memories/1").status_code == 200
    hits, misses = (memory.value("graphmemory_cache_operations_total", result=each) for each in ("hit", "miss"))
    assert hits + misses == ROUNDS
    assert hits < ROUNDS / 2


def test_memory_errors_fail_that_share_of_the_operations(memory: Client) -> None:
    _switch(memory, "memory_errors", 0.5)
    statuses = [memory.get("/api/memories/1").status_code for _ in range(ROUNDS)]
    assert 0 < statuses.count(500) < ROUNDS
    failed = memory.value("graphmemory_memory_operations_total", operation="read", status="failure")
    assert failed == statuses.count(500)


def test_vector_latency_is_in_the_histogram_of_searches(memory: Client) -> None:
    _switch(memory, "vector_latency", 2)
    memory.post("/api/search", SEARCH)
    assert memory.value("graphmemory_vector_search_duration_seconds_sum", index="notes") >= 0.02
    assert memory.value("graphmemory_vector_search_duration_seconds_bucket", index="notes", le="0.01") == 0


def test_similarity_caps_the_best_match(memory: Client) -> None:
    name = "graphmemory_vector_similarity_score_bucket"
    memory.post("/api/search", SEARCH)
    assert memory.value(name, index="notes", le="0.5") == 0
    assert memory.value(name, index="notes", le="0.8") == 1
    _switch(memory, "similarity", 0.3)
    memory.post("/api/search", SEARCH | {"text": "parser streaming"})
    assert memory.value(name, index="notes", le="0.2") == 0
    assert memory.value(name, index="notes", le="0.3") == 1


def test_extraction_errors_fail_in_the_background(memory: Client) -> None:
    _switch(memory, "extraction_errors", 1)
    assert memory.post("/api/extractions", TALK).status_code == 202
    assert memory.value("graphmemory_knowledge_extractions_total", source="chat", status="failure") == 1
    assert memory.value("graphmemory_knowledge_extraction_duration_seconds_count", source="chat") == 1
    assert memory.value("graphmemory_knowledge_entities_extracted_total") == 0


@pytest.mark.parametrize(
    ("fault", "check", "code", "answered"),
    [
        ("postgres_down", "postgres", 503, (503, 200, 503)),
        ("graph_down", "graph", 503, (503, 200, 201)),
        ("redis_down", "redis", 200, (201, 200, 201)),
        ("vector_down", "vector", 200, (201, 503, 201)),
    ],
)
def test_dependency_that_is_down_is_named_and_comes_back(
    memory: Client, fault: str, check: str, code: int, answered: tuple[int, ...]
) -> None:
    _switch(memory, fault, 1)
    health = memory.get("/health")
    failed = {name: each["message"] for name, each in health.json()["checks"].items() if each["status"] != "healthy"}
    assert (health.status_code, list(failed)) == (code, [check])
    assert failed[check].endswith("does not answer: connection refused")
    assert memory.value("graphmemory_health_check_status", check=check) == 0
    assert memory.value("graphmemory_health_check_status") == 3
    calls = (("/api/memories", MEMORY), ("/api/search", SEARCH), ("/api/sessions", {"user": "ana"}))
    assert tuple(memory.post(path, body).status_code for path, body in calls) == answered
    _switch(memory, fault, 0)
    assert memory.get("/health").json()["status"] == "healthy"
    assert memory.value("graphmemory_health_check_status") == 4


def test_redis_that_is_down_counts_cache_errors(memory: Client) -> None:
    _switch(memory, "redis_down", 1)
    assert memory.get("/api/memories/1").status_code == 200
    # The lookup, and the store after it.
    assert memory.value("graphmemory_cache_operations_total", cache="memory", result="error") == 2


def test_extraction_fails_while_the_graph_is_down(memory: Client) -> None:
    _switch(memory, "graph_down", 1)
    assert memory.post("/api/extractions", TALK).status_code == 202
    assert memory.value("graphmemory_knowledge_extractions_total", status="failure") == 1
    assert memory.value("graphmemory_graph_operations_total", operation="add_node", status="failure") == 1


def test_bridge_that_does_not_answer_fails_its_check() -> None:
    def refused(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    bridge = httpx.AsyncClient(transport=httpx.MockTransport(refused), base_url="http://bridge")
    with opened(GraphMemory(1, pace=0, keep=0, bridge=bridge).app) as memory:
        health = memory.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["checks"]["bridge"]["message"] == "connection refused"
        assert memory.value("graphmemory_health_check_status", check="bridge") == 0


def test_without_a_bridge_there_is_no_check_of_it(memory: Client) -> None:
    assert sorted(memory.get("/health").json()["checks"]) == ["graph", "postgres", "redis", "vector"]


def test_all_faults_are_told(memory: Client) -> None:
    told = memory.get("/_sim/faults").json()
    assert [fault["fault"] for fault in told] == [fault.name for fault in FAULTS]
    assert not any(fault["value"] for fault in told)
