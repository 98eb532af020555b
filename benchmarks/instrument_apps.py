"""The applications that `benchmarks.instrument` serves and calls: bare, with instrument/, with another's middleware."""

from __future__ import annotations

import time
from types import SimpleNamespace

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from instrument import Metrics
from instrument.asgi import ASGIApp, Receive, Scope, Send, measured, operations
from instrument.http import Http

_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_BODY = {"type": "http.response.body", "body": b""}
_ROUTE = SimpleNamespace(path="/tasks/{task_id}")
MILLISECOND = 1e-3


async def empty(scope: Scope, _receive: Receive, send: Send) -> None:
    """Nothing but an answer, and what a router leaves in the scope."""
    scope["route"] = _ROUTE
    await send(_START)
    await send(_BODY)


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """A millisecond of work, by the clock: sleeping instead would hide what is measured in the timer's own error."""
    until = time.perf_counter() + MILLISECOND
    while time.perf_counter() < until:
        pass
    await empty(scope, receive, send)


def instrumented(app: ASGIApp) -> ASGIApp:
    return measured(app, Http(Metrics(), operations=[("GET", _ROUTE.path)]))


empty_instrumented = instrumented(empty)


async def either(scope: Scope, receive: Receive, send: Send) -> None:
    """Both in one process: two processes of one program can differ by more than what is measured."""
    await (empty_instrumented if scope["path"] == "/ours" else empty)(scope, receive, send)


def fastapi() -> FastAPI:
    """An application of a few routes; the last one is asked for."""
    app = FastAPI(openapi_url=None)
    for name in ("users", "teams", "tasks"):
        app.get(f"/{name}")(_nothing)
        app.get(f"/{name}/{{number}}")(_nothing)
    return app


def fastapi_instrumented() -> FastAPI:
    app = fastapi()
    app.add_middleware(measured, http=Http(Metrics(), operations=operations(app.routes)))
    return app


def fastapi_instrumentator() -> FastAPI:
    """The instrumentator that PyPI counts most downloads of, as its own page says to use it."""
    app = fastapi()
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


async def _nothing() -> PlainTextResponse:
    return PlainTextResponse("")
