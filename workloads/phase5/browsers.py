"""Browsers of the users of Phase 5: each keeps a WebSocket open for a while, and comes back."""

import asyncio
import contextlib
import random

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from workloads.phase5.sockets import PATH

BROWSERS = 12
OPEN = (20.0, 120.0)
AWAY = (0.5, 3.0)


class Browsers:
    """Open WebSockets to the backend. Without load there are none."""

    def __init__(self, backend: str, rng: random.Random, rate: float) -> None:
        self._url = backend.replace("http", "ws", 1).rstrip("/") + PATH
        self._rng = rng
        self._count = BROWSERS if rate else 0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._browse())

    async def _browse(self) -> None:
        while True:
            # The end of the visit, or a backend that is not there: either way it comes back.
            with contextlib.suppress(OSError, WebSocketException):
                async with asyncio.timeout(self._rng.uniform(*OPEN)), connect(self._url, proxy=None) as socket:
                    async for _ in socket:
                        pass
            await asyncio.sleep(self._rng.uniform(*AWAY))
