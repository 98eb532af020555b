"""Requests of an ASGI application are counted once, by their route, however they end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_calls import Message, call, counted, get, growth, scope, series
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from instrument import Metrics
from instrument.asgi import ASGIApp, Exposition, Receive, Scope, Send, measured, operations
from instrument.http import Http
from instrument.http.paths import Paths

GONE: Message = {"type": "http.disconnect"}


async def _fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def _broken(_request: Request) -> Response:
    raise OSError("disk")


class _Page(HTTPEndpoint):
    async def get(self, _request: Request) -> Response:
        return PlainTextResponse("page")

    async def put(self, _request: Request) -> Response:
        return PlainTextResponse("page")


ROUTES: list[BaseRoute] = [
    Route("/tasks", _fine),
    Route("/tasks", _fine, methods=["POST"]),
    Route("/tasks/{task_id}", _fine),
    Route("/broken", _broken),
    Route("/page", _Page),
    WebSocketRoute("/ws", _fine),
    Mount("/static", StaticFiles(directory=Path(__file__).parent)),
    Mount("/v1/{tenant}", routes=[Route("/users/{name}", _fine), Mount("/deep", routes=[Route("/end", _fine)])]),
    Host("admin.test", Router(routes=[Route("/admin", _fine)])),
]


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    return Metrics()


@pytest.fixture(params=["inside", "outside"], name="wrapped")
def _wrapped(request: pytest.FixtureRequest) -> Callable[..., ASGIApp]:
    """The middleware as Starlette's, and around it."""

    def wrap(http: Http, routes: list[BaseRoute] = ROUTES) -> ASGIApp:
        if request.param == "inside":
            return Starlette(routes=routes, middleware=[Middleware(measured, http=http)])
        return measured(Starlette(routes=routes), http)

    return wrap


@pytest.mark.parametrize(
    ("method", "path", "counts"),
    [
        ("GET", "/tasks", ("/tasks", "GET", "200")),
        ("POST", "/tasks", ("/tasks", "POST", "200")),
        ("GET", "/tasks/TASK-7", ("/tasks/{task_id}", "GET", "200")),
        ("PUT", "/page", ("/page", "PUT", "200")),
        ("GET", "/static/asgi_calls.py", ("/static/{path:path}", "GET", "200")),
        ("GET", "/static/none", ("/static/{path:path}", "GET", "404")),
        ("GET", "/v1/acme/users/ana", ("/v1/{tenant}/users/{name}", "GET", "200")),
        ("GET", "/v1/acme/deep/end", ("/v1/{tenant}/deep/end", "GET", "200")),
        ("GET", "/v1/acme/deep/none", ("unmatched", "GET", "404")),
        ("GET", "/none", ("unmatched", "GET", "404")),
        ("GET", "/tasks/", ("unmatched", "GET", "307")),
        ("DELETE", "/tasks", ("/tasks", "DELETE", "405")),
        ("BREW", "/none", ("unmatched", "other", "404")),
    ],
)
def test_request_counts_by_its_route_template(
    metrics: Metrics, wrapped: Callable[..., ASGIApp], method: str, path: str, counts: tuple[str, ...]
) -> None:
    app = wrapped(Http(metrics))
    get(app, path, path, method=method)
    assert counted(metrics) == {counts: 2}
    assert counted(metrics, "http_request_duration_seconds_count") == {counts[:2]: 2}


def test_host_routes_are_found(metrics: Metrics, wrapped: Callable[..., ASGIApp]) -> None:
    get(wrapped(Http(metrics)), "/admin", headers=[(b"host", b"admin.test")])
    assert counted(metrics) == {("/admin", "GET", "200"): 1}


def test_same_routes_mounted_twice_count_by_where_they_were_reached(
    metrics: Metrics, wrapped: Callable[..., ASGIApp]
) -> None:
    both = [Route("/users/{name}", _fine)]
    routes: list[BaseRoute] = [Mount("/v1", routes=both), Mount("/v2", routes=both)]
    get(wrapped(Http(metrics), routes), "/v1/users/ana", "/v2/users/ana", "/v2/users/bo")
    assert counted(metrics) == {("/v1/users/{name}", "GET", "200"): 1, ("/v2/users/{name}", "GET", "200"): 2}


def test_proxy_prefix_is_no_part_of_the_label(metrics: Metrics, wrapped: Callable[..., ASGIApp]) -> None:
    app = wrapped(Http(metrics))
    get(app, "/proxy/tasks", "/proxy/v1/acme/users/ana", "/proxy/metrics", root_path="/proxy")
    assert counted(metrics) == {("/tasks", "GET", "200"): 1, ("/v1/{tenant}/users/{name}", "GET", "200"): 1}


def test_routes_of_fastapi_have_the_prefix_of_their_router(metrics: Metrics) -> None:
    users = APIRouter(prefix="/users")

    @users.get("/{name}")
    async def _user(name: str) -> str:
        return name

    app = FastAPI(openapi_url=None)
    app.include_router(users, prefix="/v1")
    app.include_router(users, prefix="/v2")
    served = operations(app.routes)
    assert served == [("GET", "/v1/users/{name}"), ("GET", "/v2/users/{name}")]
    app.add_middleware(measured, http=Http(metrics, operations=served))
    get(app, "/v1/users/ana", "/v2/users/ana", "/v2/users/bo", "/none")
    assert counted(metrics) == {
        ("/v1/users/{name}", "GET", "200"): 1,
        ("/v2/users/{name}", "GET", "200"): 2,
        ("unmatched", "GET", "404"): 1,
    }


def test_operations_are_the_pairs_that_routes_serve() -> None:
    routes = [*ROUTES, Route("/metrics", Exposition(Metrics())), Mount("/_sim", routes=[Route("/faults", _fine)])]
    assert operations(routes) == [
        ("GET", "/tasks"),
        ("POST", "/tasks"),
        ("GET", "/tasks/{task_id}"),
        ("GET", "/broken"),
        ("GET", "/page"),
        ("PUT", "/page"),
        ("GET", "/v1/{tenant}/users/{name}"),
        ("GET", "/v1/{tenant}/deep/end"),
        ("GET", "/admin"),
    ]


def test_traffic_of_all_kinds_adds_no_series_to_the_declared_ones(
    metrics: Metrics, wrapped: Callable[..., ASGIApp]
) -> None:
    app = wrapped(Http(metrics, operations=operations(ROUTES)))
    before = series(metrics)
    for method in ("GET", "POST", "DELETE", "BREW", "HEAD", "OPTIONS"):
        get(app, "/tasks", "/tasks/1", "/none", "/static/asgi_calls.py", "/v1/a/users/b", "/tasks/", method=method)
    assert series(metrics) == before
    assert sum(counted(metrics).values()) == 36


def test_hundred_thousand_paths_make_no_more_series_than_configured(metrics: Metrics) -> None:
    app = measured(_plain, Http(metrics, paths=Paths(limit=10)))
    get(app, *(f"/page-{number}" for number in range(100_000)))
    assert len(series(metrics)) == 10
    assert sum(counted(metrics).values()) == 100_000


def test_methods_and_paths_that_clients_make_up_take_no_memory(
    metrics: Metrics, wrapped: Callable[..., ASGIApp]
) -> None:
    app = wrapped(Http(metrics))

    async def many() -> None:
        for number in range(3000):
            await call(app, f"BREW{number}", f"/tasks/{number}")

    get(app, "/tasks/0", method="BREW")
    assert growth(lambda: asyncio.run(many())) < 100_000


@pytest.mark.parametrize(
    ("path", "status", "label"),
    [
        ("/api/db/tasks/TASK-123", 200, "/api/db/tasks/{task_id}"),
        ("/about", 200, "/about"),
        ("/about", 404, "unmatched"),
        ("/about", 405, "unmatched"),
    ],
)
def test_application_without_a_router_counts_by_path_unless_there_is_none(
    metrics: Metrics, path: str, status: int, label: str
) -> None:
    app = measured(_answering(status), Http(metrics))
    get(app, path, path)
    assert counted(metrics) == {(label, "GET", str(status)): 2}


def test_paths_of_metrics_and_simulation_are_not_counted(metrics: Metrics) -> None:
    app = measured(_plain, Http(metrics))
    get(app, "/metrics", "/metrics/default", "/_sim/faults", "/metricsx", "/_sim")
    assert counted(metrics) == {("/metricsx", "GET", "200"): 1, ("/_sim", "GET", "200"): 1}


def test_exception_counts_as_500_and_is_raised_on(metrics: Metrics, wrapped: Callable[..., ASGIApp]) -> None:
    with pytest.raises(OSError, match="disk"):
        get(wrapped(Http(metrics)), "/broken")
    assert counted(metrics) == {("/broken", "GET", "500"): 1}


def test_exception_after_the_start_of_the_answer_counts_as_500(metrics: Metrics) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        get(measured(app, Http(metrics)), "/a")
    assert counted(metrics) == {("/a", "GET", "500"): 1}


def test_exception_after_the_answer_is_no_second_request(metrics: Metrics) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _plain(scope, receive, send)
        raise OSError("background task")

    with pytest.raises(OSError, match="background task"):
        get(measured(app, Http(metrics)), "/a")
    assert counted(metrics) == {("/a", "GET", "200"): 1}


def test_client_that_leaves_while_it_sends_counts_as_499(metrics: Metrics, wrapped: Callable[..., ASGIApp]) -> None:
    async def upload(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    app = wrapped(Http(metrics), [Route("/upload", upload, methods=["POST"]), *ROUTES])
    part = {"type": "http.request", "body": b"half", "more_body": True}
    with pytest.raises(ClientDisconnect):
        asyncio.run(call(app, "POST", "/upload", said=[part, GONE]))
    assert counted(metrics) == {("/upload", "POST", "499"): 1}
    assert get(app, "/tasks") == [200]


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_client_that_leaves_in_the_middle_of_a_stream_counts_as_499(
    metrics: Metrics, wrapped: Callable[..., ASGIApp], spec: str
) -> None:
    async def endless(_request: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            while True:
                yield "line\n"
                await asyncio.sleep(0)

        return StreamingResponse(lines())

    async def receive() -> Message:
        return GONE

    sent = 0

    async def send(_message: Message) -> None:
        nonlocal sent
        sent += 1
        if spec == "2.4" and sent > 3:
            raise OSError("connection lost")

    app = wrapped(Http(metrics), [Route("/stream", endless)])
    scope = {"type": "http", "method": "GET", "path": "/stream", "headers": [], "asgi": {"spec_version": spec}}
    work = app(scope, receive, send)
    if spec == "2.4":
        with pytest.raises(ClientDisconnect):
            asyncio.run(_all(work))
    else:
        asyncio.run(_all(work))
    assert counted(metrics) == {("/stream", "GET", "499"): 1}
    assert counted(metrics, "http_requests_in_flight") == {}


def test_cancelled_request_counts_as_499(metrics: Metrics) -> None:
    async def slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(3600)

    async def cancelled() -> None:
        task = asyncio.create_task(call(measured(slow, Http(metrics)), "GET", "/a"))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert counted(metrics) == {("/a", "GET", "499"): 1}


def test_answer_that_never_ends_counts_as_500(metrics: Metrics) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pass

    http = Http(metrics)
    get(measured(app, http), "/a")
    asyncio.run(call(measured(silent, http), "GET", "/b"))
    assert counted(metrics) == {("/a", "GET", "500"): 1, ("/b", "GET", "500"): 1}
    assert counted(metrics, "http_requests_in_flight") == {}


def test_server_that_has_nothing_more_to_receive_gives_no_exception(metrics: Metrics) -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pass

    def closed() -> Any:
        raise RuntimeError("nothing more")

    async def send(_message: Message) -> None:
        pass

    asyncio.run(_all(measured(silent, Http(metrics))(scope("GET", "/a"), closed, send)))
    assert counted(metrics) == {("/a", "GET", "500"): 1}


def test_request_is_counted_before_the_last_part_of_its_answer_is_sent(metrics: Metrics) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    seen: list[tuple[float, float]] = []

    async def send(_message: Message) -> None:
        flying = counted(metrics, "http_requests_in_flight").get((), 0)
        seen.append((sum(counted(metrics).values()), flying))

    async def receive() -> Message:
        return GONE

    scope = {"type": "http", "method": "GET", "path": "/a", "headers": []}
    asyncio.run(_all(measured(app, Http(metrics))(scope, receive, send)))
    assert seen == [(0, 1), (0, 1), (1, 0)]


def test_file_that_the_server_sends_itself_is_an_answer(metrics: Metrics) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/x"})

    get(measured(app, Http(metrics)), "/file")
    assert counted(metrics) == {("/file", "GET", "200"): 1}


def test_requests_under_way_are_counted(metrics: Metrics) -> None:
    async def together() -> None:
        released = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await released.wait()
            await _plain(scope, receive, send)

        counting = measured(app, Http(metrics))
        tasks = [asyncio.create_task(call(counting, "GET", "/a")) for _ in range(3)]
        await asyncio.sleep(0)
        assert counted(metrics, "http_requests_in_flight") == {(): 3}
        released.set()
        await asyncio.gather(*tasks)

    asyncio.run(together())
    assert counted(metrics, "http_requests_in_flight") == {}


def test_what_is_no_http_request_passes_untouched(metrics: Metrics) -> None:
    seen: list[tuple[object, ...]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def receive() -> Message:
        return {}

    async def send(_message: Message) -> None:
        pass

    for kind in ("websocket", "lifespan"):
        scope = {"type": kind, "path": "/ws"}
        asyncio.run(
            _all(
                measured(
                    app, Http(metrics, in_flight=f"{kind}_in_flight", total=f"{kind}_total", duration=f"{kind}_seconds")
                )(scope, receive, send)
            )
        )
        assert seen.pop() == (scope, receive, send)
    assert counted(metrics, "websocket_total") == {}


def test_application_answers_when_counting_fails(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no label")

    http = Http(metrics)
    monkeypatch.setattr(http.paths, "label", broken)
    assert get(measured(_plain, http), "/a") == [200]
    assert counted(metrics, "instrument_faults_total") == {("middleware",): 1}


def test_application_is_itself_when_metrics_are_off() -> None:
    http = Http(Metrics(enabled=False), operations=[("GET", "/a")])
    assert measured(_plain, http) is _plain


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (b"text/plain", b"text/plain; version=0.0.4; charset=utf-8"),
        (b"application/openmetrics-text;version=1.0.0", b"application/openmetrics-text; version=1.0.0"),
    ],
)
def test_scrape_is_answered_in_the_format_asked_for(metrics: Metrics, accept: bytes, content_type: bytes) -> None:
    app = Starlette(routes=[Route("/metrics", Exposition(metrics))])
    start, body = asyncio.run(call(app, "GET", "/metrics", headers=[(b"accept", accept)]))
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(content_type)
    assert int(headers[b"content-length"]) == len(body["body"])
    assert b"instrument_faults_total" in body["body"]


def test_scrape_whose_reading_hangs_does_not_stop_the_application(metrics: Metrics) -> None:
    async def both() -> list[Message]:
        loop = asyncio.get_running_loop()
        other = asyncio.Event()
        metrics.read("stock", "Read while the loop turns.", lambda: _turned(loop, other))
        return await call(Exposition(metrics), "GET", "/metrics")

    _, body = asyncio.run(both())
    assert b"\nstock 1.0\n" in body["body"]


def test_scrape_while_the_store_is_closed_has_the_rest(metrics: Metrics) -> None:
    def closed() -> float:
        raise OSError("store closed")

    metrics.read("stock", "Stock.", closed)
    start, body = asyncio.run(call(Exposition(metrics), "GET", "/metrics"))
    assert start["status"] == 200
    assert b'instrument_faults_total{part="reading"} 1.0' in body["body"]


def _turned(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> float:
    """1 as soon as the loop, which waits for the scrape, does something else in the meantime."""

    async def turn() -> float:
        event.set()
        return 1

    return asyncio.run_coroutine_threadsafe(turn(), loop).result(4)


async def _plain(scope: Scope, receive: Receive, send: Send) -> None:
    await _answering(200)(scope, receive, send)


def _answering(status: int) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    return app


async def _all(work: Any) -> None:
    await work


def test_an_answer_without_a_slow_reading_still_comes_before_prometheus_gives_up() -> None:
    release = threading.Event()
    metrics = Metrics()
    metrics.read("stock", "Stock.", lambda: float(release.wait(30)))
    headers = [(b"x-prometheus-scrape-timeout-seconds", b"0.2")]
    asked = time.monotonic()
    start, body = asyncio.run(call(Exposition(metrics), "GET", "/metrics", headers=headers))
    release.set()
    assert time.monotonic() - asked < 3
    assert start["status"] == 200
    assert b"stock 1.0" not in body["body"]
