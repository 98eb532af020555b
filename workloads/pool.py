"""A bounded pool of SQLite connections."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


class PoolTimeoutError(Exception):
    """No connection became free in time."""


@dataclass(frozen=True)
class PoolState:
    """Connections: kept open, idle, in use, and open beyond the size."""

    size: int
    checked_in: int
    checked_out: int
    overflow: int


class Pool:
    """`size` connections are kept, `max_overflow` more are opened when needed and closed after use."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], size: int, max_overflow: int, timeout: float) -> None:
        self.capacity = size + max_overflow
        self._connect = connect
        self._size = size
        self._timeout = timeout
        self._idle: list[sqlite3.Connection] = []
        self._out = 0
        self._free = asyncio.Semaphore(self.capacity)

    @property
    def state(self) -> PoolState:
        # Floor: SQLAlchemy's own number starts at minus the size.
        overflow = max(0, self._out + len(self._idle) - self._size)
        return PoolState(self._size, len(self._idle), self._out, overflow)

    @property
    def exhausted(self) -> bool:
        return self._free.locked()

    async def acquire(self) -> sqlite3.Connection:
        """A connection to give back with `release`; PoolTimeoutError after the timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            raise PoolTimeoutError(
                f"no connection became free in {self._timeout:g} s: all {self.capacity} are in use"
            ) from None
        connection = self._idle.pop() if self._idle else self._connect()
        self._out += 1
        return connection

    def release(self, connection: sqlite3.Connection) -> None:
        """Give a connection back; beyond the size it is closed."""
        self._out -= 1
        if self._out + len(self._idle) < self._size:
            self._idle.append(connection)
        else:
            connection.close()
        self._free.release()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[sqlite3.Connection]:
        """A connection for the length of a block."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


class Hold:
    """Keeps connections out of a pool, as a program that leaks them does."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: list[sqlite3.Connection] = []

    async def keep(self, count: int) -> None:
        """Hold so many connections, or as many as are to be had without waiting."""
        while len(self._held) > count:
            self._pool.release(self._held.pop())
        while len(self._held) < count and not self._pool.exhausted:
            self._held.append(await self._pool.acquire())
