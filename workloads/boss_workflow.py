"""The Boss Workflow application, simulated: a task service with a database, Redis, AI calls and Discord.

    python -m workloads.boss_workflow --listen 127.0.0.1:18000 --log-file log/app.jsonl --seed 1 --rate 20

It sends itself `--rate` requests a second, and goes wrong on demand: `GET /_sim/faults` lists how.
"""

import argparse
import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads import logs
from workloads.body import json_object, refusal
from workloads.boss_health import Health
from workloads.boss_metrics import (
    AI_OPERATIONS,
    POOL_STATES,
    PRIORITIES,
    TASK_STATUSES,
    BossMetrics,
    RequestMetrics,
)
from workloads.boss_services import LIMIT, Ai, Cache, Discord, RateLimiter, Redis, ServiceError, Simulation
from workloads.boss_store import MAX_OVERFLOW, POOL_SIZE, Task, TaskStore, TransitionError
from workloads.boss_traffic import BossTraffic
from workloads.faults import Fault, Faults
from workloads.load import Load
from workloads.pause import Pause
from workloads.pool import Hold, PoolTimeoutError
from workloads.serve import address, serve

FAULTS = (
    Fault("http_errors", "share of API requests answered with 500", 1),
    Fault("http_latency", "seconds added to every API request", 60),
    Fault("db_pool_hold", "connections kept out of the pool, overflow included", POOL_SIZE + MAX_OVERFLOW),
    Fault("db_latency", "seconds added to every query", 60),
    Fault("ai_errors", "share of AI calls that fail", 1),
    Fault("discord_errors", "share of Discord messages that fail", 1),
    Fault("cache_miss", "share of cache lookups that miss whatever is there", 1),
    Fault("redis_down", "share of Redis operations that fail", 1),
)
TASK_SECONDS = 60
LIST_SECONDS = 10
HOLD_EVERY = 0.2
CHECK_EVERY = 10.0
# One request in so many is logged; errors and task events always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("boss")

Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class InjectedError(Exception):
    """An error that `http_errors` asked for."""


class BossWorkflow:
    """The application and its parts. `app` is the ASGI application.

    `pace` stretches simulated waits (0: none), `limit` is what a client may ask in 10 seconds.
    """

    def __init__(
        self,
        seed: int,
        *,
        assignees: tuple[str, ...] = (),
        pace: float = 1.0,
        limit: int = LIMIT,
        routes: Sequence[Route] = (),
    ) -> None:
        served = self._routes()
        self.metrics = BossMetrics(
            [(method, route.path) for route in served for method in sorted((route.methods or set()) - {"HEAD"})],
            assignees,
        )
        rng = random.Random(seed)
        self.faults = Faults(FAULTS, rng)
        self._pause = Pause(pace)
        self._sim = Simulation(self.metrics, self.faults, self._pause, rng)
        self.store = TaskStore(self._sim)
        self._hold = Hold(self.store.pool)
        self._redis = Redis(self._sim)
        self._cache = Cache(self._redis, self._sim)
        self._limiter = RateLimiter(self._redis, limit)
        self._ai = Ai(self._sim)
        self._discord = Discord(self._sim)
        probes = {"database": self.store.ping, "redis": self._redis.ping}
        self.health = Health(self.metrics, probes, critical=("database",))
        self._requests = 0
        self._read_at_scrape()
        unmeasured = [Route("/metrics", self._scrape), *self.faults.routes(), *routes]
        self.app = self._starlette([*served, *unmeasured])

    def stop(self) -> None:
        """Let requests under way end at once."""
        self.faults.clear()
        self._pause.stop()

    def _routes(self) -> list[Route]:
        return [
            Route("/api/db/tasks", self._api(self._create_task), methods=["POST"]),
            Route("/api/db/tasks", self._api(self._list_tasks), methods=["GET"]),
            Route("/api/db/tasks/{task_id}", self._api(self._get_task), methods=["GET"]),
            Route("/api/db/tasks/{task_id}", self._api(self._change_status), methods=["PATCH"]),
            Route("/api/db/audit/{task_id}", self._api(self._get_audit), methods=["GET"]),
            Route("/api/ai/{operation}", self._api(self._ask_ai), methods=["POST"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/health/db", self._health_db, methods=["GET"]),
        ]

    def _starlette(self, routes: list[Route]) -> Starlette:
        app = Starlette(
            routes=routes,
            middleware=[Middleware(RequestMetrics, metrics=self.metrics, uncounted=("/_sim/", "/metrics"))],
            exception_handlers={
                HTTPException: refusal,
                InjectedError: partial(self._failure, "api", 500),
                PoolTimeoutError: partial(self._failure, "database", 503),
            },
            lifespan=self._lifespan,
        )
        # A redirect for a trailing slash would be an answer with no endpoint and no handler.
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.health.report()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._keep_held(), self._keep_house())]
            yield
            for task in tasks:
                task.cancel()
        await self._hold.keep(0)
        self.store.close()

    async def _keep_held(self) -> None:
        while True:
            await self._hold.keep(int(self.faults.value("db_pool_hold")))
            await asyncio.sleep(HOLD_EVERY)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            await self.health.report()
            try:
                await self.store.prune()
            except PoolTimeoutError as problem:
                self._sim.report("database", "error", "tasks not pruned", error=str(problem))

    def _read_at_scrape(self) -> None:
        for status in TASK_STATUSES:
            self.metrics.tasks_by_status.labels(status).set_function(partial(self.store.count, status))
        for state in POOL_STATES:
            self.metrics.db_pool.labels(state).set_function(partial(self._pool_connections, state))
        self.metrics.near_limit.set_function(self._limiter.near)

    def _pool_connections(self, state: str) -> int:
        return int(getattr(self.store.pool.state, state))

    def _api(self, handler: Handler) -> Handler:
        """An API request: limited by client, and open to the HTTP faults."""

        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            await self._pause(self.faults.value("http_latency"))
            if not await self._limiter.admits(_client(request)):
                self.metrics.rate_limited.labels(request.scope["route"].path).inc()
                raise HTTPException(429, "too many requests; wait 10 seconds", {"Retry-After": "10"})
            if self.faults.strikes("http_errors"):
                raise InjectedError("injected by the fault http_errors")
            response = await handler(request)
            self._log_request(request, response.status_code, time.perf_counter() - started)
            return response

        return endpoint

    def _log_request(self, request: Request, status: int, seconds: float) -> None:
        self._requests += 1
        if self._requests % LOG_ONE_IN == 0:
            _LOG.info("request", extra=_told(request, status) | {"duration_ms": round(1000 * seconds, 3)})

    async def _failure(self, kind: str, status: int, request: Request, problem: Exception) -> Response:
        self._sim.report(kind, "error", "request failed", **_told(request, status), error=str(problem))
        return JSONResponse({"error": str(problem)}, status)

    async def _create_task(self, request: Request) -> Response:
        asked = await json_object(request)
        title, assignee = _text(asked, "title"), _text(asked, "assignee")
        priority = _one_of("priority", asked.get("priority"), PRIORITIES)
        task = await self.store.create_task(title, assignee, priority)
        await self._cache.store(task["task_id"], task, TASK_SECONDS)
        _LOG.info("task created", extra={"task_id": task["task_id"], "priority": priority})
        return JSONResponse(task, 201, background=self._message("tasks", task))

    async def _list_tasks(self, request: Request) -> Response:
        status = request.query_params.get("status")
        if status is not None:
            _one_of("status", status, TASK_STATUSES)
        key = f"list:{status}"
        tasks = await self._cache.lookup("list_tasks", key)
        if tasks is None:
            tasks = await self.store.list_tasks(status)
            await self._cache.store(key, tasks, LIST_SECONDS)
        return JSONResponse({"tasks": tasks})

    async def _get_task(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        task = await self._cache.lookup("get_task", task_id)
        if task is None:
            task = _found(await self.store.get_task(task_id), task_id)
            await self._cache.store(task_id, task, TASK_SECONDS)
        return JSONResponse(task)

    async def _change_status(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        asked = await json_object(request)
        status = _one_of("status", asked.get("status"), TASK_STATUSES)
        try:
            task = _found(await self.store.change_status(task_id, status), task_id)
        except TransitionError as problem:
            raise HTTPException(409, str(problem)) from problem
        await self._cache.store(task_id, task, TASK_SECONDS)
        _LOG.info("task moved", extra={"task_id": task_id, "status": status})
        channel = {"in_review": "reviews", "completed": "completions"}.get(status)
        return JSONResponse(task, background=self._message(channel, task) if channel else None)

    async def _get_audit(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        changes = _found(await self.store.get_audit(task_id), task_id)
        return JSONResponse({"task_id": task_id, "changes": changes})

    async def _ask_ai(self, request: Request) -> Response:
        operation = request.path_params["operation"]
        if operation not in AI_OPERATIONS:
            raise HTTPException(404, f"no AI operation {operation!r}; accepted: {', '.join(AI_OPERATIONS)}")
        text = _text(await json_object(request), "text")
        try:
            answer = await self._ai.ask(operation, text)
        except ServiceError as problem:
            # A failing AI degrades the answer, not the service.
            self._sim.report("ai", "warning", "AI call failed", operation=operation, error=str(problem))
            return JSONResponse({"answer": text, "source": "fallback"})
        return JSONResponse({"answer": answer, "source": "ai"})

    async def _health(self, _request: Request) -> Response:
        return _health_response(await self.health.report())

    async def _health_db(self, _request: Request) -> Response:
        report = await self.health.report("database")
        return _health_response(report | {"pool": dataclasses.asdict(self.store.pool.state)})

    async def _scrape(self, _request: Request) -> Response:
        text, content_type = self.metrics.exposition()
        return Response(text, headers={"Content-Type": content_type})

    def _message(self, channel: str, task: Task) -> BackgroundTask:
        return BackgroundTask(self._discord.send, channel, f"{task['task_id']} is {task['status']}: {task['title']}")


def main() -> None:
    asked = _arguments()
    logs.configure("boss-workflow", asked.log_file)
    load = Load(BossTraffic(asked.rate), asked.rate, asked.seed)
    boss = BossWorkflow(asked.seed, assignees=tuple(asked.assignee), routes=load.routes())
    serve(boss.app, asked.listen, beside=partial(load.run, asked.listen), stopping=boss.stop)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workloads.boss_workflow")
    parser.add_argument("--listen", type=address, default="127.0.0.1:8000", metavar="HOST:PORT")
    parser.add_argument("--log-file", type=Path, help="JSON lines, rotated; default: standard output")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second that it sends itself")
    parser.add_argument("--assignee", action="append", default=[], help="a person named in metrics; repeatable")
    return parser.parse_args()


def _client(request: Request) -> str:
    host = request.client.host if request.client else "unknown"
    return request.headers.get("x-client-id", host)[:64]


def _told(request: Request, status: int) -> dict[str, Any]:
    return {"method": request.method, "endpoint": request.scope["route"].path, "status": status}


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key)
    if isinstance(value, str) and 0 < len(value) <= 200:
        return value
    raise HTTPException(422, f"{key} {value!r} is not accepted; give a text of 1 to 200 characters")


def _one_of(key: str, value: object, accepted: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in accepted:
        return value
    raise HTTPException(422, f"{key} {value!r} is not accepted; give one of {', '.join(accepted)}")


def _found(value: T | None, task_id: str) -> T:
    if value is None:
        raise HTTPException(404, f"no task {task_id!r}")
    return value


def _health_response(report: dict[str, Any]) -> JSONResponse:
    return JSONResponse(report, 503 if report["status"] == "unhealthy" else 200)


if __name__ == "__main__":
    main()
