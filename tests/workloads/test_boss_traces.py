"""A request is followed through the application: in its traces, its log lines and its exemplars."""

import io
import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest
from asgi_client import opened
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from instrument.logs import JsonLines
from instrument.tracing import Tracing
from workloads.boss_workflow import BossWorkflow

TASK = {"title": "Review the budget", "assignee": "ana", "priority": "high"}


class Span(NamedTuple):
    name: str
    trace: str
    id: str
    parent: str
    failed: bool


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Otlp)
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str) -> Span:
        (span,) = [span for span in self.spans if span.name == name]
        return span


class _Otlp(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in sent.resource_spans:
            self.server.resource |= {each.key: each.value.string_value for each in resource.resource.attributes}
            self.server.spans += [
                Span(
                    each.name, each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex(), each.status.code == 2
                )
                for scope in resource.scope_spans
                for each in scope.spans
            ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="collector")
def _collector() -> Iterator[Collector]:
    with Collector() as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture(name="log")
def _log() -> Iterator[io.StringIO]:
    handler = logging.StreamHandler(text := io.StringIO())
    handler.setFormatter(JsonLines("boss-workflow"))
    logger = logging.getLogger("boss")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield text
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_request_is_followed_from_its_answer_to_queries_calls_and_messages(
    collector: Collector, log: io.StringIO
) -> None:
    tracing = Tracing("boss-workflow", collector.url, resource={"system": "boss-workflow"})
    with opened(BossWorkflow(1, pace=0, tracing=tracing).app) as boss:
        boss.post("/api/db/tasks", TASK)
        boss.post("/_sim/fault", {"fault": "ai_errors", "value": 1})
        boss.post("/api/ai/summary", {"text": "two words"})
        metrics = boss.get("/metrics", Accept="application/openmetrics-text").text
    tracing.close()

    server = collector.named("POST /api/db/tasks")
    for below in ("db create_task", "discord send"):
        assert (collector.named(below).trace, collector.named(below).parent) == (server.trace, server.id)
    asked = collector.named("ai summary")
    assert asked.parent == collector.named("POST /api/ai/{operation}").id
    assert (asked.failed, server.failed) == (True, False)
    assert {name: collector.resource[name] for name in ("service.name", "system")} == {
        "service.name": "boss-workflow",
        "system": "boss-workflow",
    }
    lines = {line["message"]: line for line in map(json.loads, log.getvalue().splitlines())}
    assert lines["task created"]["trace_id"] == server.trace
    assert lines["Discord message sent"]["trace_id"] == server.trace
    exemplars = [
        line
        for line in metrics.splitlines()
        if line.startswith('http_request_duration_seconds_bucket{endpoint="/api/db/tasks"') and " # {" in line
    ]
    assert [server.trace in line for line in exemplars] == [True]


def test_scrapes_checks_and_faults_are_not_traced(collector: Collector) -> None:
    tracing = Tracing("boss-workflow", collector.url)
    with opened(BossWorkflow(1, pace=0, tracing=tracing).app) as boss:
        for path in ("/metrics", "/metrics/default", "/_sim/faults", "/health/live"):
            boss.get(path)
        boss.get("/api/db/audit/TASK-1")
    tracing.close()
    assert {span.name for span in collector.spans} == {"GET /api/db/audit/{task_id}", "db get_audit"}
