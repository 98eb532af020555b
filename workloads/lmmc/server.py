"""The LMMC server, simulated: a task memory with an HTTP API, WebSockets, AI calls, pattern detection and Qdrant.

    python -m workloads.lmmc.server --listen http=127.0.0.1:9080 --peer qdrant=http://127.0.0.1:6333 --rate 20

It sends itself `--rate` requests a second, and goes wrong on demand: `GET /_sim/faults` lists how.
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from instrument.asgi import Exposition, measured, operations
from instrument.health import Check, Health
from instrument.readings import KEEP
from instrument.tracing import Tracing
from workloads.arguments import Arguments, parse
from workloads.body import refusal
from workloads.faults import Fault, Faults
from workloads.lmmc.ai import AiService
from workloads.lmmc.api import Api, InjectedError
from workloads.lmmc.collector import TaskCollector
from workloads.lmmc.metrics import LmmcMetrics
from workloads.lmmc.patterns import Detector
from workloads.lmmc.process import report, tracing_of
from workloads.lmmc.sockets import Hub
from workloads.lmmc.store import TaskStore
from workloads.lmmc.traffic import Traffic, visit
from workloads.lmmc.vectors import TIMEOUT, Vectors
from workloads.load import Load
from workloads.pause import Pause
from workloads.serve import Address, serve

VERSION = "1.0.0"
FAULTS = (
    Fault("http_errors", "share of API requests answered with 500", 1),
    # Above 50 the calls of the default rate would outlast the load generator's patience.
    Fault("ai_latency", "seconds added to every AI call", 50),
    Fault("confidence", "what the confidence in patterns lies around, in place of 0.85", 1),
    Fault("qdrant_errors", "share of Qdrant operations that fail", 1),
    Fault("store_errors", "share of reads of the task statistics that fail", 1),
)
PRUNE_EVERY = 10.0
# A scrape waits for it.
AI_TIMEOUT = 1.0
# WebSockets that are kept open.
VISITORS = 5


class Lmmc:
    """The server and its parts. `app` is the ASGI application.

    `qdrant` is a client for Qdrant, closed with the application. `pace` stretches simulated waits (0: none);
    without `enabled` nothing is measured. What is read at a scrape is good for `keep` seconds.
    """

    def __init__(
        self,
        seed: int,
        qdrant: httpx.AsyncClient,
        *,
        pace: float = 1.0,
        enabled: bool = True,
        keep: float = KEEP,
        tracing: Tracing | None = None,
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        rng = random.Random(seed)
        tracing = tracing or Tracing("lmmc-server", None)
        self.faults = Faults(FAULTS, rng)
        self._qdrant = qdrant
        self._pause = Pause(pace)
        self.metrics = metrics = LmmcMetrics(enabled=enabled, exemplar=tracing.exemplar, keep=keep)
        self.store = TaskStore(rng, partial(self.faults.strikes, "store_errors"))
        TaskCollector(metrics.registry, self.store, keep)
        self.vectors = Vectors(qdrant, metrics.qdrant, self.faults, tracing)
        self.ai = AiService(metrics.ai, self.faults, self._pause, rng, tracing)
        hub = Hub(metrics.sockets)
        detector = Detector(metrics, self.faults, rng)
        self._api = Api(metrics, self.faults, self.store, self.vectors, self.ai, detector, hub)
        checks = [
            Check("qdrant", self.vectors.ready),
            Check("task_store", self.store.ping),
            Check("ai", self.ai.ping, critical=False, timeout=AI_TIMEOUT),
        ]
        self.health = Health(metrics.registry, checks, version=VERSION)
        served = [*self._api.routes(), *self.health.routes()]
        http = metrics.http(operations(served))
        unmeasured = [Route("/metrics", Exposition(metrics.registry)), WebSocketRoute("/ws", hub.endpoint)]
        self.app = Starlette(
            routes=[*served, *unmeasured, *self.faults.routes(), *routes],
            middleware=[Middleware(tracing.asgi), Middleware(measured, http=http)],
            exception_handlers={HTTPException: refusal, InjectedError: self._api.failed},
            lifespan=self._lifespan,
        )
        # A redirect for a trailing slash would be an answer with no endpoint and no handler.
        self.app.router.redirect_slashes = False

    def stop(self) -> None:
        """Let requests and AI calls under way end at once."""
        self.faults.clear()
        self._pause.stop()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._qdrant:
            await self.health.report()
            house = asyncio.create_task(self._keep_house())
            yield
            house.cancel()
            self.stop()
            await self.ai.settle()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            await self._api.forget(self.store.prune())


def main() -> None:
    asked = parse("workloads.lmmc.server", _more)
    tracing = tracing_of("lmmc-server", asked)
    load = Load(Traffic(), asked.rate, asked.seed)
    qdrant = httpx.AsyncClient(base_url=asked.peers["qdrant"], timeout=TIMEOUT, trust_env=False)
    enabled = not asked.extra.without_metrics
    lmmc = Lmmc(asked.seed, qdrant, enabled=enabled, tracing=tracing, routes=load.routes())
    report("lmmc-server", asked, tracing, lmmc.metrics.registry)
    listen = asked.listen["http"]
    try:
        serve({listen: lmmc.app}, beside=partial(_drive, load, asked, listen), stopping=lmmc.stop)
    finally:
        tracing.close()


async def _drive(load: Load, asked: Arguments, listen: Address) -> None:
    """Send requests, and keep WebSockets open if there are any requests."""
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(listen))
        for number in range(VISITORS if asked.rate else 0):
            group.create_task(visit(listen, random.Random(asked.seed + number)))


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--without-metrics", action="store_true", help="measure nothing, for comparison")


if __name__ == "__main__":
    main()
