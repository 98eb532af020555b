"""The WebSockets of the backend: every open browser is told of every change."""

import asyncio
import contextlib
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from workloads.phase5.simulation import Simulation

PATH = "/ws"
# Messages that wait for a slow browser; beyond, it misses some.
WAITING = 100


class Sockets:
    """The open connections."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._open: set[asyncio.Queue[dict[str, Any]]] = set()

    def route(self) -> WebSocketRoute:
        return WebSocketRoute(PATH, self._serve)

    def tell(self, message: dict[str, Any]) -> None:
        """Send to every open browser, without waiting for any."""
        attributes = {"network.protocol.name": "websocket", "url.path": PATH}
        with self._sim.tracing.span(f"send {PATH}", kind="producer", **attributes):
            for waiting in self._open:
                with contextlib.suppress(asyncio.QueueFull):
                    waiting.put_nowait(message)

    async def _serve(self, socket: WebSocket) -> None:
        await socket.accept()
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)
        self._open.add(waiting)
        sending = asyncio.create_task(_send(socket, waiting))
        try:
            with self._sim.metrics.websockets.connection():
                while (await socket.receive())["type"] != "websocket.disconnect":
                    pass
        finally:
            self._open.discard(waiting)
            sending.cancel()


async def _send(socket: WebSocket, waiting: asyncio.Queue[dict[str, Any]]) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_json(await waiting.get())
