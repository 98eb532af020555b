"""Run an ASGI application until SIGTERM, with other work beside it."""

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette

Work = Callable[[], Coroutine[Any, Any, None]]


class Address(NamedTuple):
    host: str
    port: int


def address(text: str) -> Address:
    """`host:port` of the command line."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port, such as 127.0.0.1:8000")
    return Address(host.strip("[]"), int(port))


def serve(
    app: Starlette, listen: Address, *, beside: Work | None = None, stopping: Callable[[], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    `beside` starts when the port is open and is cancelled first on the way out; when it fails, serving ends.
    `stopping` is called before requests under way are waited for (1 s at most).
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    config = uvicorn.Config(
        app,
        listen.host,
        listen.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
        ws="none",
    )
    _Server(config, beside, stopping).run()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, beside: Work | None, stopping: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._beside = beside
        self._stopping = stopping
        self._task: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._beside:
            self._task = asyncio.create_task(self._beside())
            self._task.add_done_callback(self._ended)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._task:
            self._task.cancel()
        if self._stopping:
            self._stopping()
        await super().shutdown(sockets)
        if self._task:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self.should_exit = True


def _leave(_number: int, _frame: FrameType | None) -> None:
    # uvicorn raises the signal once more after its shutdown: the default action would end with status 143.
    raise SystemExit(0)
