"""HTTP metrics of an ASGI application, and `/metrics` for it.

    http = Http(metrics, operations=operations(routes))
    app = Starlette(routes=[*routes, Route("/metrics", Exposition(metrics))])
    app.add_middleware(measured, http=http)

A request is counted before the last part of its answer is sent: a client that has its answer finds it counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from instrument.http import CLIENT_GONE, SCRAPE_TIMEOUT, UNCOUNTED, Http, scraped
from instrument.http.paths import below, is_below
from instrument.http.routes import Records, templates
from instrument.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Generator

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Servers that send files themselves get a message of its own for it.
_BODY = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")


def measured(app: ASGIApp, http: Http, *, uncounted: tuple[str, ...] = UNCOUNTED) -> ASGIApp:
    """The application, its HTTP requests counted except those for `uncounted`; itself when metrics are off.

    An exception counts as 500, a client that went away before its answer was complete as 499.
    """
    return _Measured(app, http, uncounted) if http.metrics.enabled else app


def operations(routes: Iterable[Any], *, uncounted: tuple[str, ...] = UNCOUNTED) -> list[tuple[str, str]]:
    """The pairs of method and route template that these routes serve, without those for `uncounted`."""
    pairs = ((method, each.path) for each in templates(routes) for method in each.methods)
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != "HEAD" and not is_below(pair[1], uncounted)))


class _Measured:
    def __init__(self, app: ASGIApp, http: Http, uncounted: tuple[str, ...]) -> None:
        self._app = app
        self._fault = partial(http.metrics.fault, "middleware")
        self._records = Records(http, app)
        self._known = self._records.known
        self._flying = http.flying
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (
            (scope["path"].startswith(self._uncounted) or scope.get("root_path")) and self._skips(scope)
        ):
            await self._app(scope, receive, send)
            return
        # None once counted. Until the answer says something else it is a failure.
        status: int | None = 500
        count = self._count
        self._flying.append(None)
        started = perf_counter()

        # Not a coroutine of its own: it hands on that of the server.
        def observed(message: Message) -> Awaitable[None]:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
            elif status is not None and kind in _BODY and not message.get("more_body"):
                count(scope, status, started)
                status = None
            return send(message)

        try:
            await self._app(scope, receive, observed)
        except BaseException as problem:
            if status is not None:
                count(scope, CLIENT_GONE if _went_away(problem) else 500, started)
            raise
        if status is not None:
            count(scope, CLIENT_GONE if _is_gone(receive) else 500, started)

    def _skips(self, scope: Scope) -> bool:
        return is_below(below(scope.get("root_path", ""), scope["path"]), self._uncounted)

    def _count(self, scope: Scope, status: int, started: float) -> None:
        self._flying.pop()
        try:
            # Starlette's outermost layer answers 500 to this exception too, while it handles it.
            if status == 500 and _went_away(sys.exc_info()[1]):
                status = CLIENT_GONE
            route = scope.get("route")
            record = self._known.get((scope["path"] if route is None else id(route), scope["method"], status))
            if record is None:
                record = self._records.find(scope, status)
            record(perf_counter() - started)
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, the application answers
            self._fault(repr(problem))


def _went_away(problem: BaseException | None) -> bool:
    requests = sys.modules.get("starlette.requests")
    gone: tuple[type[BaseException], ...] = (asyncio.CancelledError,)
    return isinstance(problem, (*gone, requests.ClientDisconnect) if requests else gone)


def _is_gone(receive: Receive) -> bool:
    """Whether the server says at once, to an application that has ended without an answer, that nobody waits for it.

    Starlette ends a stream so when its client leaves.
    """
    try:
        asked = receive().__await__()
        try:
            next(asked)
        finally:
            # Where it would have to wait, the client is there.
            cast("Generator[Any, Any, Any]", asked).close()
    except StopIteration as answer:
        return isinstance(answer.value, MutableMapping) and answer.value.get("type") == "http.disconnect"
    except Exception:  # noqa: BLE001 - a server's own: it has nothing to say
        return False
    return False


class Exposition:
    """`/metrics`: an ASGI application that answers a scrape in the format asked for, from a thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        accept, timeout = asked.get("accept", ""), asked.get(SCRAPE_TIMEOUT, "")
        status, body, content_type = await asyncio.to_thread(scraped, self._metrics, accept, timeout)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
