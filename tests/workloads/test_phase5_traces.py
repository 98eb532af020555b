"""The three processes as a supervisor runs them: one request is one trace, in the logs too, and they end on SIGTERM."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
FRONTEND, BACKEND, AGENT = SERVICES = ("phase5-frontend", "phase5-backend", "phase5-reminder-agent")
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
EXPORTERS = ("kube-state-metrics", "kubelet", "kafka-exporter", "postgres-exporter", "redis-exporter")


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """Takes spans by OTLP over HTTP."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    def traces(self) -> dict[str, list[Span]]:
        found = defaultdict(list)
        for span in list(self.spans):
            found[span.trace].append(span)
        return found

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {each.key: str(each.value.string_value) for each in span.attributes}
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                    self.spans.append(Span(about["service.name"], span.name, KINDS[span.kind], *ids, attributes))


@contextmanager
def _collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        yield collector
        server.shutdown()


@dataclass
class Running:
    collector: Collector
    processes: dict[str, "subprocess.Popen[str]"]
    ports: dict[str, int]
    logs: Path

    def get(self, port: str, path: str) -> str:
        return httpx.get(f"http://127.0.0.1:{self.ports[port]}{path}", trust_env=False).text

    def value(self, port: str, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get(port, "/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def lines(self, service: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (self.logs / f"{service}.log").read_text().splitlines()]

    def stop(self) -> float:
        """Seconds until all have ended."""
        asked = time.monotonic()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=10)
        return time.monotonic() - asked


@contextmanager
def _running(directory: Path, *, rate: float, ratio: float) -> Iterator[Running]:
    ports = dict(zip((*SERVICES, *EXPORTERS), _free_ports(8), strict=True))
    peer = f"{BACKEND}=http://127.0.0.1:{ports[BACKEND]}"
    more = {
        BACKEND: [part for name in EXPORTERS for part in ("--listen", f"{name}=127.0.0.1:{ports[name]}")],
        FRONTEND: ["--peer", peer, "--rate", str(rate)],
        AGENT: ["--peer", peer],
    }
    modules = {FRONTEND: "frontend", BACKEND: "backend", AGENT: "agent"}
    with ExitStack() as stack:
        collector = stack.enter_context(_collector())
        running = Running(collector, {}, ports, directory)
        for service in (BACKEND, FRONTEND, AGENT):
            command = [sys.executable, "-m", f"workloads.phase5.{modules[service]}"]
            command += ["--listen", f"http=127.0.0.1:{ports[service]}", "--log-file", f"{service}.log"]
            command += ["--otlp", collector.url, "--ratio", str(ratio), "--seed", "1", *more[service]]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            running.processes[service] = stack.enter_context(
                subprocess.Popen(command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True)
            )
            stack.callback(running.processes[service].kill)
        yield running


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in free]


def _until(true: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if true():
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False


def _created(collector: Collector) -> list[Span]:
    """The spans of a trace in which a task was created, and the agent has handled the event."""
    for spans in collector.traces().values():
        names = {(span.service, span.name) for span in spans}
        if {(FRONTEND, "POST /api/tasks"), (AGENT, "process task-events")} <= names:
            return spans
    return []


def test_one_request_is_one_trace_over_three_services(tmp_path: Path) -> None:
    with _running(tmp_path, rate=20, ratio=1.0) as running:
        assert _until(lambda: bool(_created(running.collector)))
        assert _until(lambda: running.value(BACKEND, "websocket_connections") == 12)
        for exporter in EXPORTERS:
            assert running.get(exporter, "/metrics").startswith("# HELP ")
        assert "container_cpu_usage_seconds_total{" in running.get("kubelet", "/metrics/cadvisor")
        seconds = running.stop()
    assert seconds < 8
    assert [process.returncode for process in running.processes.values()] == [0, 0, 0]
    _is_one_trace(_created(running.collector))
    for service in SERVICES:
        _names_its_traces(running, service)


def _is_one_trace(spans: list[Span]) -> None:
    by_name = {(span.service, span.name): span for span in spans}
    chain = [
        (FRONTEND, "POST /api/tasks", "server"),
        (FRONTEND, "POST", "client"),
        (BACKEND, "POST /api/tasks", "server"),
        (BACKEND, "send task-events", "producer"),
        (AGENT, "process task-events", "consumer"),
    ]
    parent = ""
    for service, name, kind in chain:
        span = by_name[service, name]
        assert (span.kind, span.parent) == (kind, parent)
        parent = span.span
    below = {(span.name, span.kind) for span in spans if span.parent == by_name[BACKEND, "POST /api/tasks"].span}
    assert below == {
        ("INSERT tasks", "client"),
        ("INSERT audit", "client"),
        ("DEL", "client"),
        ("send task-events", "producer"),
        ("send /ws", "producer"),
    }
    insert, send = by_name[BACKEND, "INSERT tasks"].attributes, by_name[BACKEND, "send task-events"].attributes
    assert (insert["db.system.name"], insert["db.operation.name"]) == ("sqlite", "INSERT")
    assert insert["db.collection.name"] == "tasks"
    assert (send["messaging.system"], send["messaging.destination.name"]) == ("kafka", "task-events")
    assert (send["messaging.operation.type"], send["messaging.operation.name"]) == ("send", "send")
    process = by_name[AGENT, "process task-events"].attributes
    assert (process["messaging.operation.type"], process["messaging.consumer.group.name"]) == ("process", AGENT)
    assert process["messaging.kafka.message.key"] == send["messaging.kafka.message.key"]


def _names_its_traces(running: Running, service: str) -> None:
    lines = running.lines(service)
    assert not [line for line in lines if "traceback" in line]
    told = [line for line in lines if "operation" in line and "trace_id" in line]
    assert told
    assert all({"taskId", "userId", "span_id", "time", "level", "service"} <= line.keys() for line in told)
    known = {span.trace for span in running.collector.spans}
    assert [line for line in told if line["trace_id"] in known]


def test_a_share_of_the_requests_is_traced_in_all_services_alike(tmp_path: Path) -> None:
    with _running(tmp_path, rate=40, ratio=0.25) as running:
        assert _until(lambda: running.value(FRONTEND, "http_requests_total") > 150)
        requests = running.value(FRONTEND, "http_requests_total")
        running.stop()
    servers = [span for span in running.collector.spans if span.kind == "server"]
    traced = {service: {span.trace for span in servers if span.service == service} for service in SERVICES[:2]}
    assert 0.1 * requests < len(traced[FRONTEND]) < 0.45 * requests
    assert traced[BACKEND] <= traced[FRONTEND]


def test_port_that_is_none_of_its_own_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workloads.phase5.backend", "--listen", "http=127.0.0.1:1", "--listen"]
    ended = subprocess.run(
        [*command, "mysql-exporter=127.0.0.1:2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("--listen mysql-exporter: no such port; there are http, kube-state-metrics, kubelet")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
