"""The TDD cycles, in a SQLite file."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from instrument.timestamps import timestamp
from workloads.tdd_project.damage import Damage
from workloads.tdd_project.metrics import PHASES
from workloads.tdd_project.simulation import Simulation

FILE = "tdd.db"
DONE = "done"
STATES = (*PHASES, DONE)
KEPT = 2000
PAGE = 50

_FOLLOWS = dict(zip(PHASES, STATES[1:], strict=True))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cycles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, phase TEXT NOT NULL DEFAULT 'red',
  started TEXT NOT NULL, updated TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS cycles_phase ON cycles (phase);
CREATE TABLE IF NOT EXISTS phases (
  cycle INTEGER NOT NULL REFERENCES cycles ON DELETE CASCADE,
  phase TEXT NOT NULL, outcome TEXT NOT NULL, seconds REAL NOT NULL, ended TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS phases_cycle ON phases (cycle);
"""
# S608 takes the constants for input.
_COLUMNS = "id AS cycle_id, title, phase, started, updated"
_INSERT = f"INSERT INTO cycles (title, started, updated) VALUES (?, ?, ?) RETURNING {_COLUMNS}"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM cycles WHERE id = ?"  # noqa: S608
_NEWEST = f"SELECT {_COLUMNS} FROM cycles WHERE phase = coalesce(?, phase) ORDER BY id DESC LIMIT {PAGE}"  # noqa: S608
_MOVE = f"UPDATE cycles SET phase = ?, updated = ? WHERE id = ? RETURNING {_COLUMNS}"  # noqa: S608
_HISTORY = "SELECT phase, outcome, seconds, ended FROM phases WHERE cycle = ? ORDER BY rowid"
_SUMMARY = """
SELECT phase, outcome, count(*) AS phases, round(avg(seconds), 1) AS mean_seconds
FROM phases GROUP BY phase, outcome ORDER BY phase, outcome
"""
_PRUNE = """
DELETE FROM cycles WHERE id IN (
  SELECT id FROM cycles ORDER BY phase = 'done' DESC, id LIMIT max(0, (SELECT count(*) FROM cycles) - ?)
)
"""
_ID = re.compile(r"[1-9][0-9]{0,17}")

Row = dict[str, Any]


class ConnectError(Exception):
    """The database cannot be opened."""


class FinishedError(Exception):
    """A cycle that has no phase left."""


class CycleStore:
    """The repository: each method is one timed query, on a connection of its own.

    All of it runs on the event loop, and no transaction spans an await: none waits for another.
    """

    def __init__(self, directory: Path, simulation: Simulation) -> None:
        self._sim = simulation
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / FILE
        # With the last connection the write-ahead log would go, and come again with the next query.
        self._keeper = self._connect()
        self._keeper.execute("PRAGMA journal_mode = WAL")
        self._keeper.executescript(_SCHEMA)
        self._damage = Damage(self._path, self._keeper)

    async def start_cycle(self, title: str) -> Row:
        """Insert a cycle; it begins red."""
        now = timestamp()
        async with self._query("start_cycle") as connection:
            return dict(connection.execute(_INSERT, (title, now, now)).fetchone())

    async def get_cycle(self, cycle_id: str) -> Row | None:
        async with self._query("get_cycle") as connection:
            return _find(connection, _number(cycle_id))

    async def list_cycles(self, phase: str | None) -> list[Row]:
        """The newest cycles, of one phase or all."""
        async with self._query("list_cycles") as connection:
            return [dict(row) for row in connection.execute(_NEWEST, (phase,))]

    async def end_phase(self, cycle_id: str, outcome: str, seconds: float) -> tuple[str, Row] | None:
        """End the phase that a cycle is in, and tell which it was: success leads to the next, failure repeats it.

        FinishedError when the cycle is done.
        """
        number = _number(cycle_id)
        async with self._query("end_phase") as connection:
            cycle = _find(connection, number)
            if cycle is None:
                return None
            phase = cycle["phase"]
            if phase == DONE:
                raise FinishedError(f"cycle {cycle_id} is done; it has no phase to end")
            now = timestamp()
            state = _FOLLOWS[phase] if outcome == "success" else phase
            connection.execute("INSERT INTO phases VALUES (?, ?, ?, ?, ?)", (number, phase, outcome, seconds, now))
            moved = dict(connection.execute(_MOVE, (state, now, number)).fetchone())
        self._sim.metrics.phase(phase, outcome, seconds)
        return phase, moved

    async def get_history(self, cycle_id: str) -> list[Row] | None:
        """The completed phases of a cycle, oldest first."""
        number = _number(cycle_id)
        async with self._query("get_history") as connection:
            if _find(connection, number) is None:
                return None
            return [dict(row) for row in connection.execute(_HISTORY, (number,))]

    async def summary(self) -> list[Row]:
        """How many phases ended how, and after how long on average."""
        async with self._query("summary") as connection:
            return [dict(row) for row in connection.execute(_SUMMARY)]

    async def ping(self) -> None:
        """Prove that a connection can be had and answers."""
        async with self._query("ping") as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    async def prune(self, kept: int = KEPT) -> None:
        """Delete the oldest cycles beyond `kept`, finished ones first: the file is bounded."""
        async with self._query("prune") as connection:
            connection.execute(_PRUNE, (kept,))

    def corrupt(self, *, on: bool) -> None:
        """Damage the file where no cycle is, or mend it."""
        self._damage.set(on=on)

    def close(self) -> None:
        """Mend and close the file."""
        self._damage.set(on=False)
        self._disconnect(self._keeper)
        self._damage.close()

    @asynccontextmanager
    async def _query(self, operation: str) -> AsyncIterator[sqlite3.Connection]:
        """A transaction. The time is the query's, without the connect."""
        connection = self._connect(strikes=self._sim.faults.strikes("db_connect_errors"))
        try:
            with self._sim.tracing.span(f"sqlite {operation}", kind="client"), self._sim.metrics.query(operation):
                await self._sim.pause(self._sim.faults.value("db_latency"))
                with connection:
                    yield connection
        finally:
            self._disconnect(connection)

    def _connect(self, *, strikes: bool = False) -> sqlite3.Connection:
        """Open the file; ConnectError, and counted, when that fails or a fault `strikes`."""
        try:
            if strikes:
                raise sqlite3.OperationalError("unable to open database file (injected by the fault db_connect_errors)")
            # One loop, but tests may run it in another thread than the one that made the application.
            connection = sqlite3.connect(self._path, check_same_thread=False)
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as problem:
            self._sim.metrics.failed_connects.inc()
            raise ConnectError(str(problem)) from problem
        # The log is synced when it goes into the file: enough for a file that stays whole.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.row_factory = sqlite3.Row
        self._sim.metrics.connections.add(1)
        return connection

    def _disconnect(self, connection: sqlite3.Connection) -> None:
        connection.close()
        self._sim.metrics.connections.add(-1)


def _number(cycle_id: str) -> int:
    return int(cycle_id) if _ID.fullmatch(cycle_id) else 0


def _find(connection: sqlite3.Connection, number: int) -> Row | None:
    row = connection.execute(_FIND, (number,)).fetchone()
    return dict(row) if row else None
