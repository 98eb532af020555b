"""Spans reach the collector as one trace; without a collector the application notices nothing."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from asgi_client import opened
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_receiver import Received, attributes, receiving
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from instrument import Metrics
from instrument.asgi import Exposition, measured
from instrument.http import Http
from instrument.logs import JsonLines
from instrument.tracing import Tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Received]:
    with receiving() as received:
        yield received


@contextmanager
def _traced(otlp: str, ratio: float = 1.0) -> Iterator[Tracing]:
    tracing = Tracing("shop", otlp, ratio=ratio, resource={"system": "test"})
    try:
        yield tracing
    finally:
        tracing.close()


def _faults(metrics: Metrics) -> float:
    assert metrics.registry
    return metrics.registry.get_sample_value("instrument_faults_total", {"part": "trace"}) or 0


async def _task(request: Request) -> Response:
    if request.path_params["task_id"] == "TASK-0":
        raise RuntimeError("no such task")
    return PlainTextResponse("here", int(request.query_params.get("status", 200)))


def _app(tracing: Tracing) -> Starlette:
    routes: list[BaseRoute] = [
        Route("/tasks/{task_id}", _task, methods=["GET", "POST"]),
        Mount("/shops/{shop}", routes=[Route("/orders/{task_id}", _task)]),
        Mount("/v2", app=Starlette(routes=[Route("/tasks/{task_id}", _task)])),
        Route("/health/live", lambda _request: PlainTextResponse("")),
    ]
    return Starlette(routes=routes, middleware=[Middleware(tracing.asgi)])


@contextmanager
def _asked(received: Received, *requests: tuple[str, str], **headers: str) -> Iterator[None]:
    """After these requests and the end of the application."""
    with _traced(received.url) as tracing, opened(_app(tracing)) as client:
        for method, path in requests:
            try:
                client.request(method, path, headers=headers)
            except RuntimeError as problem:
                assert str(problem) == "no such task"  # noqa: PT017 - the client passes on what the server would log
    yield


def test_spans_arrive_as_one_tree_with_their_service(collector: Received) -> None:
    with _traced(collector.url) as tracing, tracing.span("take order", channel="web") as span:
        span.set(items=3)
        with tracing.span("send", kind="producer"):
            pass
    outer, inner = collector.named("take order"), collector.named("send")
    assert inner.trace_id == outer.trace_id
    assert inner.parent_span_id == outer.span_id
    assert (outer.kind, inner.kind) == (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_PRODUCER)
    assert attributes(outer) == {"channel": "web", "items": 3}
    assert collector.resource["service.name"] == "shop"
    assert collector.resource["system"] == "test"


def test_an_exception_marks_its_span_and_passes(collector: Received) -> None:
    with _traced(collector.url) as tracing, pytest.raises(OSError, match="disk full"), tracing.span("write"):
        raise OSError("disk full")
    span = collector.named("write")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert [event.name for event in span.events] == ["exception"]


def test_a_trace_goes_on_where_its_headers_arrive(collector: Received) -> None:
    with _traced(collector.url) as one, _traced(collector.url) as other:
        with one.span("send", kind="producer"):
            headers = one.headers()
        with other.remote(headers), other.span("receive", kind="consumer"):
            pass
    assert headers.keys() == {"traceparent"}
    sent, taken = collector.named("send"), collector.named("receive")
    assert (taken.trace_id, taken.parent_span_id) == (sent.trace_id, sent.span_id)


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": "00-0-0-01"}])
def test_bad_headers_begin_a_new_trace(collector: Received, headers: dict[str, str]) -> None:
    with _traced(collector.url) as tracing, tracing.span("outer"), tracing.remote(headers), tracing.span("inner"):
        pass
    inner = collector.named("inner")
    assert not inner.parent_span_id
    assert inner.trace_id != collector.named("outer").trace_id


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/tasks/TASK-7", "/tasks/{task_id}"),
        ("/shops/12/orders/TASK-7", "/shops/{shop}/orders/{task_id}"),
        ("/v2/tasks/TASK-7", "/v2/tasks/{task_id}"),
    ],
)
def test_request_span_is_named_by_its_route(collector: Received, path: str, route: str) -> None:
    with _asked(collector, ("GET", path), Traceparent=f"00-{TRACE}-{PARENT}-01"):
        span = collector.named(f"GET {route}")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": route,
        "url.path": path,
        "http.response.status_code": 200,
    }


def test_server_errors_are_marked_and_client_errors_are_not(collector: Received) -> None:
    requests = ("GET", "/tasks/TASK-0"), ("GET", "/tasks/1?status=503"), ("GET", "/tasks/1?status=404")
    with _asked(collector, *requests):
        codes = [(attributes(span)["http.response.status_code"], span.status.code) for span in collector.spans]
    error = Status.STATUS_CODE_ERROR
    assert codes == [(500, error), (503, error), (404, Status.STATUS_CODE_UNSET)]


def test_unknown_paths_and_methods_make_no_new_names(collector: Received) -> None:
    with _asked(collector, ("GET", "/nowhere/17"), ("BREW", "/tasks/1")):
        assert [span.name for span in collector.spans] == ["GET", "HTTP /tasks/{task_id}"]


def test_health_checks_make_no_spans(collector: Received) -> None:
    with _asked(collector, ("GET", "/health/live"), ("GET", "/metrics"), ("GET", "/_sim/faults")):
        assert collector.spans == []


def test_what_the_sender_left_out_is_left_out(collector: Received) -> None:
    with _asked(collector, ("GET", "/tasks/1"), traceparent=f"00-{TRACE}-{PARENT}-00"):
        assert collector.spans == []


def test_messages_of_a_websocket_are_spans_of_the_trace_that_opened_it(collector: Received) -> None:
    with _traced(collector.url) as tracing:

        async def talk(_socket: object) -> None:
            with tracing.span("message"):
                pass

        app = tracing.asgi(Starlette(routes=[WebSocketRoute("/ws", talk)]))
        scope = {"type": "websocket", "path": "/ws", "headers": [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]}

        async def connect() -> None:
            await app(scope, None, None)  # type: ignore[arg-type]

        with opened(Starlette()) as client:
            client.run(connect)
    assert collector.named("message").trace_id.hex() == TRACE


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 0), (1.0, 200)])
def test_ratio_decides_what_is_kept(collector: Received, ratio: float, kept: int) -> None:
    with _traced(collector.url, ratio) as tracing:
        for _ in range(200):
            with tracing.span("work"):
                assert (tracing.exemplar() is not None) == bool(kept)
    assert len(collector.spans) == kept


def test_a_tenth_is_about_a_tenth(collector: Received) -> None:
    with _traced(collector.url, 0.1) as tracing:
        for _ in range(1000):
            with tracing.span("work"):
                pass
    assert 50 < len(collector.spans) < 160


def test_histograms_have_the_trace_as_exemplar(collector: Received) -> None:
    tracing = Tracing("shop", collector.url)
    metrics = Metrics("shop_", exemplar=tracing.exemplar)
    http = Http(metrics, operations=[("GET", "/tasks/{task_id}")])
    routes = [Route("/tasks/{task_id}", _task), Route("/metrics", Exposition(metrics))]
    with opened(
        Starlette(routes=routes, middleware=[Middleware(tracing.asgi), Middleware(measured, http=http)])
    ) as app:
        app.get("/tasks/1")
        text = app.get("/metrics", Accept="application/openmetrics-text").text
    tracing.close()
    span = collector.named("GET /tasks/{task_id}")
    assert f'trace_id="{span.trace_id.hex()}"' in text
    assert f'span_id="{span.span_id.hex()}"' in text


def test_a_whole_application_may_be_wrapped(collector: Received) -> None:
    tracing = Tracing("shop", collector.url)
    app = tracing.asgi(Starlette(routes=[Mount("/v2", app=Starlette(routes=[Route("/tasks/{task_id}", _task)]))]))

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await client.get("/v2/tasks/1")

    asyncio.run(ask())
    tracing.close()
    assert collector.named("GET /v2/tasks/{task_id}")


def test_log_lines_name_the_span_under_way(collector: Received) -> None:
    record = logging.makeLogRecord({"msg": "taken"})
    with _traced(collector.url) as tracing, tracing.span("work"):
        line = json.loads(JsonLines("shop").format(record))
    span = collector.named("work")
    assert (line["trace_id"], line["span_id"]) == (span.trace_id.hex(), span.span_id.hex())
    assert "trace_id" not in json.loads(JsonLines("shop").format(record))


def test_off_means_nothing_at_all() -> None:
    before = threading.active_count()
    tracing = Tracing("shop", None)
    app = Starlette()
    assert tracing.asgi(app) is app
    with tracing.span("work", channel="web") as span, tracing.remote({"traceparent": f"00-{TRACE}-{PARENT}-01"}):
        span.set(items=1)
        assert tracing.headers() == {}
        assert tracing.exemplar() is None
    tracing.report_to(Metrics())
    tracing.close()
    assert not tracing.enabled
    assert threading.active_count() == before


def test_without_opentelemetry_tracing_is_off(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from instrument.tracing import Tracing\n"
        "print(Tracing('shop', 'http://127.0.0.1:4318').enabled)\n"
    )
    environment = {"PYTHONPATH": str(Path.cwd())}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"
    assert "traces are off" in answer.stderr


def _gone() -> str:
    """A URL where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_collector_that_is_away_costs_a_fault_and_no_time(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    tracing = Tracing("shop", _gone())
    tracing.report_to(metrics)
    started = time.perf_counter()
    for _ in range(1000):
        with tracing.span("work"):
            pass
    tracing.close()
    assert time.perf_counter() - started < 10
    assert _faults(metrics) >= 1
    assert [record.name for record in caplog.records] == ["instrument.metrics"]


def test_a_collector_that_never_answers_does_not_hold_up_the_end(collector: Received) -> None:
    collector.answers.clear()
    tracing = Tracing("shop", collector.url)
    with tracing.span("work"):
        pass
    started = time.perf_counter()
    tracing.close()
    tracing.close()
    assert time.perf_counter() - started < 10


def test_a_collector_that_refuses_is_a_fault(collector: Received) -> None:
    collector.status = 400
    metrics = Metrics()
    with _traced(collector.url) as tracing:
        tracing.report_to(metrics)
        with tracing.span("work"):
            pass
    assert _faults(metrics) == 1


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="Probability"):
        Tracing("shop", "http://127.0.0.1:4318", ratio=ratio)
