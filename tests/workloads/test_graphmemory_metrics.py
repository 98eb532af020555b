"""What the GraphMemory API exposes is what its catalogue declares, and counts what was done."""

import random
from collections.abc import Iterator

import httpx
import pytest
from asgi_client import Client, opened
from exposition import differences

from instrument.asgi import operations
from workloads.graphmemory.app import OPERATIONS, GraphMemory
from workloads.graphmemory.bridge import GraphMemoryBridge
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.traffic import GraphMemoryTraffic
from workloads.graphmemory.users import ActiveUsers
from workloads.load import Call

MEMORY = {"index": "notes", "text": "Ana split parse() in parser.py for streaming"}
MEMORY_ROUTE = "/api/memories/{memory_id}"


def _make() -> GraphMemory:
    bridge = GraphMemoryBridge(1, pace=0)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(bridge.app), base_url="http://bridge")
    return GraphMemory(1, pace=0, keep=0, bridge=client)


@pytest.fixture(name="memory")
def _memory() -> Iterator[Client]:
    with opened(_make().app) as client:
        yield client


def _send(memory: Client, call: Call) -> httpx.Response:
    response = memory.request(call.method, call.path, json=call.json, headers=call.headers)
    if call.answered:
        call.answered(response)
    return response


def test_exposition_is_the_catalogue_before_and_after_traffic_of_all_kinds(memory: Client) -> None:
    assert differences("graphmemory", "graphmemory-api", memory.get("/metrics").text) == []
    traffic, rng = GraphMemoryTraffic(), random.Random(3)
    statuses = {_send(memory, traffic(rng)).status_code for _ in range(300)}
    memory.request("BREW", "/pot")
    memory.request("PATCH", "/api/memories")
    assert statuses == {200, 201, 202, 204, 404}
    assert memory.value("graphmemory_http_requests_total") == 302
    assert memory.value("instrument_faults_total") == 0
    assert differences("graphmemory", "graphmemory-api", memory.get("/metrics").text) == []


def test_same_seed_sends_the_same_calls() -> None:
    def calls(seed: int) -> list[tuple[str, object]]:
        traffic, rng = GraphMemoryTraffic(), random.Random(seed)
        made: list[tuple[str, object]] = []
        for number in range(300):
            call = traffic(rng)
            made.append((call.path, call.json))
            if call.answered:
                call.answered(httpx.Response(201, json={"memory_id": number}))
        return made

    assert calls(5) == calls(5) != calls(6)


def test_every_route_that_is_served_is_declared() -> None:
    served = operations(_make().app.routes)
    assert sorted(served) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/memories/123", MEMORY_ROUTE),
        ("/api/memories/99999999999999999999", MEMORY_ROUTE),
        ("/api/memories/x%20y", MEMORY_ROUTE),
        ("/api/graph/nodes/memory-7/neighbours", "/api/graph/nodes/{name}/neighbours"),
        ("/api/memories/1/2", "unmatched"),
        ("/wp-login.php", "unmatched"),
    ],
)
def test_path_becomes_its_route_template(memory: Client, path: str, route: str) -> None:
    assert memory.get(path).status_code == 404
    assert memory.value("graphmemory_http_requests_total") == 1
    assert memory.value("graphmemory_http_requests_total", route=route, status="404") == 1


def test_scripted_operations_count_exactly(memory: Client) -> None:
    for _ in range(10):
        memory.post("/api/memories", MEMORY)
    for number in range(1, 5):
        memory.get(f"/api/memories/{number}")
    memory.request("PUT", "/api/memories/1", json={"text": "Bo rewrote rank()"})
    memory.request("DELETE", "/api/memories/2")
    for _ in range(3):
        memory.post("/api/search", {"index": "notes", "text": "Ana parse()"})
    operations = {"create": 10, "read": 4, "update": 1, "delete": 1, "search": 3}
    for operation, count in operations.items():
        labels = {"operation": operation}
        assert memory.value("graphmemory_memory_operations_total", status="success", **labels) == count
        assert memory.value("graphmemory_memory_operation_duration_seconds_count", **labels) == count
    assert memory.value("graphmemory_memory_operations_total", status="failure") == 0
    assert memory.value("graphmemory_http_request_duration_seconds_count", route=MEMORY_ROUTE) == 6
    assert memory.value("graphmemory_db_query_duration_seconds_count", operation="insert_memory") == 10
    assert memory.value("graphmemory_cache_operations_total", cache="memory", result="hit") == 4
    assert memory.value("graphmemory_cache_operations_total", cache="search", result="hit") == 2
    assert memory.value("graphmemory_vector_search_duration_seconds_count", index="notes") == 1
    assert memory.value("graphmemory_graph_nodes", kind="memory") == 9
    assert memory.value("graphmemory_user_actions_total", action="create_memory") == 10


def test_memory_is_created_read_changed_found_and_deleted(memory: Client) -> None:
    created = memory.post("/api/memories", MEMORY).json()
    path = f"/api/memories/{created['memory_id']}"
    assert memory.get(path).json() == created == MEMORY | {"memory_id": created["memory_id"]}
    assert memory.request("PUT", path, json={"text": "Chen measured merge()"}).json()["text"] == "Chen measured merge()"
    assert memory.get(path).json()["text"] == "Chen measured merge()"
    (match,) = memory.post("/api/search", {"index": "notes", "text": "chen merge"}).json()["matches"]
    assert match == {"memory_id": created["memory_id"], "similarity": pytest.approx(2 / 6**0.5, abs=0.001)}
    assert memory.request("DELETE", path).status_code == 204
    assert [memory.get(path).status_code, memory.request("DELETE", path).status_code] == [404, 404]
    assert memory.post("/api/search", {"index": "notes", "text": "merge chen"}).json()["matches"] == []


def test_knowledge_becomes_nodes_of_the_graph_that_can_be_walked(memory: Client) -> None:
    text = {"source": "chat", "name": "talk-1", "text": MEMORY["text"]}
    assert memory.post("/api/extractions", text).status_code == 202
    assert memory.value("graphmemory_knowledge_extractions_total", source="chat", status="success") == 1
    for kind in ("function", "file", "person", "concept"):
        assert memory.value("graphmemory_knowledge_entities_extracted_total", kind=kind) == 1
        assert memory.value("graphmemory_graph_nodes", kind=kind) == 1
    assert memory.value("graphmemory_graph_edges", kind="mentions") == 4
    nodes = memory.get("/api/graph/nodes/talk-1/neighbours").json()["nodes"]
    assert sorted(nodes) == ["Ana", "parse()", "parser.py", "streaming"]
    assert memory.get("/api/graph/nodes?kind=person").json()["nodes"] == ["Ana"]
    edge = {"kind": "relates_to", "source": "Ana", "target": "parser.py"}
    assert memory.post("/api/graph/edges", edge).status_code == 201
    assert memory.post("/api/graph/edges", edge | {"target": "nobody"}).status_code == 404
    assert memory.value("graphmemory_graph_edges", kind="relates_to") == 1
    assert memory.value("graphmemory_graph_operations_total", operation="add_edge", status="success") == 6


def test_onboarding_is_timed_at_its_last_step(memory: Client) -> None:
    steps = [("account", "completed", 20), ("workspace", "skipped", 50), ("invite", "failed", 90)]
    for step, outcome, seconds in [*steps, ("invite", "completed", 200)]:
        answer = memory.post("/api/onboarding", {"step": step, "outcome": outcome, "seconds": seconds})
        assert answer.status_code == 201
    assert memory.value("graphmemory_onboarding_steps_total", outcome="completed") == 2
    assert memory.value("graphmemory_onboarding_steps_total", step="workspace", outcome="skipped") == 1
    assert memory.value("graphmemory_onboarding_duration_seconds_count") == 1
    assert memory.value("graphmemory_onboarding_duration_seconds_bucket", le="300.0") == 1
    assert memory.value("graphmemory_onboarding_duration_seconds_bucket", le="120.0") == 0


def test_users_are_counted_once_however_much_they_do(memory: Client) -> None:
    for user in ("ana", "bo", "ana"):
        event = {"json": {"event": "edit"}, "headers": {"X-User-Id": user}}
        assert memory.request("POST", "/api/projects/p1/events", **event).status_code == 201
    memory.post("/api/sessions", {"user": "chen"})
    assert memory.post("/api/sessions", {"user": "chen"}).json() == {"user": "chen", "visits": 2}
    assert [memory.value("graphmemory_active_users", window=window) for window in ("5m", "1h", "24h")] == [2, 2, 2]
    assert memory.value("graphmemory_collaboration_events_total", event="edit") == 3
    assert memory.value("graphmemory_user_actions_total", action="sign_in") == 2


def test_active_users_leave_a_window_and_the_oldest_is_forgotten_first() -> None:
    now = 0.0
    users = ActiveUsers(GraphMemoryMetrics([], enabled=False), kept=2, clock=lambda: now)
    for at, user in ((0.0, "ana"), (100.0, "bo"), (401.0, "ana")):
        now = at
        users.saw(user)
    assert users.counts() == {"5m": 1, "1h": 2, "24h": 2}
    users.saw("chen")
    assert users.counts() == {"5m": 2, "1h": 2, "24h": 2}


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/api/memories", {"index": "poems", "text": "x"}, "index 'poems' is not accepted; give one of notes, code"),
        ("/api/memories", {"index": "notes", "text": "x" * 2001}, "give a text of 1 to 2000 characters"),
        ("/api/onboarding", {"step": "account", "outcome": "completed"}, "seconds None is not accepted"),
        ("/api/projects/p1/events", {"event": "dance"}, "event 'dance' is not accepted"),
        ("/api/graph/nodes", {"kind": "file", "name": "<b>"}, "name '<b>' is not accepted"),
        ("/api/sessions", ["ana"], "the body is a JSON list; an object is accepted"),
    ],
)
def test_bad_request_is_refused_with_what_is_accepted(memory: Client, path: str, body: object, error: str) -> None:
    answer = memory.post(path, body)
    assert answer.status_code == 422
    assert error in answer.json()["error"]
    assert memory.value("graphmemory_user_actions_total") == 0


def test_without_metrics_the_application_answers_the_same() -> None:
    with opened(GraphMemory(1, pace=0, metered=False).app) as memory:
        assert memory.post("/api/memories", MEMORY).json() == MEMORY | {"memory_id": 1}
        assert memory.get("/health").status_code == 200
        assert memory.get("/metrics").text == ""
