"""Fault switches of a simulated application, set over HTTP."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from workloads.body import json_object

LONGEST = 24 * 3600.0


@dataclass(frozen=True)
class Fault:
    """A switch: 0 is off, `most` the highest value it takes."""

    name: str
    meaning: str
    most: float


class Faults:
    """The declared faults, and the values that are on now."""

    def __init__(
        self, declared: Sequence[Fault], rng: random.Random, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._declared = {fault.name: fault for fault in declared}
        self._rng = rng
        self._clock = clock
        self._on: dict[str, tuple[float, float]] = {}

    def value(self, name: str) -> float:
        """The value of a declared fault, 0 when it is off or its time is over."""
        value, until = self._on.get(self._declared[name].name, (0.0, math.inf))
        return value if self._clock() < until else 0.0

    def strikes(self, name: str) -> bool:
        """Whether this time is among the share that the fault hits."""
        share = self.value(name)
        return share > 0 and self._rng.random() < share

    def switch(self, name: str, value: float, seconds: float = math.inf) -> None:
        """Set a fault for a time; value 0 ends it."""
        self._on[self._declared[name].name] = (value, self._clock() + seconds)

    def clear(self) -> None:
        """End all faults."""
        self._on.clear()

    def routes(self) -> list[Route]:
        """`POST /_sim/fault` sets one, `GET /_sim/faults` tells all."""
        return [
            Route("/_sim/fault", self._set, methods=["POST"]),
            Route("/_sim/faults", self._get, methods=["GET"]),
        ]

    async def _set(self, request: Request) -> JSONResponse:
        asked = await json_object(request)
        unknown = sorted(asked.keys() - {"fault", "value", "seconds"})
        if unknown:
            raise HTTPException(422, f"{unknown[0]!r} is not accepted; the keys are fault, value and seconds")
        fault = self._declared.get(str(asked.get("fault")))
        if fault is None:
            known = ", ".join(f"{fault.name} (0 to {fault.most:g})" for fault in self._declared.values())
            raise HTTPException(422, f"fault {asked.get('fault')!r} is not known; accepted are {known}")
        value = number(asked, "value", 0, fault.most)
        seconds = math.inf if asked.get("seconds") is None else number(asked, "seconds", 0, LONGEST)
        self.switch(fault.name, value, seconds)
        return JSONResponse(self._told(fault))

    async def _get(self, _request: Request) -> JSONResponse:
        return JSONResponse([self._told(fault) for fault in self._declared.values()])

    def _told(self, fault: Fault) -> dict[str, Any]:
        value = self.value(fault.name)
        left = self._on[fault.name][1] - self._clock() if value else math.inf
        return {
            "fault": fault.name,
            "meaning": fault.meaning,
            "accepted": [0, fault.most],
            "value": value,
            "seconds_left": round(left, 3) if math.isfinite(left) else None,
        }


def number(asked: dict[str, Any], key: str, least: float, most: float) -> float:
    """A number of a request body; HTTPException 422 when it is none or out of bounds."""
    value = asked.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    raise HTTPException(422, f"{key} {value!r} is not accepted; give a number from {least:g} to {most:g}")
