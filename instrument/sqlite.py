"""Metrics of an SQLite database that another program uses: `python -m instrument.sqlite --database PATH`.

Reads only. `sqlite_up` says that the database can be opened and read; the other gauges are left out while it cannot.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from instrument import logs
from instrument.httpd import Server
from instrument.metrics import Metrics
from instrument.readings import Values

# Seconds to wait for a writer that holds the database.
BUSY = 2.0
# How many steps of SQLite's machine pass between two looks at the clock.
STEPS = 10_000

# The first bytes of a database file; in the byte at WRITE_VERSION, 2 stands for a write-ahead log.
MAGIC = b"SQLite format 3\0"
WRITE_VERSION = 18

# Nothing to say: the gauge is left out of the scrape, and that is no fault.
ABSENT: Values = {}

_LOG = logging.getLogger(__name__)


class Database:
    """What can be said of a database from outside.

    Its integrity is examined at most every `keep` seconds, for at most `timeout` seconds.
    """

    def __init__(self, metrics: Metrics, path: Path, *, keep: float = 30.0, timeout: float = 30.0) -> None:
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._keep = keep
        self._timeout = timeout
        self._intact: Values = ABSENT
        self._examined = float("-inf")
        self._said = ""
        metrics.read("sqlite_up", "Whether the database can be opened and read.", self.up)
        metrics.read("sqlite_integrity_ok", "Whether the last integrity check found nothing.", self.intact)
        metrics.read("sqlite_database_size_bytes", "Size of the database file.", self.size)
        metrics.read("sqlite_wal_size_bytes", "Size of the write-ahead log, 0 without one.", self.wal_size)

    def up(self) -> float:
        """1 if the database can be read. One that is damaged can be: its integrity says the rest."""
        try:
            with self._opened() as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as problem:
            self._say(f"{self._path.name} cannot be read: {problem}")
            return 0
        except sqlite3.DatabaseError as problem:
            self._say(f"{self._path.name} is damaged: {problem}")
        return 1

    def intact(self) -> Values:
        """1 if `PRAGMA quick_check` finds nothing, 0 if anything; absent when it came to no end."""
        if not self.up():
            self._examined = float("-inf")
            return ABSENT
        if time.monotonic() - self._examined >= self._keep:
            self._intact = self._examine()
            self._examined = time.monotonic()
        return self._intact

    def size(self) -> Values:
        return float(self._path.stat().st_size) if self.up() else ABSENT

    def wal_size(self) -> Values:
        if not self.up():
            return ABSENT
        return float(self._wal.stat().st_size) if self._wal.exists() else 0.0

    def _examine(self) -> Values:
        until = time.monotonic() + self._timeout
        rested, changed = self._at_rest(), self._path.stat().st_mtime_ns
        try:
            with self._opened() as connection:
                connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
                found = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError as problem:
            self._say(f"integrity of {self._path.name} is not known: {problem}")
            return ABSENT
        except sqlite3.DatabaseError as problem:
            found = [(problem,)]
        if found == [("ok",)]:
            return 1.0
        if rested and (not self._at_rest() or self._path.stat().st_mtime_ns != changed):
            # A writer came while nothing was held against it: half of its pages are no damage.
            return ABSENT
        self._say(f"{self._path.name} is damaged: {found[0][0]}")
        return 0.0

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # Read-only refuses a missing file. Of a database with a write-ahead log that nobody has open it would make the
        # log, which would belong to whoever runs this, and the application could not write it.
        options = "mode=ro&immutable=1" if self._at_rest() else "mode=ro"
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?{options}", uri=True, timeout=BUSY)
        try:
            yield connection
        finally:
            connection.close()

    def _at_rest(self) -> bool:
        """Whether it is a database with a write-ahead log that no writer has open."""
        try:
            with self._path.open("rb") as file:
                header = file.read(len(MAGIC) + 4)
        except OSError:
            return False
        return (
            header.startswith(MAGIC) and header[WRITE_VERSION : WRITE_VERSION + 1] == b"\2" and not self._wal.exists()
        )

    def _say(self, what: str) -> None:
        """Once until something else is the matter: scrapes come every few seconds."""
        if what != self._said:
            self._said = what
            _LOG.error(what)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the metrics of one database until SIGTERM."""
    options = _parse(arguments)
    logs.configure("sqlite-exporter", file=options.log_file)
    metrics = Metrics()
    if not metrics.enabled:
        sys.exit("prometheus-client is not installed")
    Database(metrics, options.database, keep=options.keep)
    host, _, port = options.listen.rpartition(":")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    try:
        server = Server(metrics, host.strip("[]"), int(port))
    except OSError as problem:
        sys.exit(f"cannot listen on {options.listen}: {problem.strerror}")
    _LOG.info("reading %s, listening on %s", options.database.name, options.listen)
    stopping.wait()
    server.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m instrument.sqlite", description=__doc__)
    parser.add_argument("--listen", type=_address, default="127.0.0.1:8503", metavar="HOST:PORT")
    parser.add_argument("--database", type=Path, required=True, metavar="PATH")
    parser.add_argument("--keep", type=float, default=30.0, metavar="SECONDS", help="between two integrity checks")
    parser.add_argument("--log-file", type=Path, metavar="PATH")
    return parser.parse_args(arguments)


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port, such as 127.0.0.1:8503")
    return text


if __name__ == "__main__":
    main()
