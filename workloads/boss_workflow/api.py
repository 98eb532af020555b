"""The task API of the Boss Workflow application: what its users ask, limited by client and open to the HTTP faults."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import found, json_object, one_of, text_of
from workloads.boss_workflow.metrics import AI_OPERATIONS, PRIORITIES, TASK_STATUSES
from workloads.boss_workflow.services import Ai, Cache, Discord, RateLimiter, ServiceError, Simulation
from workloads.boss_workflow.store import Task, TaskStore, TransitionError

TASK_SECONDS = 60
LIST_SECONDS = 10
# One request in so many is logged; errors and task events always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("boss")


class InjectedError(Exception):
    """An error that `http_errors` asked for."""


class TaskApi:
    """The handlers, over the store, the cache, the AI service and Discord."""

    def __init__(self, simulation: Simulation, store: TaskStore, cache: Cache, limiter: RateLimiter) -> None:
        self._sim = simulation
        self._store = store
        self._cache = cache
        self._limiter = limiter
        self._ai = Ai(simulation)
        self._discord = Discord(simulation)
        self._requests = 0

    def routes(self) -> list[Route]:
        return [Route(path, partial(self._answer, handler), methods=[method]) for method, path, handler in _SERVED]

    async def _answer(self, handler: "Handler", request: Request) -> Response:
        started = time.perf_counter()
        await self._sim.pause(self._sim.faults.value("http_latency"))
        if not await self._limiter.admits(_client(request), request.scope["route"].path):
            raise HTTPException(429, "too many requests; wait 10 seconds", {"Retry-After": "10"})
        if self._sim.faults.strikes("http_errors"):
            raise InjectedError("injected by the fault http_errors")
        response = await handler(self, request)
        self._log_request(request, response.status_code, time.perf_counter() - started)
        return response

    def _log_request(self, request: Request, status: int, seconds: float) -> None:
        self._requests += 1
        if self._requests % LOG_ONE_IN == 0:
            _LOG.info("request", extra=told(request, status) | {"duration_ms": round(1000 * seconds, 3)})

    async def create_task(self, request: Request) -> Response:
        asked = await json_object(request)
        title, assignee = text_of(asked, "title"), text_of(asked, "assignee")
        priority = one_of("priority", asked.get("priority"), PRIORITIES)
        task = await self._store.create_task(title, assignee, priority)
        await self._cache.store(task["task_id"], task, TASK_SECONDS)
        _LOG.info("task created", extra={"task_id": task["task_id"], "priority": priority})
        return JSONResponse(task, 201, background=self._message("tasks", task))

    async def list_tasks(self, request: Request) -> Response:
        status = request.query_params.get("status")
        if status is not None:
            one_of("status", status, TASK_STATUSES)
        key = f"list:{status}"
        tasks = await self._cache.lookup("list_tasks", key)
        if tasks is None:
            tasks = await self._store.list_tasks(status)
            await self._cache.store(key, tasks, LIST_SECONDS)
        return JSONResponse({"tasks": tasks})

    async def get_task(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        task = await self._cache.lookup("get_task", task_id)
        if task is None:
            task = found(await self._store.get_task(task_id), f"task {task_id!r}")
            await self._cache.store(task_id, task, TASK_SECONDS)
        return JSONResponse(task)

    async def change_status(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        asked = await json_object(request)
        status = one_of("status", asked.get("status"), TASK_STATUSES)
        try:
            task = found(await self._store.change_status(task_id, status), f"task {task_id!r}")
        except TransitionError as problem:
            raise HTTPException(409, str(problem)) from problem
        await self._cache.store(task_id, task, TASK_SECONDS)
        _LOG.info("task moved", extra={"task_id": task_id, "status": status})
        channel = {"in_review": "reviews", "completed": "completions"}.get(status)
        return JSONResponse(task, background=self._message(channel, task) if channel else None)

    async def get_audit(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        changes = found(await self._store.get_audit(task_id), f"task {task_id!r}")
        return JSONResponse({"task_id": task_id, "changes": changes})

    async def ask_ai(self, request: Request) -> Response:
        operation = request.path_params["operation"]
        if operation not in AI_OPERATIONS:
            raise HTTPException(404, f"no AI operation {operation!r}; accepted: {', '.join(AI_OPERATIONS)}")
        text = text_of(await json_object(request), "text")
        try:
            answer = await self._ai.ask(operation, text)
        except ServiceError as problem:
            # A failing AI degrades the answer, not the service.
            self._sim.report("ai", "warning", "AI call failed", operation=operation, error=str(problem))
            return JSONResponse({"answer": text, "source": "fallback"})
        return JSONResponse({"answer": answer, "source": "ai"})

    def _message(self, channel: str, task: Task) -> BackgroundTask:
        return BackgroundTask(self._discord.send, channel, f"{task['task_id']} is {task['status']}: {task['title']}")


Handler = Callable[[TaskApi, Request], Awaitable[Response]]

_SERVED: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/api/db/tasks", TaskApi.create_task),
    ("GET", "/api/db/tasks", TaskApi.list_tasks),
    ("GET", "/api/db/tasks/{task_id}", TaskApi.get_task),
    ("PATCH", "/api/db/tasks/{task_id}", TaskApi.change_status),
    ("GET", "/api/db/audit/{task_id}", TaskApi.get_audit),
    ("POST", "/api/ai/{operation}", TaskApi.ask_ai),
)
OPERATIONS = tuple((method, path) for method, path, _ in _SERVED)


def told(request: Request, status: int) -> dict[str, Any]:
    """What a log line says of a request."""
    return {"method": request.method, "endpoint": request.scope["route"].path, "status": status}


def _client(request: Request) -> str:
    host = request.client.host if request.client else "unknown"
    return request.headers.get("x-client-id", host)[:64]
