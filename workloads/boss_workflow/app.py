"""The Boss Workflow application, put together from its parts."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from instrument.asgi import Exposition, measured
from instrument.health import Check, Health
from instrument.readings import KEEP
from instrument.tracing import Tracing
from workloads.body import refusal
from workloads.boss_workflow import admin, api
from workloads.boss_workflow.admin import Admin
from workloads.boss_workflow.api import InjectedError, TaskApi, told
from workloads.boss_workflow.metrics import BossMetrics
from workloads.boss_workflow.runtime import RuntimeMetrics, sized
from workloads.boss_workflow.services import LIMIT, Cache, RateLimiter, Redis, Simulation
from workloads.boss_workflow.store import MAX_OVERFLOW, POOL_SIZE, TaskStore
from workloads.faults import Fault, Faults
from workloads.pause import Pause
from workloads.pool import Hold, PoolTimeoutError

VERSION = "1.0.0"
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
OPERATIONS = (
    *api.OPERATIONS,
    *admin.OPERATIONS,
    *(("GET", path) for path in ("/health", "/health/live", "/health/ready", "/health/db")),
)
HOLD_EVERY = 0.2
PRUNE_EVERY = 10.0
CHECK_TIMEOUT = 4.0


class BossWorkflow:
    """The application and its parts. `app` is the ASGI application.

    `pace` stretches simulated waits (0: none), `limit` is what a client may ask in 10 seconds. What a scrape reads is
    good for others for `keep` seconds. `token` reads the secret of the administrator; without `alertmanager`, its base
    URL, there are no test alerts.
    """

    def __init__(
        self,
        seed: int,
        *,
        assignees: Sequence[str] = (),
        pace: float = 1.0,
        limit: int = LIMIT,
        metered: bool = True,
        keep: float = KEEP,
        tracing: Tracing | None = None,
        token: Callable[[], str | None] = lambda: None,
        alertmanager: str | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        tracing = tracing or Tracing("boss-workflow", None)
        endpoints = tuple(dict.fromkeys(path for _, path in OPERATIONS))
        self.metrics = BossMetrics(OPERATIONS, assignees, enabled=metered, exemplar=tracing.exemplar, keep=keep)
        self._runtime = RuntimeMetrics(endpoints, enabled=metered)
        rng = random.Random(seed)
        self.faults = Faults(FAULTS, rng)
        self._pause = Pause(pace)
        self._sim = Simulation(self.metrics, tracing, self.faults, self._pause, rng)
        self.store = TaskStore(self._sim)
        self._hold = Hold(self.store.pool)
        redis = Redis(self._sim)
        limited = [path for path in endpoints if path.startswith("/api/")]
        limiter = RateLimiter(redis, self.metrics, limited, limit)
        self.health = Health(
            self.metrics,
            [
                Check("database", self.store.ping, timeout=CHECK_TIMEOUT),
                Check("redis", redis.ping, critical=False, timeout=CHECK_TIMEOUT),
            ],
            version=VERSION,
            gauge="boss_health_check_status",
        )
        self.app = self._starlette(
            [
                *TaskApi(self._sim, self.store, Cache(redis, self._sim), limiter).routes(),
                *Admin(limiter.limits, token, alertmanager).routes(),
                Route("/health/db", self._health_db, methods=["GET"]),
                *self.health.routes(),
                Route("/metrics", Exposition(self.metrics)),
                Route("/metrics/default", Exposition(self._runtime)),
                *self.faults.routes(),
                *routes,
            ]
        )

    def stop(self) -> None:
        """Let requests under way end at once."""
        self.faults.clear()
        self._pause.stop()

    def _starlette(self, routes: list[Route]) -> Starlette:
        app = Starlette(
            routes=routes,
            middleware=[
                Middleware(self._sim.tracing.asgi),
                Middleware(measured, http=self.metrics.http),
                Middleware(sized, metrics=self._runtime),
            ],
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
        # Later checks, of a scrape too, run on the loop of the first.
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
            await asyncio.sleep(PRUNE_EVERY)
            try:
                await self.store.prune()
            except PoolTimeoutError as problem:
                self._sim.report("database", "error", "tasks not pruned", error=str(problem))

    async def _failure(self, kind: str, status: int, request: Request, problem: Exception) -> Response:
        self._sim.report(kind, "error", "request failed", **told(request, status), error=str(problem))
        return JSONResponse({"error": str(problem)}, status)

    async def _health_db(self, _request: Request) -> Response:
        report = await self.health.report("database")
        return JSONResponse(report.body() | {"pool": asdict(self.store.pool.state)}, report.code)
