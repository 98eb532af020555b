"""The application, put together from its parts: three ports, of which one counts."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from instrument.asgi import Exposition, measured
from instrument.tracing import Tracing
from workloads.body import refusal
from workloads.faults import Faults
from workloads.pause import Pause
from workloads.tdd_project.api import OPERATIONS, CycleApi, InjectedError, told
from workloads.tdd_project.health import HealthPort
from workloads.tdd_project.metrics import TddMetrics
from workloads.tdd_project.simulation import FAULTS, Simulation
from workloads.tdd_project.store import ConnectError, CycleStore
from workloads.tdd_project.webhook import WebhookSink

DAMAGE_EVERY = 0.2
PRUNE_EVERY = 10.0

_LOG = logging.getLogger("streamlit_extension")


class TddProject:
    """The application and its parts: the ASGI applications `app` (8502), `health` (8501) and `webhook` (5001).

    It keeps its files in `directory`; `pace` stretches simulated waits (0: none). What it holds open
    is closed when `app` ends.
    """

    def __init__(
        self,
        directory: Path,
        seed: int,
        *,
        pace: float = 1.0,
        metered: bool = True,
        tracing: Tracing | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        tracing = tracing or Tracing("tdd-app", None)
        self.metrics = TddMetrics(OPERATIONS, enabled=metered, exemplar=tracing.exemplar)
        rng = random.Random(seed)
        self.faults = Faults(FAULTS, rng)
        self._pause = Pause(pace)
        self._sim = Simulation(self.metrics, tracing, self.faults, self._pause, rng)
        self.store = CycleStore(directory, self._sim)
        self.health = HealthPort(self.store, directory).app
        self._sink = WebhookSink(directory)
        self.webhook = self._sink.app
        api = CycleApi(self._sim, self.store)
        unmeasured = [Route("/metrics", Exposition(self.metrics)), *self.faults.routes(), *routes]
        self.app = self._starlette([*api.routes(), *unmeasured])

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
            ],
            exception_handlers={
                HTTPException: refusal,
                InjectedError: partial(self._failure, 500),
                ConnectError: partial(self._failure, 503),
            },
            lifespan=self._lifespan,
        )
        # A redirect for a trailing slash would be an answer with no handler.
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._keep_damage(), self._keep_house())]
            yield
            for task in tasks:
                task.cancel()
        self._sink.close()
        self.store.close()

    async def _keep_damage(self) -> None:
        while True:
            self.store.corrupt(on=self.faults.value("sqlite_corrupt") > 0)
            await asyncio.sleep(DAMAGE_EVERY)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            try:
                await self.store.prune()
            except ConnectError as problem:
                _LOG.error("cycles not pruned", extra={"error": str(problem)})

    async def _failure(self, status: int, request: Request, problem: Exception) -> Response:
        _LOG.error("request failed", extra=told(request, status) | {"error": str(problem)})
        return JSONResponse({"error": str(problem)}, status)
