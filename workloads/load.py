"""A load generator: real HTTP requests at a fixed rate, whatever the answers take."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from workloads.body import json_object
from workloads.faults import number
from workloads.serve import Address

FASTEST = 500.0
IN_FLIGHT = 1000
TIMEOUT = 60.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One request. `answered` sees the response, so that later calls can build on it."""

    method: str
    path: str
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    answered: Callable[[httpx.Response], None] | None = None


class Load:
    """Sends what `traffic` makes up. The same seed gives the same choices.

    Open loop: a slow server gets as many requests as a fast one, which is what users do. Above
    `IN_FLIGHT` unanswered requests it skips, and counts what it skipped.
    """

    def __init__(self, traffic: Callable[[random.Random], Call], per_second: float, seed: int) -> None:
        self.per_second = per_second
        self._traffic = traffic
        self._rng = random.Random(seed)
        self._in_flight = 0
        self._sent = 0
        self._skipped = 0

    async def run(self, listen: Address) -> None:
        """Send to this address until cancelled."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen.host, listen.host)  # noqa: S104
        async with (
            # Of all that can send, this one costs the least: half of what a simulated system takes was its own client.
            aiohttp.ClientSession(
                f"http://{host}:{listen.port}",
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            await self._schedule(client, group)

    async def _schedule(self, client: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            if not self.per_second:
                await asyncio.sleep(0.1)
                continue
            # After a stall, at most one second is caught up.
            due = max(due + 1 / self.per_second, now() - 1)
            await asyncio.sleep(due - now())
            if self._in_flight >= IN_FLIGHT:
                self._skipped += 1
                continue
            group.create_task(self._send(client, self._traffic(self._rng)))

    async def _send(self, client: aiohttp.ClientSession, call: Call) -> None:
        self._sent += 1
        self._in_flight += 1
        try:
            async with client.request(call.method, call.path, json=call.json, headers=call.headers) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as problem:
            _LOG.warning("no answer", extra={"method": call.method, "path": call.path, "error": repr(problem)})
        else:
            if call.answered:
                call.answered(httpx.Response(response.status, content=content))
        finally:
            self._in_flight -= 1

    def routes(self) -> list[Route]:
        """`POST /_sim/rate` sets the rate, `GET /_sim/rate` tells it."""
        return [
            Route("/_sim/rate", self._set, methods=["POST"]),
            Route("/_sim/rate", self._get, methods=["GET"]),
        ]

    async def _set(self, request: Request) -> JSONResponse:
        self.per_second = number(await json_object(request), "per_second", 0, FASTEST)
        return await self._get(request)

    async def _get(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "per_second": self.per_second,
                "sent": self._sent,
                "skipped": self._skipped,
                "in_flight": self._in_flight,
            }
        )
