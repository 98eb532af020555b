"""The WebSocket side of LMMC: clients hear of the tasks that they subscribe to."""

import asyncio
import contextlib
import json
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from instrument.families import WebSockets

CONNECTIONS = 200
# Messages that wait for a client that reads slowly; later ones are lost to it.
WAITING = 100
LONGEST = 4096

# Codes of RFC 6455.
UNSUPPORTED = 1003
TOO_BIG = 1009
TRY_LATER = 1013

_LOG = logging.getLogger("lmmc.websocket")

Message = dict[str, Any]


class _Client:
    """A connection, and the repository that it subscribed to."""

    def __init__(self, socket: WebSocket, metrics: WebSockets) -> None:
        self.repository: str | None = None
        self._socket = socket
        self._metrics = metrics
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(WAITING)

    def tell(self, kind: str, **body: object) -> None:
        try:
            self._waiting.put_nowait({"type": kind, **body})
        except asyncio.QueueFull:
            _LOG.warning("message lost", extra={"type": kind})

    async def send(self) -> None:
        """Send what is told, until cancelled or the client is gone."""
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await self._waiting.get()
                await self._socket.send_json(message)
                self._metrics.message("out", message["type"])

    async def listen(self) -> None:
        """Answer what the client says, until it is gone."""
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is None or len(text) > LONGEST:
                await self._socket.close(UNSUPPORTED if text is None else TOO_BIG)
                return
            self._hear(_object(text))

    def _hear(self, message: Message) -> None:
        kind, repository = message.get("type"), message.get("repository")
        self._metrics.message("in", str(kind))
        if kind == "ping":
            self.tell("pong")
        elif kind == "subscribe" and isinstance(repository, str):
            self.repository = repository
            self.tell("subscribed", repository=repository)
        else:
            self.tell("error", error='give {"type": "ping"} or {"type": "subscribe", "repository": NAME}')


class Hub:
    """All open connections."""

    def __init__(self, metrics: WebSockets) -> None:
        self._metrics = metrics
        self._clients: set[_Client] = set()

    def publish(self, repository: str, kind: str, **body: object) -> None:
        """Tell those who subscribed to the repository."""
        for client in self._clients:
            if client.repository == repository:
                client.tell(kind, **body)

    async def endpoint(self, socket: WebSocket) -> None:
        """One connection, from its beginning to its end."""
        if len(self._clients) >= CONNECTIONS:
            await socket.close(TRY_LATER)
            return
        await socket.accept()
        client = _Client(socket, self._metrics)
        self._clients.add(client)
        sending = asyncio.create_task(client.send())
        with self._metrics.connection():
            try:
                await client.listen()
            finally:
                self._clients.discard(client)
                sending.cancel()


def _object(text: str) -> Message:
    """The JSON object of a text; empty when it is none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
