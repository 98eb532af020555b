"""The HTTP API of GraphMemory: what its users ask, open to the HTTP faults."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import found, json_object, one_of, text_of
from workloads.faults import number
from workloads.graphmemory.extraction import Extractor
from workloads.graphmemory.graph import DEEPEST, Graph
from workloads.graphmemory.memories import Memories
from workloads.graphmemory.metrics import (
    EDGE_KINDS,
    EVENTS,
    INDEXES,
    NODE_KINDS,
    SOURCES,
    STEP_OUTCOMES,
    STEPS,
    GraphMemoryMetrics,
)
from workloads.graphmemory.postgres import Postgres
from workloads.graphmemory.simulation import OperationError, Simulation
from workloads.graphmemory.users import ActiveUsers

# An onboarding that takes longer than a week was given up and begun again.
LONGEST_ONBOARDING = 7 * 86400.0
# One request in so many is logged; errors always are.
LOG_ONE_IN = 10

_NAME = re.compile(r"[\w .()/-]{1,80}")
_LOG = logging.getLogger("graphmemory")

LONGEST = 2000


@dataclass(frozen=True)
class Parts:
    """What the handlers work with."""

    simulation: Simulation
    metrics: GraphMemoryMetrics
    postgres: Postgres
    graph: Graph
    memories: Memories
    extractor: Extractor
    users: ActiveUsers


class Handlers:
    """One method an operation of the API."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._requests = 0

    def routes(self) -> list[Route]:
        return [
            Route(path, partial(self._answer, action, handler), methods=[method])
            for method, path, action, handler in _SERVED
        ]

    async def _answer(self, action: str, handler: "Handler", request: Request) -> Response:
        started = time.perf_counter()
        faults = self._parts.simulation.faults
        await self._parts.simulation.pause(faults.value("http_latency"))
        if faults.strikes("http_errors"):
            raise OperationError("injected by the fault http_errors")
        response = await handler(self, request)
        self._parts.metrics.user_actions.inc(action=action)
        if user := request.headers.get("x-user-id"):
            self._parts.users.saw(user[:64])
        self._requests += 1
        if self._requests % LOG_ONE_IN == 0:
            took = round(1000 * (time.perf_counter() - started), 3)
            _LOG.info("request", extra=told(request, response.status_code) | {"duration_ms": took})
        return response

    async def sign_in(self, request: Request) -> Response:
        user = _name(await json_object(request), "user")
        return JSONResponse({"user": user, "visits": await self._parts.postgres.sign_in(user)}, 201)

    async def onboard(self, request: Request) -> Response:
        """A step of the assistant that greets a new user; `seconds` since it began, as the IDE measured them."""
        asked = await json_object(request)
        step, outcome = one_of("step", asked.get("step"), STEPS), one_of("outcome", asked.get("outcome"), STEP_OUTCOMES)
        seconds = number(asked, "seconds", 0, LONGEST_ONBOARDING)
        await self._parts.postgres.add_event("onboarding", f"{step} {outcome}")
        self._parts.metrics.steps.inc(step=step, outcome=outcome)
        if step == STEPS[-1] and outcome != "failed":
            self._parts.metrics.onboarding.observe(seconds)
        return JSONResponse({"step": step, "outcome": outcome}, 201)

    async def collaborate(self, request: Request) -> Response:
        event = one_of("event", (await json_object(request)).get("event"), EVENTS)
        await self._parts.postgres.add_event("collaboration", event)
        self._parts.metrics.collaboration.inc(event=event)
        return JSONResponse({"event": event}, 201)

    async def create_memory(self, request: Request) -> Response:
        asked = await json_object(request)
        index, text = one_of("index", asked.get("index"), INDEXES), text_of(asked, "text", LONGEST)
        return JSONResponse(await self._parts.memories.create(index, text), 201)

    async def read_memory(self, request: Request) -> Response:
        return JSONResponse(found(await self._parts.memories.read(_memory_id(request)), _here(request)))

    async def update_memory(self, request: Request) -> Response:
        text = text_of(await json_object(request), "text", LONGEST)
        return JSONResponse(found(await self._parts.memories.update(_memory_id(request), text), _here(request)))

    async def delete_memory(self, request: Request) -> Response:
        found(await self._parts.memories.delete(_memory_id(request)) or None, _here(request))
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        asked = await json_object(request)
        index, text = one_of("index", asked.get("index"), INDEXES), text_of(asked, "text", LONGEST)
        return JSONResponse({"matches": await self._parts.memories.search(index, text)})

    async def add_node(self, request: Request) -> Response:
        asked = await json_object(request)
        kind, name = one_of("kind", asked.get("kind"), NODE_KINDS), _name(asked, "name")
        await self._parts.graph.add_node(kind, name)
        return JSONResponse({"kind": kind, "name": name}, 201)

    async def add_edge(self, request: Request) -> Response:
        asked = await json_object(request)
        kind, source, target = (
            one_of("kind", asked.get("kind"), EDGE_KINDS),
            _name(asked, "source"),
            _name(asked, "target"),
        )
        found(await self._parts.graph.add_edge(kind, source, target) or None, _here(request))
        return JSONResponse({"kind": kind, "source": source, "target": target}, 201)

    async def query_graph(self, request: Request) -> Response:
        kind = one_of("kind", dict(request.query_params).get("kind"), NODE_KINDS)
        return JSONResponse({"nodes": await self._parts.graph.query(kind)})

    async def traverse(self, request: Request) -> Response:
        names = await self._parts.graph.traverse(request.path_params["name"], DEEPEST)
        return JSONResponse({"nodes": found(names, _here(request))})

    async def extract(self, request: Request) -> Response:
        asked = await json_object(request)
        source, name, text = (
            one_of("source", asked.get("source"), SOURCES),
            _name(asked, "name"),
            text_of(asked, "text", LONGEST),
        )
        work = BackgroundTask(self._parts.extractor.run, source, name, text)
        return JSONResponse({"source": source, "name": name}, 202, background=work)


Handler = Callable[[Handlers, Request], Awaitable[Response]]

_SERVED: Sequence[tuple[str, str, str, Handler]] = (
    ("POST", "/api/sessions", "sign_in", Handlers.sign_in),
    ("POST", "/api/onboarding", "onboard", Handlers.onboard),
    ("POST", "/api/projects/{project}/events", "collaborate", Handlers.collaborate),
    ("POST", "/api/memories", "create_memory", Handlers.create_memory),
    ("GET", "/api/memories/{memory_id}", "view_memory", Handlers.read_memory),
    ("PUT", "/api/memories/{memory_id}", "edit_memory", Handlers.update_memory),
    ("DELETE", "/api/memories/{memory_id}", "delete_memory", Handlers.delete_memory),
    ("POST", "/api/search", "search", Handlers.search),
    ("POST", "/api/graph/nodes", "explore_graph", Handlers.add_node),
    ("GET", "/api/graph/nodes", "explore_graph", Handlers.query_graph),
    ("GET", "/api/graph/nodes/{name}/neighbours", "explore_graph", Handlers.traverse),
    ("POST", "/api/graph/edges", "explore_graph", Handlers.add_edge),
    ("POST", "/api/extractions", "extract", Handlers.extract),
)
OPERATIONS = tuple((method, path) for method, path, _, _ in _SERVED)


def told(request: Request, status: int) -> dict[str, Any]:
    """What a log line says of a request."""
    return {"method": request.method, "route": request.scope["route"].path, "status": status}


def _name(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key)
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise HTTPException(422, f"{key} {value!r} is not accepted; give 1 to 80 letters, digits, spaces or ._()/-")


def _here(request: Request) -> str:
    return f"thing at {request.url.path}"


def _memory_id(request: Request) -> int:
    """0, which no memory has, for what is no number of SQLite's size."""
    text = request.path_params["memory_id"]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
