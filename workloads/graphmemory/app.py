"""The GraphMemory API, put together from its parts."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx
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
from workloads.faults import Faults
from workloads.graphmemory import exporters, handlers
from workloads.graphmemory.extraction import Extractor
from workloads.graphmemory.graph import Graph
from workloads.graphmemory.handlers import Handlers, Parts, told
from workloads.graphmemory.memories import Memories
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.postgres import Postgres
from workloads.graphmemory.redis import Redis, RedisCache
from workloads.graphmemory.simulation import FAULTS, OperationError, Simulation, UnavailableError
from workloads.graphmemory.users import ActiveUsers
from workloads.graphmemory.vectors import VectorIndex
from workloads.pause import Pause
from workloads.pool import PoolTimeoutError

SERVICE = "graphmemory-api"
VERSION = "1.0.0"
# The names of their ports.
EXPORTERS = ("postgres-exporter", "redis-exporter")
OPERATIONS = (*handlers.OPERATIONS, *(("GET", path) for path in ("/health", "/health/live", "/health/ready")))
HOLD_EVERY = 0.2
PRUNE_EVERY = 10.0

_LOG = logging.getLogger("graphmemory")


class GraphMemory:
    """The application and its parts. `app` serves the API, `exporters` by port name what the exporters would.

    `pace` stretches simulated waits (0: none). What is read for one scrape is good for others for `keep` seconds.
    `bridge` is a client of the alert bridge; without it there is no such health check.
    """

    def __init__(
        self,
        seed: int,
        *,
        pace: float = 1.0,
        metered: bool = True,
        keep: float = KEEP,
        tracing: Tracing | None = None,
        bridge: httpx.AsyncClient | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        tracing = tracing or Tracing(SERVICE, None)
        rng = random.Random(seed)
        self.metrics = GraphMemoryMetrics(OPERATIONS, enabled=metered, exemplar=tracing.exemplar, keep=keep)
        tracing.report_to(self.metrics)
        self.faults = Faults(FAULTS, rng)
        self._pause = Pause(pace)
        self._bridge = bridge
        simulation = Simulation(self.faults, self._pause, rng, tracing)
        redis = Redis(simulation)
        self._postgres = Postgres(simulation, self.metrics)
        self._parts = self._make(simulation, RedisCache(redis, self.metrics))
        self.health = Health(self.metrics, self._checks(redis), version=VERSION)
        served = exporters.postgres(self._postgres), exporters.redis(redis)
        self.exporters = dict(zip(EXPORTERS, served, strict=True))
        self.app = self._starlette(
            [
                *Handlers(self._parts).routes(),
                *self.health.routes(),
                Route("/metrics", Exposition(self.metrics)),
                *self.faults.routes(),
                *routes,
            ]
        )

    def stop(self) -> None:
        """Let requests under way end at once."""
        self.faults.clear()
        self._pause.stop()

    def _make(self, simulation: Simulation, cache: RedisCache) -> Parts:
        graph = Graph(simulation, self.metrics)
        self._vectors = VectorIndex(simulation, self.metrics)
        return Parts(
            simulation=simulation,
            metrics=self.metrics,
            postgres=self._postgres,
            graph=graph,
            memories=Memories(simulation, self.metrics, self._postgres, cache, graph, self._vectors),
            extractor=Extractor(simulation, self.metrics, graph),
            users=ActiveUsers(self.metrics),
        )

    def _checks(self, redis: Redis) -> list[Check]:
        checks = [
            Check("postgres", self._postgres.ping),
            Check("redis", redis.ping, critical=False),
            Check("graph", self._parts.graph.ping),
            Check("vector", self._vectors.ping, critical=False),
        ]
        if self._bridge:
            checks.append(Check("bridge", partial(_ask, self._bridge), critical=False))
        return checks

    def _starlette(self, routes: list[Route]) -> Starlette:
        app = Starlette(
            routes=routes,
            middleware=[
                Middleware(self._parts.simulation.tracing.asgi),
                Middleware(measured, http=self.metrics.http),
            ],
            exception_handlers={
                HTTPException: refusal,
                OperationError: partial(_failure, 500),
                UnavailableError: partial(_failure, 503),
                PoolTimeoutError: partial(_failure, 503),
            },
            lifespan=self._lifespan,
        )
        # A redirect for a trailing slash would be an answer with no route and no handler.
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        # Scrapes come from threads; the pool and the client of the bridge belong to this loop.
        self.health.bind()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._keep_held(), self._keep_house())]
            yield
            for task in tasks:
                task.cancel()
        await self._postgres.close()
        if self._bridge:
            await self._bridge.aclose()

    async def _keep_held(self) -> None:
        while True:
            await self._postgres.hold()
            await asyncio.sleep(HOLD_EVERY)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            try:
                await self._postgres.prune()
            except (PoolTimeoutError, UnavailableError) as problem:
                _LOG.warning("rows not pruned", extra={"error": str(problem)})


async def _ask(bridge: httpx.AsyncClient) -> None:
    (await bridge.get("/health/live")).raise_for_status()


async def _failure(status: int, request: Request, problem: Exception) -> Response:
    _LOG.error("request failed", extra=told(request, status) | {"error": str(problem)})
    return JSONResponse({"error": str(problem)}, status)
