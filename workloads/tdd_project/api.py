"""The API of the application: TDD cycles, their phases and how they went, open to the HTTP faults."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import found, json_object, one_of, text_of
from workloads.faults import number
from workloads.tdd_project.metrics import OUTCOMES
from workloads.tdd_project.simulation import Simulation
from workloads.tdd_project.store import STATES, CycleStore, FinishedError

# A phase that takes longer is worth a warning.
LONG_SECONDS = 1800.0
LONGEST_SECONDS = 24 * 3600.0
# One request in so many is logged; errors and cycle events always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("streamlit_extension")
_DURATIONS = logging.getLogger("duration_system")


class InjectedError(Exception):
    """An error that `http_errors` asked for."""


class CycleApi:
    """The handlers, over the store."""

    def __init__(self, simulation: Simulation, store: CycleStore) -> None:
        self._sim = simulation
        self._store = store
        self._requests = 0

    def routes(self) -> list[Route]:
        return [Route(path, partial(self._answer, handler), methods=[method]) for method, path, handler in _SERVED]

    async def _answer(self, handler: "Handler", request: Request) -> Response:
        started = time.perf_counter()
        # Streamlit runs the whole script of a page for an answer.
        await self._sim.pause(min(0.5, self._sim.rng.lognormvariate(-4, 0.6)))
        await self._sim.pause(self._sim.faults.value("http_latency"))
        if self._sim.faults.strikes("http_errors"):
            raise InjectedError("injected by the fault http_errors")
        response = await handler(self, request)
        self._log_request(request, response.status_code, time.perf_counter() - started)
        return response

    def _log_request(self, request: Request, status: int, seconds: float) -> None:
        self._requests += 1
        if self._requests % LOG_ONE_IN == 0:
            _LOG.debug("request", extra=told(request, status) | {"duration_ms": round(1000 * seconds, 3)})

    async def start(self, request: Request) -> Response:
        cycle = await self._store.start_cycle(text_of(await json_object(request), "title"))
        _LOG.info("cycle started", extra={"cycle_id": cycle["cycle_id"]})
        return JSONResponse(cycle, 201)

    async def select(self, request: Request) -> Response:
        phase = request.query_params.get("phase")
        if phase is not None:
            one_of("phase", phase, STATES)
        return JSONResponse({"cycles": await self._store.list_cycles(phase)})

    async def get(self, request: Request) -> Response:
        cycle_id = request.path_params["cycle_id"]
        return JSONResponse(found(await self._store.get_cycle(cycle_id), f"cycle {cycle_id!r}"))

    async def end_phase(self, request: Request) -> Response:
        cycle_id = request.path_params["cycle_id"]
        asked = await json_object(request)
        outcome = one_of("outcome", asked.get("outcome"), OUTCOMES)
        seconds = number(asked, "seconds", 0, LONGEST_SECONDS)
        try:
            phase, cycle = found(await self._store.end_phase(cycle_id, outcome, seconds), f"cycle {cycle_id!r}")
        except FinishedError as problem:
            raise HTTPException(409, str(problem)) from problem
        _log_phase(cycle["cycle_id"], phase, outcome, seconds)
        return JSONResponse(cycle)

    async def history(self, request: Request) -> Response:
        cycle_id = request.path_params["cycle_id"]
        phases = found(await self._store.get_history(cycle_id), f"cycle {cycle_id!r}")
        return JSONResponse({"cycle_id": cycle_id, "phases": phases})

    async def summary(self, _request: Request) -> Response:
        return JSONResponse({"phases": await self._store.summary()})


Handler = Callable[[CycleApi, Request], Awaitable[Response]]

_SERVED: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/api/cycles", CycleApi.start),
    ("GET", "/api/cycles", CycleApi.select),
    ("GET", "/api/cycles/{cycle_id}", CycleApi.get),
    ("POST", "/api/cycles/{cycle_id}/phases", CycleApi.end_phase),
    ("GET", "/api/cycles/{cycle_id}/phases", CycleApi.history),
    ("GET", "/api/summary", CycleApi.summary),
)
OPERATIONS = tuple((method, path) for method, path, _ in _SERVED)


def told(request: Request, status: int) -> dict[str, Any]:
    """What a log line says of a request."""
    return {"method": request.method, "handler": request.scope["route"].path, "status": status}


def _log_phase(cycle_id: int, phase: str, outcome: str, seconds: float) -> None:
    extra = {"cycle_id": cycle_id, "phase": phase, "outcome": outcome, "seconds": round(seconds, 1)}
    _DURATIONS.info("phase ended", extra=extra)
    if seconds > LONG_SECONDS:
        _LOG.warning("phase took more than half an hour", extra=extra)
