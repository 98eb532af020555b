"""The tasks of the Boss Workflow application, in SQLite."""

import itertools
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict
from typing import Any

from instrument import families
from instrument.logs import timestamp
from workloads.boss_workflow.metrics import TASK_STATUSES
from workloads.boss_workflow.services import Simulation
from workloads.pool import Pool

POOL_SIZE = 5
MAX_OVERFLOW = 20
POOL_TIMEOUT = 5.0
KEPT = 2000
PAGE = 50

# Which status may follow which; what is missing is final.
FOLLOWS = {
    "pending": ("in_progress", "cancelled"),
    "in_progress": ("in_review", "completed", "cancelled"),
    "in_review": ("in_progress", "completed", "cancelled"),
}

_SCHEMA = """
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, assignee TEXT NOT NULL, priority TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending', created TEXT NOT NULL, updated TEXT NOT NULL
);
CREATE INDEX tasks_status ON tasks (status);
CREATE TABLE audit (
  task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
  at TEXT NOT NULL, was TEXT NOT NULL, became TEXT NOT NULL
);
CREATE INDEX audit_task ON audit (task);
"""
# S608 takes the constant columns for input.
_COLUMNS = "'TASK-' || id AS task_id, title, assignee, priority, status, created, updated"
_INSERT = f"""
INSERT INTO tasks (title, assignee, priority, created, updated) VALUES (?, ?, ?, ?, ?) RETURNING {_COLUMNS}
"""  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM tasks WHERE id = ?"  # noqa: S608
_NEWEST = f"SELECT {_COLUMNS} FROM tasks WHERE status = coalesce(?, status) ORDER BY id DESC LIMIT {PAGE}"  # noqa: S608
_PRUNE = """
DELETE FROM tasks WHERE id IN (
  SELECT id FROM tasks ORDER BY status IN ('completed', 'cancelled') DESC, id
  LIMIT max(0, (SELECT count(*) FROM tasks) - ?)
)
"""
_ID = re.compile(r"TASK-([1-9][0-9]{0,17})")
_databases = itertools.count()

Task = dict[str, Any]


class TransitionError(Exception):
    """A status that cannot follow the present one."""


class TaskStore:
    """The repository. Each method is one counted and timed query on a connection of the pool.

    Queries run on the event loop, and no transaction spans an await: none waits for another.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._name = f"file:boss-{next(_databases)}?mode=memory&cache=shared"
        # Outside the pool: a memory database lives as long as one connection, and a scrape needs no other.
        self._keeper = self._connect()
        self._keeper.executescript(_SCHEMA)
        # A scrape reads in a thread of its own: it must neither wait for a query nor make one fail.
        self._keeper.execute("PRAGMA read_uncommitted = ON")
        self.pool = Pool(self._connect, POOL_SIZE, MAX_OVERFLOW, POOL_TIMEOUT)
        metrics = simulation.metrics
        metrics.read("tasks_by_status", "Tasks now.", self._by_status, status=TASK_STATUSES)
        families.Pool(metrics, lambda: asdict(self.pool.state))

    async def create_task(self, title: str, assignee: str, priority: str) -> Task:
        """Insert a pending task."""
        now = timestamp()
        async with self._query("create_task") as connection:
            row = connection.execute(_INSERT, (title, assignee, priority, now, now)).fetchone()
        self._sim.metrics.tasks.created(assignee=assignee, priority=priority)
        return dict(row)

    async def get_task(self, task_id: str) -> Task | None:
        """A task by its id, such as TASK-123."""
        async with self._query("get_task") as connection:
            return _find(connection, _number(task_id))

    async def list_tasks(self, status: str | None) -> list[Task]:
        """The newest tasks, of one status or all."""
        async with self._query("list_tasks") as connection:
            return [dict(row) for row in connection.execute(_NEWEST, (status,))]

    async def change_status(self, task_id: str, status: str) -> Task | None:
        """Move a task on, with an audit row; TransitionError when `status` cannot follow."""
        number = _number(task_id)
        async with self._query("change_status") as connection:
            task = _find(connection, number)
            if task is None:
                return None
            accepted = FOLLOWS.get(task["status"], ())
            if status not in accepted:
                known = ", ".join(accepted) or "nothing: it is final"
                raise TransitionError(f"{task_id} is {task['status']}; {status!r} cannot follow, accepted: {known}")
            now = timestamp()
            connection.execute("UPDATE tasks SET status = ?, updated = ? WHERE id = ?", (status, now, number))
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", (number, now, task["status"], status))
        if status == "completed":
            self._sim.metrics.tasks.completed(assignee=task["assignee"])
        return task | {"status": status, "updated": now}

    async def get_audit(self, task_id: str) -> list[dict[str, str]] | None:
        """The status changes of a task, oldest first."""
        number = _number(task_id)
        async with self._query("get_audit") as connection:
            if _find(connection, number) is None:
                return None
            rows = connection.execute("SELECT at, was, became FROM audit WHERE task = ? ORDER BY rowid", (number,))
            return [dict(row) for row in rows]

    async def ping(self) -> None:
        """Prove that a connection can be had and answers."""
        # Asked at every scrape: as traces they would be noise.
        async with self._query("ping", traced=False) as connection:
            connection.execute("SELECT 1").fetchone()

    async def prune(self, kept: int = KEPT) -> None:
        """Delete the oldest tasks beyond `kept`, finished ones first: memory is bounded."""
        async with self._query("prune") as connection:
            connection.execute(_PRUNE, (kept,))

    def close(self) -> None:
        """Drop the database."""
        self.pool.close()
        self._keeper.close()

    @asynccontextmanager
    async def _query(self, operation: str, *, traced: bool = True) -> AsyncIterator[sqlite3.Connection]:
        """A transaction. The time is the query's, without the wait for a connection."""
        span = self._sim.tracing.span(f"db {operation}", kind="client", operation=operation)
        async with self.pool.connection() as connection:
            with span if traced else nullcontext(), self._sim.metrics.database.query(operation):
                await self._sim.pause(self._sim.faults.value("db_latency"))
                with connection:
                    yield connection

    def _by_status(self) -> dict[str, float]:
        """Tasks now, for a scrape: not counted, and not from the pool."""
        rows = self._keeper.execute("SELECT status, count(*) FROM tasks GROUP BY status")
        return dict.fromkeys(TASK_STATUSES, 0.0) | dict(rows)

    def _connect(self) -> sqlite3.Connection:
        # One loop, but tests may run it in another thread than the one that made the application.
        connection = sqlite3.connect(self._name, uri=True, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _number(task_id: str) -> int:
    matched = _ID.fullmatch(task_id)
    return int(matched[1]) if matched else 0


def _find(connection: sqlite3.Connection, number: int) -> Task | None:
    row = connection.execute(_FIND, (number,)).fetchone()
    return dict(row) if row else None
