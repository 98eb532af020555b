"""The backend of Phase 5: the task API, its database, Kafka and Redis, and the exporters of its cluster.

    python -m workloads.phase5.backend --listen http=127.0.0.1:13001 --listen kubelet=127.0.0.1:20250 --seed 1

It goes wrong on demand: `GET /_sim/faults` lists how. Of the exporters it opens the ports that it is given.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from instrument.health import Check
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.faults import Fault, Faults
from workloads.pause import Pause
from workloads.phase5 import cluster
from workloads.phase5.api import Api, InjectedError, user
from workloads.phase5.broker import Broker
from workloads.phase5.cluster import Cluster
from workloads.phase5.events import Events, Scheduler
from workloads.phase5.exporters import exporters
from workloads.phase5.metrics import BACKEND, Phase5Metrics
from workloads.phase5.process import application, run, traces
from workloads.phase5.redis import Redis
from workloads.phase5.simulation import Simulation
from workloads.phase5.sockets import Sockets
from workloads.phase5.store import POOL_SIZE, Store
from workloads.pool import Hold, PoolState, PoolTimeoutError

FAULTS = (
    Fault("http_errors", "share of API requests answered with 500", 1),
    Fault("http_latency", "seconds added to every API request", 60),
    Fault("db_pool_hold", "share of the database connections kept out of the pool", 1),
    Fault("audit_errors", "share of audit log writes that fail", 1),
    Fault("consumer_pause", "1: the agent gets no events", 1),
    Fault("reminder_errors", "share of reminders that the agent cannot deliver", 1),
    *cluster.FAULTS,
)
FOLLOW_EVERY = 0.2
PRUNE_EVERY = 10.0

_LOG = logging.getLogger("phase5.backend")


class Backend:
    """The application and its parts: `app`, and `exporters` by the name of their port.

    `pace` stretches simulated waits (0: none).
    """

    def __init__(self, seed: int, *, pace: float = 1.0, tracing: Tracing | None = None) -> None:
        tracing = tracing or Tracing(BACKEND, None)
        rng = random.Random(seed)
        self.metrics = Phase5Metrics(pool=self._pool, limit=POOL_SIZE, exemplar=tracing.exemplar)
        self.faults = Faults(FAULTS, rng)
        self._pause = Pause(pace)
        simulation = Simulation(self.metrics, tracing, self.faults, self._pause, rng)
        self.store = Store(simulation)
        self.broker = Broker(self.faults)
        self.cluster = Cluster(self.faults)
        self._hold = Hold(self.store.pool)
        redis, sockets, events = Redis(simulation), Sockets(simulation), Events(simulation, self.broker)
        self.scheduler = Scheduler(simulation, self.store, events)
        self.exporters = exporters(self.cluster, self.broker, self.store, redis)
        api = Api(simulation, self.store, redis, events, sockets)
        self.app = application(
            self.metrics,
            tracing,
            [*api.routes(), sockets.route(), self.broker.route(), *self.faults.routes()],
            [Check("database", self.store.ping)],
            lifespan=self._lifespan,
            handlers={InjectedError: partial(_failure, 500), PoolTimeoutError: partial(_failure, 503)},
        )

    def stop(self) -> None:
        """Let requests under way end at once."""
        self.faults.clear()
        self._pause.stop()
        self.broker.stop()

    def _pool(self) -> PoolState:
        return self.store.pool.state

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._follow_faults(), self._keep_house())]
            yield
            for task in tasks:
                task.cancel()
        await self._hold.keep(0)
        self.store.close()

    async def _follow_faults(self) -> None:
        while True:
            await self._hold.keep(round(self.faults.value("db_pool_hold") * POOL_SIZE))
            self.cluster.follow()
            await asyncio.sleep(FOLLOW_EVERY)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            try:
                await self.store.prune()
            except PoolTimeoutError as problem:
                _LOG.error("tasks not pruned", extra={"operation": "prune", "error": str(problem)})


async def _failure(status: int, request: Request, problem: Exception) -> Response:
    told = {"userId": user(request), "operation": f"{request.method} {request.scope['route'].path}"}
    _LOG.error("request failed", extra={**told, **request.path_params, "status": status, "error": str(problem)})
    return JSONResponse({"error": str(problem)}, status)


def main() -> None:
    asked = parse("workloads.phase5.backend")
    tracing = traces(BACKEND, asked)
    backend = Backend(asked.seed, tracing=tracing)
    apps = {"http": backend.app, **backend.exporters}
    if unknown := sorted(asked.listen.keys() - apps.keys()):
        raise SystemExit(f"--listen {unknown[0]}: no such port; there are {', '.join(apps)}")
    # The application first: it alone has a beginning and an end.
    served = {asked.listen[name]: app for name, app in apps.items() if name in asked.listen}
    run(BACKEND, asked, tracing, backend.metrics, served, beside=backend.scheduler.run, stopping=backend.stop)


if __name__ == "__main__":
    main()
