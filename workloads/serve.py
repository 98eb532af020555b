"""Run ASGI applications, each on its own port, until SIGTERM, with other work beside them."""

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

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
    apps: Mapping[Address, ASGIApp],
    *,
    beside: Work | None = None,
    stopping: Callable[[], None] | None = None,
) -> None:
    """Serve each application on its address until SIGTERM or SIGINT, then return. The first one has a lifespan.

    `beside` starts when the ports are open and is cancelled first on the way out; when it fails, serving ends.
    `stopping` is called before requests under way are waited for (1 s at most).
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    configs = [_config(_by_port(apps), where) for where in apps]
    _Server(configs[0], beside, stopping).run([_bound(config) for config in configs])


def _bound(config: uvicorn.Config) -> socket.socket:
    bound = config.bind_socket()
    # asyncio does it for the sockets that it opens itself; without it every answer waits 40 ms for an acknowledgement.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def _by_port(apps: Mapping[Address, ASGIApp]) -> ASGIApp:
    """One application, that answers on each port as the application of that port does."""
    ports = {where.port: app for where, app in apps.items()}
    first = next(iter(apps.values()))

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        app = first if scope["type"] == "lifespan" else ports[scope["server"][1]]
        await app(scope, receive, send)

    return dispatch


def _config(app: ASGIApp, listen: Address) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        listen.host,
        listen.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


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
