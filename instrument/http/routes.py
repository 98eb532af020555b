"""Route templates of Starlette and FastAPI, mounts and included routers with their prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from instrument.http import METHODS, Http
from instrument.http.paths import below, matcher
from instrument.http.timings import Record
from instrument.metrics import UNMATCHED

# Combinations that are remembered. An application that makes routes as it goes costs a little more beyond.
KEPT = 10_000


class Template(NamedTuple):
    """What a route object stands for. FastAPI may have the same object in several places."""

    route: Any
    path: str
    methods: tuple[str, ...]


def templates(routes: Iterable[Any], prefix: str = "") -> Iterator[Template]:
    """The templates of these routes and of those below them."""
    for route in routes:
        if contexts := getattr(route, "effective_route_contexts", None):
            yield from _included(route, contexts(), prefix)
            continue
        path = prefix + getattr(route, "path", "")
        if not hasattr(route, "routes"):
            yield Template(route, path, _methods(route))
        elif below := route.routes:
            # Reached and no further: there is nothing of that name below the mount.
            yield Template(route, UNMATCHED, ())
            yield from templates(below, path)
        else:
            yield Template(route, path + "/{path:path}", ())


def _included(router: Any, contexts: Iterable[Any], prefix: str) -> Iterator[Template]:
    """The routes of a router that FastAPI has included: the prefix is not in the routes themselves."""
    for context in contexts:
        if context.starlette_route is not None:
            found = list(templates([context.starlette_route], prefix))
        else:
            found = [Template(context.original_route, prefix + context.path, tuple(sorted(context.methods)))]
        yield from found
        # Of plain Starlette routes the scope may hold the router alone.
        yield from (Template(router, each.path, ()) for each in found)


def _methods(route: Any) -> tuple[str, ...]:
    if not hasattr(route, "methods"):
        return ()
    if route.methods is not None:
        return tuple(sorted(route.methods))
    if isinstance(route.endpoint, type):
        return tuple(method for method in METHODS if hasattr(route.endpoint, method.lower()))
    return ("GET",)


class Records:
    """Finds what counts a request, from what the router has left in its scope."""

    def __init__(self, http: Http, app: Any) -> None:
        self._http = http
        self._app = app
        # By route, method and status. Starlette's routes have no hash: it is their identity. Where there is no router
        # it is the path, if that is a label itself: others are as many as clients like.
        self.known: dict[tuple[int | str, str, int], Record] = {}
        # The templates by route, and the route itself, so that no other object gets its identity.
        self._templates: dict[int, tuple[tuple[str, ...], Any]] = {}

    def find(self, scope: Mapping[str, Any], status: int) -> Record:
        route = scope.get("route")
        if route is None:
            return self._without_route(scope, status)
        found = self._found(route, scope)
        if len(found) > 1:
            return self._record(scope, self._http.paths.label("", _longest(found, scope["path"]), status), status)
        record = self._record(scope, self._http.paths.label("", found[0], status), status)
        if id(route) in self._templates:
            self._keep(id(route), scope["method"], status, record)
        return record

    def _found(self, route: Any, scope: Mapping[str, Any]) -> tuple[str, ...]:
        """The templates of a route: several where the application has it in several places."""
        if id(route) in self._templates:
            return self._templates[id(route)][0]
        routes = _routes(self._app) or _routes(scope.get("router"))
        found = tuple(dict.fromkeys(each.path for each in templates(routes) if each.route is route))
        found = found or (str(getattr(route, "path", UNMATCHED)),)
        if len(self._templates) < KEPT:
            self._templates[id(route)] = found, route
        return found

    def _without_route(self, scope: Mapping[str, Any], status: int) -> Record:
        if "app" in scope or "router" in scope:
            # Where there is a router, what has no route is none of the application's paths.
            return self._record(scope, UNMATCHED, status)
        label = self._http.paths.label(below(scope.get("root_path", ""), scope["path"]), None, status)
        record = self._record(scope, label, status)
        if label == scope["path"]:
            self._keep(label, scope["method"], status, record)
        return record

    def _record(self, scope: Mapping[str, Any], label: str, status: int) -> Record:
        return self._http.recorder(scope["method"], label, status)

    def _keep(self, key: int | str, method: str, status: int, record: Record) -> None:
        if method in METHODS and len(self.known) < KEPT:
            self.known[key, method, status] = record


def _routes(app: Any) -> Sequence[Any]:
    """The routes of an application, below whatever middleware."""
    while app is not None and not hasattr(app, "routes"):
        app = getattr(app, "app", None)
    return getattr(app, "routes", ())


_matcher = lru_cache(maxsize=1000)(matcher)


def _longest(found: Iterable[str], path: str) -> str:
    """The template that says most of the path. Before it there may be the prefix of a proxy."""
    fitting = [template for template in found if _matcher("{before:path}" + template).fullmatch(path)]
    return max(fitting, key=len, default=UNMATCHED)
