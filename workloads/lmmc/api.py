"""The HTTP API of the LMMC server."""

import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import json_object, one_of, text_of
from workloads.faults import Faults
from workloads.lmmc.ai import AiService
from workloads.lmmc.metrics import ACTIVE, AI_OPERATIONS, PRIORITIES, STATUSES, LmmcMetrics
from workloads.lmmc.patterns import Detector
from workloads.lmmc.sockets import Hub
from workloads.lmmc.store import PAGE, Task, TaskStore, TransitionError
from workloads.lmmc.vectors import VectorError, Vectors

SIMILAR = 5
# One request in so many is logged; errors and task events always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("lmmc")

Handler = Callable[[Request], Awaitable[Response]]


class InjectedError(Exception):
    """An error that `http_errors` asked for."""


@dataclass(frozen=True)
class Api:
    """What handles requests, and the parts that it works with. Without Qdrant answers are poorer, not errors."""

    metrics: LmmcMetrics
    faults: Faults
    store: TaskStore
    vectors: Vectors
    ai: AiService
    detector: Detector
    hub: Hub
    _requests: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/tasks", self._open(self._create_task), methods=["POST"]),
            Route("/api/v1/tasks", self._open(self._list_tasks), methods=["GET"]),
            Route("/api/v1/tasks/{task_id}", self._open(self._get_task), methods=["GET"]),
            Route("/api/v1/tasks/{task_id}", self._open(self._change_status), methods=["PATCH"]),
            Route("/api/v1/search", self._open(self._search), methods=["POST"]),
            Route("/api/v1/patterns", self._open(self._detect_patterns), methods=["POST"]),
            Route("/api/v1/ai/{operation}", self._open(self._ask_ai), methods=["POST"]),
        ]

    async def failed(self, request: Request, problem: Exception) -> Response:
        """Exception handler for InjectedError."""
        _LOG.error("request failed", extra=_told(request, 500) | {"error": str(problem)})
        return JSONResponse({"error": str(problem)}, 500)

    async def forget(self, numbers: list[int]) -> None:
        """Take tasks that are no longer there out of Qdrant."""
        if numbers:
            try:
                await self.vectors.delete(numbers)
            except VectorError as problem:
                _LOG.error("tasks not deleted in Qdrant", extra={"error": str(problem)})

    def _open(self, handler: Handler) -> Handler:
        """The endpoint of a handler: open to the fault `http_errors`."""

        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            if self.faults.strikes("http_errors"):
                raise InjectedError("injected by the fault http_errors")
            response = await handler(request)
            if next(self._requests) % LOG_ONE_IN == 0:
                took = round(1000 * (time.perf_counter() - started), 3)
                _LOG.info("request", extra=_told(request, response.status_code) | {"duration_ms": took})
            return response

        return endpoint

    async def _create_task(self, request: Request) -> Response:
        asked = await json_object(request)
        content, repository = text_of(asked, "content"), text_of(asked, "repository")
        priority = one_of("priority", asked.get("priority", "medium"), PRIORITIES)
        status = one_of("status", asked.get("status", "pending"), ACTIVE)
        created = _moment(asked, "created_at")
        similar = await self._similar(content, SIMILAR)
        task = self.store.create(content, repository, priority, status, created)
        self.metrics.tasks.created(repository=repository, priority=priority, status=status)
        await self._index(task)
        self.hub.publish(repository, "task", task=task.told())
        _LOG.info("task created", extra={"task_id": task.task_id, "priority": priority})
        return JSONResponse(task.told() | {"similar": [each.task_id for each in similar or ()]}, 201)

    async def _list_tasks(self, request: Request) -> Response:
        status = request.query_params.get("status")
        if status is not None:
            one_of("status", status, STATUSES)
        tasks = self.store.newest(request.query_params.get("repository"), status)
        return JSONResponse({"tasks": [task.told() for task in tasks]})

    async def _get_task(self, request: Request) -> Response:
        return JSONResponse(self._found(request.path_params["task_id"]).told())

    async def _change_status(self, request: Request) -> Response:
        task = self._found(request.path_params["task_id"])
        status = one_of("status", (await json_object(request)).get("status"), STATUSES)
        try:
            seconds = self.store.move(task, status)
        except TransitionError as problem:
            raise HTTPException(409, str(problem)) from problem
        if seconds is not None:
            self.metrics.tasks.completed(seconds, repository=task.repository, priority=task.priority)
        if status == "cancelled":
            await self.forget([task.number])
        else:
            await self._index(task)
        self.hub.publish(task.repository, "task", task=task.told())
        _LOG.info("task moved", extra={"task_id": task.task_id, "status": status})
        return JSONResponse(task.told())

    async def _search(self, request: Request) -> Response:
        text = text_of(await json_object(request), "text")
        tasks = await self._similar(text, PAGE)
        source = "text" if tasks is None else "vectors"
        if tasks is None:
            tasks = self.store.containing(text, PAGE)
        return JSONResponse({"source": source, "tasks": [task.told() for task in tasks]})

    async def _detect_patterns(self, request: Request) -> Response:
        repository = text_of(await json_object(request), "repository")
        newest = self.store.newest(repository)
        similar = await self._similar(newest[0].content if newest else repository, SIMILAR)
        patterns = self.detector.detect(repository, len(similar or ()))
        return JSONResponse({"patterns": [vars(pattern) for pattern in patterns]})

    async def _ask_ai(self, request: Request) -> Response:
        operation = request.path_params["operation"]
        if operation not in AI_OPERATIONS:
            raise HTTPException(404, f"no AI operation {operation!r}; accepted: {', '.join(AI_OPERATIONS)}")
        task = self._found(text_of(await json_object(request), "task_id"))

        def answered(answer: str) -> None:
            task.notes[operation] = answer
            self.hub.publish(task.repository, "answer", task_id=task.task_id, operation=operation, answer=answer)

        if not self.ai.start(operation, task.content, answered):
            raise HTTPException(429, "too many AI calls are under way; wait a minute", {"Retry-After": "60"})
        return JSONResponse({"task_id": task.task_id, "operation": operation}, 202)

    async def _similar(self, text: str, limit: int) -> list[Task] | None:
        """Tasks like a text, nearest first; None without Qdrant."""
        try:
            found = await self.vectors.search(text, limit)
        except VectorError as problem:
            _LOG.error("search without Qdrant", extra={"error": str(problem)})
            return None
        tasks = (self.store.get(f"TASK-{number}") for number, _ in found)
        return [task for task in tasks if task]

    async def _index(self, task: Task) -> None:
        """Make a task known to Qdrant, if it answers."""
        try:
            await self.vectors.upsert(task.number, task.content, {"repository": task.repository, "status": task.status})
        except VectorError as problem:
            _LOG.error("task not in Qdrant", extra={"task_id": task.task_id, "error": str(problem)})

    def _found(self, task_id: str) -> Task:
        task = self.store.get(task_id)
        if task is None:
            raise HTTPException(404, f"no task {task_id!r}")
        return task


def _told(request: Request, status: int) -> dict[str, Any]:
    return {"method": request.method, "endpoint": request.scope["route"].path, "status": status}


def _moment(asked: dict[str, Any], key: str) -> float | None:
    """The Unix time of an RFC 3339 time in the past; None when it is not given."""
    value = asked.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value).timestamp() if "T" in value else None
    except (TypeError, ValueError, OverflowError):
        moment = None
    if moment is None or not 0 <= moment <= time.time():
        raise HTTPException(422, f"{key} {value!r} is not accepted; give a past time such as 2026-01-31T12:00:00Z")
    return moment
