"""The task API of the backend: each change is stored, audited, sent as an event, and pushed to open browsers."""

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import found, json_object, text_of
from workloads.phase5.events import Events
from workloads.phase5.metrics import AUDIT, COMPLETE, TASK, TASKS
from workloads.phase5.redis import Redis
from workloads.phase5.simulation import Simulation
from workloads.phase5.sockets import Sockets
from workloads.phase5.store import Store, Task
from workloads.pool import PoolTimeoutError

_LOG = logging.getLogger("phase5.backend")

Handler = Callable[[Request], Awaitable[Response]]


class InjectedError(Exception):
    """An error that a fault asked for."""


class Api:
    """The handlers, and what they work with."""

    def __init__(self, simulation: Simulation, store: Store, redis: Redis, events: Events, sockets: Sockets) -> None:
        self._sim = simulation
        self._store = store
        self._redis = redis
        self._events = events
        self._sockets = sockets

    def routes(self) -> list[Route]:
        return [
            Route(TASKS, self._faulty(self._create), methods=["POST"]),
            Route(TASKS, self._faulty(self._all), methods=["GET"]),
            Route(TASK, self._faulty(self._get), methods=["GET"]),
            Route(TASK, self._faulty(self._update), methods=["PATCH"]),
            Route(TASK, self._faulty(self._delete), methods=["DELETE"]),
            Route(COMPLETE, self._faulty(self._complete), methods=["POST"]),
            Route(AUDIT, self._faulty(self._history), methods=["GET"]),
        ]

    def _faulty(self, handler: Handler) -> Handler:
        """A handler that is open to the HTTP faults."""

        async def endpoint(request: Request) -> Response:
            await self._sim.pause(self._sim.faults.value("http_latency"))
            if self._sim.faults.strikes("http_errors"):
                raise InjectedError("injected by the fault http_errors")
            return await handler(request)

        return endpoint

    async def _create(self, request: Request) -> Response:
        title = text_of(await json_object(request), "title")
        with self._sim.metrics.tasks.attempt(operation="create"):
            task = await self._store.create(title, user(request))
        await self._changed(request, "create", task)
        return JSONResponse(task, 201)

    async def _all(self, _request: Request) -> Response:
        return JSONResponse({"tasks": await self._store.all()})

    async def _get(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        task = await self._redis.get(task_id)
        if task is None:
            task = found(await self._store.get(task_id), f"task {task_id!r}")
            await self._redis.set(task_id, task)
        return JSONResponse(task)

    async def _update(self, request: Request) -> Response:
        task_id, title = request.path_params["task_id"], text_of(await json_object(request), "title")
        with self._sim.metrics.tasks.attempt(operation="update"):
            task = found(await self._store.rename(task_id, title), f"task {task_id!r}")
        await self._changed(request, "update", task)
        return JSONResponse(task)

    async def _complete(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        with self._sim.metrics.tasks.attempt(operation="complete"):
            task = found(await self._store.complete(task_id), f"task {task_id!r}")
        await self._changed(request, "complete", task)
        return JSONResponse(task)

    async def _delete(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        with self._sim.metrics.tasks.attempt(operation="delete"):
            task = found(await self._store.delete(task_id), f"task {task_id!r}")
        await self._changed(request, "delete", task)
        return Response(status_code=204)

    async def _history(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        return JSONResponse({"taskId": task_id, "changes": await self._store.audit(task_id)})

    async def _changed(self, request: Request, operation: str, task: Task) -> None:
        told = {"taskId": task["taskId"], "userId": user(request), "operation": operation}
        await self._redis.delete(task["taskId"])
        await self._audit(told)
        self._events.changed(told)
        self._sockets.tell(told)
        _LOG.info("Task %sd", operation, extra=told)

    async def _audit(self, told: dict[str, str]) -> None:
        """Write the audit log. The change is made by now: a failure spoils no answer."""
        try:
            with self._sim.metrics.audit.attempt():
                if self._sim.faults.strikes("audit_errors"):
                    raise InjectedError("injected by the fault audit_errors")
                await self._store.write_audit(told["taskId"], told["userId"], told["operation"])
        except (InjectedError, PoolTimeoutError) as problem:
            _LOG.error("audit log not written", extra=told | {"error": str(problem)})


def user(request: Request) -> str:
    """Who asks."""
    return request.headers.get("x-user-id", "unknown")[:64]
