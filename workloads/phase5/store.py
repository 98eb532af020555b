"""The tasks and the audit log of Phase 5, in SQLite."""

import itertools
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from instrument.logs import timestamp
from workloads.phase5.simulation import Simulation
from workloads.pool import Pool

POOL_SIZE = 20
POOL_TIMEOUT = 5.0
QUERY_SECONDS = 0.002
KEPT = 2000
PAGE = 50

_SCHEMA = """
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, user TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open', created TEXT NOT NULL, updated TEXT NOT NULL, reminded REAL NOT NULL DEFAULT 0
);
CREATE INDEX tasks_due ON tasks (status, reminded);
CREATE TABLE audit (task INTEGER NOT NULL, at TEXT NOT NULL, user TEXT NOT NULL, operation TEXT NOT NULL);
CREATE INDEX audit_task ON audit (task);
"""
# S608 takes the constant columns for input.
_COLUMNS = "'task-' || id AS taskId, title, user AS userId, status, created, updated"
_INSERT = f"INSERT INTO tasks (title, user, created, updated) VALUES (?, ?, ?, ?) RETURNING {_COLUMNS}"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM tasks WHERE id = ?"  # noqa: S608
_NEWEST = f"SELECT {_COLUMNS} FROM tasks ORDER BY id DESC LIMIT {PAGE}"  # noqa: S608
_RENAME = f"UPDATE tasks SET title = ?, updated = ? WHERE id = ? RETURNING {_COLUMNS}"  # noqa: S608
_COMPLETE = f"UPDATE tasks SET status = 'done', updated = ? WHERE id = ? RETURNING {_COLUMNS}"  # noqa: S608
_DELETE = f"DELETE FROM tasks WHERE id = ? RETURNING {_COLUMNS}"  # noqa: S608
_DUE = f"""
UPDATE tasks SET reminded = ? WHERE id IN (SELECT id FROM tasks WHERE status = 'open' ORDER BY reminded LIMIT ?)
RETURNING {_COLUMNS}
"""  # noqa: S608
_HISTORY = "SELECT at, user AS userId, operation FROM audit WHERE task = ? ORDER BY rowid"
_PRUNE = "DELETE FROM tasks WHERE id <= (SELECT max(id) FROM tasks) - ?"
_PRUNE_AUDIT = "DELETE FROM audit WHERE task <= (SELECT max(id) FROM tasks) - ?"
_ID = re.compile(r"task-([1-9][0-9]{0,17})")
_databases = itertools.count()

Task = dict[str, Any]


class Store:
    """The repository. Each method is one query on a connection of the pool: timed, and a span of the trace.

    All of it runs on the event loop, and no transaction spans an await: none waits for another.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._name = f"file:phase5-{next(_databases)}?mode=memory&cache=shared"
        # Outside the pool: a memory database lives as long as one connection.
        self._keeper = self._connect()
        self._keeper.executescript(_SCHEMA)
        self.pool = Pool(self._connect, POOL_SIZE, 0, POOL_TIMEOUT)

    async def create(self, title: str, user: str) -> Task:
        """Insert an open task."""
        now = timestamp()
        async with self._query("create_task", "INSERT") as connection:
            return dict(connection.execute(_INSERT, (title, user, now, now)).fetchone())

    async def all(self) -> list[Task]:
        """The newest tasks."""
        async with self._query("list_tasks", "SELECT") as connection:
            return [dict(row) for row in connection.execute(_NEWEST)]

    async def get(self, task_id: str) -> Task | None:
        """A task by its id, such as task-17."""
        return await self._one("get_task", "SELECT", _FIND, _number(task_id))

    async def rename(self, task_id: str, title: str) -> Task | None:
        """Give a task another title."""
        return await self._one("update_task", "UPDATE", _RENAME, title, timestamp(), _number(task_id))

    async def complete(self, task_id: str) -> Task | None:
        """Make a task done."""
        return await self._one("complete_task", "UPDATE", _COMPLETE, timestamp(), _number(task_id))

    async def delete(self, task_id: str) -> Task | None:
        """Delete a task, and answer what it was."""
        return await self._one("delete_task", "DELETE", _DELETE, _number(task_id))

    async def due(self, most: int) -> list[Task]:
        """The open tasks whose last reminder is the longest ago."""
        async with self._query("due_reminders", "UPDATE") as connection:
            return [dict(row) for row in connection.execute(_DUE, (time.time(), most))]

    async def write_audit(self, task_id: str, user: str, operation: str) -> None:
        """Write down who did what."""
        async with self._query("write_audit", "INSERT", "audit") as connection:
            row = (_number(task_id), timestamp(), user, operation)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", row)

    async def audit(self, task_id: str) -> list[dict[str, str]]:
        """What was done with a task, oldest first."""
        async with self._query("get_audit", "SELECT", "audit") as connection:
            return [dict(row) for row in connection.execute(_HISTORY, (_number(task_id),))]

    async def ping(self) -> None:
        """Prove that a connection can be had and answers."""
        async with self._query("ping", "SELECT", "") as connection:
            connection.execute("SELECT 1").fetchone()

    async def prune(self, kept: int = KEPT) -> None:
        """Forget all but the newest tasks: memory is bounded."""
        async with self._query("prune", "DELETE") as connection:
            connection.execute(_PRUNE_AUDIT, (kept,))
            connection.execute(_PRUNE, (kept,))

    def close(self) -> None:
        """Drop the database."""
        self.pool.close()
        self._keeper.close()

    async def _one(self, operation: str, verb: str, statement: str, *values: str | int) -> Task | None:
        async with self._query(operation, verb) as connection:
            row = connection.execute(statement, values).fetchone()
            return dict(row) if row else None

    @asynccontextmanager
    async def _query(self, operation: str, verb: str, table: str = "tasks") -> AsyncIterator[sqlite3.Connection]:
        """A transaction. The time is the query's, without the wait for a connection."""
        async with self.pool.connection() as connection:
            started = time.perf_counter()
            with self._sim.database_span("sqlite", verb, table):
                await self._sim.pause(min(0.05, self._sim.rng.expovariate(1 / QUERY_SECONDS)))
                with connection:
                    yield connection
            self._sim.metrics.queries.observe(time.perf_counter() - started, operation=operation)

    def _connect(self) -> sqlite3.Connection:
        # One loop, but tests may run it in another thread than the one that made the application.
        connection = sqlite3.connect(self._name, uri=True, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection


def _number(task_id: str) -> int:
    matched = _ID.fullmatch(task_id)
    return int(matched[1]) if matched else 0
