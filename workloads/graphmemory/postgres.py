"""The PostgreSQL of GraphMemory, simulated with SQLite: memories and events, a pool, and the server's statistics."""

import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from instrument.families import Pool as Connections
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.simulation import Simulation
from workloads.pool import Hold, Pool

POOL_SIZE = 10
MAX_OVERFLOW = 30
POOL_TIMEOUT = 5.0
SERVER_CONNECTIONS = 100
KEPT = 2000

_SCHEMA = """
CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, visits INTEGER NOT NULL DEFAULT 1);
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, detail TEXT NOT NULL);
"""
_MEMORY = "id AS memory_id, place AS 'index', text"
_INSERT = f"INSERT INTO memories (place, text) VALUES (?, ?) RETURNING {_MEMORY}"  # noqa: S608 - constant columns
_FIND = f"SELECT {_MEMORY} FROM memories WHERE id = ?"  # noqa: S608 - constant columns
_UPDATE = f"UPDATE memories SET text = ? WHERE id = ? RETURNING {_MEMORY}"  # noqa: S608 - constant columns
_SIGN_IN = "INSERT INTO users (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET visits = visits + 1 RETURNING visits"
_PRUNE = (
    "DELETE FROM memories WHERE id <= (SELECT max(id) FROM memories) - ?",
    "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?",
    "DELETE FROM users WHERE id <= (SELECT max(id) FROM users) - ?",
)
_databases = itertools.count()

Memory = dict[str, Any]


@dataclass
class PostgresStatistics:
    """Totals of the database since the start, as the server counts them."""

    commits: int = 0
    rollbacks: int = 0
    blocks_hit: int = 0
    blocks_read: int = 0


class _MissingError(Exception):
    """No such row: rolls the transaction back."""


class Postgres:
    """The repository. Each method is one timed transaction on a connection of the pool.

    All of it runs on the event loop, and no transaction spans an await: none waits for another.
    """

    def __init__(self, simulation: Simulation, metrics: GraphMemoryMetrics) -> None:
        self._sim = simulation
        self._queries = metrics.queries
        self._name = f"file:graphmemory-{next(_databases)}?mode=memory&cache=shared"
        # Outside the pool: a memory database lives as long as one connection.
        self._keeper = self._connect()
        self._keeper.executescript(_SCHEMA)
        self.pool = Pool(self._connect, POOL_SIZE, MAX_OVERFLOW, POOL_TIMEOUT)
        self._hold = Hold(self.pool)
        self.statistics = PostgresStatistics()
        Connections(
            metrics,
            self.connections,
            states=tuple(self.connections()),
            maximum=("db_pool_max_connections", lambda: self.pool.capacity),
        )

    @property
    def up(self) -> bool:
        return not self._sim.faults.value("postgres_down")

    async def sign_in(self, user: str) -> int:
        """Note a visit of a user; how many that makes."""
        async with self._query("sign_in") as connection:
            return int(connection.execute(_SIGN_IN, (user,)).fetchone()[0])

    async def add_event(self, kind: str, detail: str) -> None:
        """Keep that something happened."""
        async with self._query("add_event") as connection:
            connection.execute("INSERT INTO events (kind, detail) VALUES (?, ?)", (kind, detail))

    async def insert_memory(self, index: str, text: str) -> Memory:
        async with self._query("insert_memory") as connection:
            return dict(connection.execute(_INSERT, (index, text)).fetchone())

    async def get_memory(self, memory_id: int) -> Memory | None:
        async with self._query("get_memory") as connection:
            row = connection.execute(_FIND, (memory_id,)).fetchone()
        return dict(row) if row else None

    async def update_memory(self, memory_id: int, text: str) -> Memory | None:
        """The memory with its new text; None if there is none."""
        with suppress(_MissingError):
            async with self._query("update_memory") as connection:
                row = connection.execute(_UPDATE, (text, memory_id)).fetchone()
                if row is None:
                    raise _MissingError
                return dict(row)
        return None

    async def delete_memory(self, memory_id: int) -> bool:
        """False if there is none."""
        with suppress(_MissingError):
            async with self._query("delete_memory") as connection:
                if not connection.execute("DELETE FROM memories WHERE id = ?", (memory_id,)).rowcount:
                    raise _MissingError
                return True
        return False

    async def ping(self) -> None:
        """Prove that a connection can be had and answers."""
        async with self._query("ping") as connection:
            connection.execute("SELECT 1").fetchone()

    async def prune(self, kept: int = KEPT) -> None:
        """Delete all but the newest rows of each table: memory is bounded."""
        async with self._query("prune") as connection:
            for statement in _PRUNE:
                connection.execute(statement, (kept,))

    async def hold(self) -> None:
        """Keep as many connections out of the pool as `db_pool_hold` says."""
        await self._hold.keep(round(self._sim.faults.value("db_pool_hold") * self.pool.capacity))

    async def close(self) -> None:
        """Drop the database."""
        await self._hold.keep(0)
        self.pool.close()
        self._keeper.close()

    def connections(self) -> dict[str, float]:
        """Of the pool, by state."""
        state = self.pool.state
        return {"checked_in": state.checked_in, "checked_out": state.checked_out, "overflow": state.overflow}

    @asynccontextmanager
    async def _query(self, operation: str) -> AsyncIterator[sqlite3.Connection]:
        """A transaction. The time is the query's, without the wait for a connection."""
        async with self.pool.connection() as connection:
            started = time.perf_counter()
            try:
                with self._sim.tracing.span(f"postgres {operation}", kind="client"):
                    await self._sim.work(0.003, most=0.05)
                    await self._sim.pause(self._sim.faults.value("db_latency"))
                    self._sim.require("postgres_down", "PostgreSQL")
                    with self._transaction(connection):
                        yield connection
            finally:
                self._queries.observe(time.perf_counter() - started, operation=operation)

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        self.statistics.blocks_hit += self._sim.rng.randint(2, 8)
        self.statistics.blocks_read += self._sim.rng.random() < 0.05
        try:
            with connection:
                yield
        except _MissingError:
            self.statistics.rollbacks += 1
            raise
        self.statistics.commits += 1

    def _connect(self) -> sqlite3.Connection:
        # One loop, but tests may run it in another thread than the one that made the application.
        connection = sqlite3.connect(self._name, uri=True, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection
