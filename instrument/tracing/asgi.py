"""One server span for each request of an ASGI application, named by its route."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from instrument.http import METHODS
from instrument.http.paths import below, is_below
from instrument.http.routes import templates
from instrument.metrics import UNMATCHED

if TYPE_CHECKING:
    from instrument.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrument.tracing import Span, Tracing

# Routes that are remembered. An application that makes routes as it goes has spans without one beyond.
KEPT = 10_000


class Traced:
    """`app` within spans. Goes on with the trace that the request's headers bring."""

    def __init__(self, app: ASGIApp, tracing: Tracing, untraced: tuple[str, ...]) -> None:
        self._app = app
        self._tracing = tracing
        self._untraced = untraced
        # By identity, as Starlette's routes have no hash; the route is kept so that no other gets its identity.
        self._known: dict[int, tuple[str, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or is_below(below(scope.get("root_path", ""), scope["path"]), self._untraced):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._tracing.remote(headers):
            if scope["type"] == "http":
                await self._request(scope, receive, send)
            else:
                # A connection lives for hours: its messages are the spans, and the application's to make.
                await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Any other word is the client's invention, and no name for a span.
        method = scope["method"] if scope["method"] in METHODS else "HTTP"
        # Of a mounted application the scope has another by the time that the answer is there.
        app = self._app if hasattr(self._app, "routes") else scope.get("app")
        about = {"http.request.method": method, "url.path": scope["path"]}
        with self._tracing.span(method, kind="server", **about) as span:
            answered = False

            async def answer(message: Message) -> None:
                nonlocal answered
                if message["type"] == "http.response.start":
                    answered = True
                    _answered(span, message["status"])
                await send(message)

            try:
                await self._app(scope, receive, answer)
            except Exception:
                # Whoever is outside of this answers it with 500.
                if not answered:
                    _answered(span, 500)
                raise
            finally:
                # The route is known only after the handler.
                if template := self._template(scope, app):
                    span.rename(f"{method} {template}")
                    span.set(**{"http.route": template})

    def _template(self, scope: Scope, app: Any) -> str:
        """The path of the route that answered, with names for its parameters; empty without one."""
        route = scope.get("route")
        if route is None:
            return ""
        if id(route) not in self._known:
            if len(self._known) >= KEPT:
                return ""
            routes = getattr(app or scope.get("app") or scope.get("router"), "routes", ())
            self._known[id(route)] = _find(routes, route), route
        return self._known[id(route)][0]


def _find(routes: Iterable[Any], route: Any) -> str:
    found = {each.path for each in templates(routes) if each.route is route and each.path != UNMATCHED}
    # A route in several places: which one it was this time is not worth a search.
    return found.pop() if len(found) == 1 else str(getattr(route, "path", ""))


def _answered(span: Span, status: int) -> None:
    span.set(**{"http.response.status_code": status})
    if status >= 500:
        span.fail()
