"""Damage to a SQLite file that its integrity check finds, and that nothing else meets."""

import os
import sqlite3
from pathlib import Path

# Byte 7 of a leaf page counts its fragmented free bytes. A page without rows has none.
_FRAGMENTS = 7
_SOUND, _DAMAGED = b"\x00", b"\x01"


class Damage:
    """One byte of the file, on the only page of a table that nothing reads or writes.

    What an earlier process left damaged is mended. OperationalError when another process reads the file for longer
    than the time-out of `connection`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE IF NOT EXISTS unused (filler TEXT)")
        # A page of the log would hide what stands in the file.
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError(f"{path} is read by somebody who does not end")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'unused'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        self._offset = (page - 1) * size + _FRAGMENTS
        # Open for as long as the database is: POSIX drops all locks of a process on a file when it closes it once.
        self._file = os.open(path, os.O_RDWR)
        self.set(on=False)

    def set(self, *, on: bool) -> None:
        """Damage the page, or mend it, while nobody else writes."""
        wanted = _DAMAGED if on else _SOUND
        if os.pread(self._file, 1, self._offset) == wanted:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            os.pwrite(self._file, wanted, self._offset)
        finally:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file, after the last connection of this process is closed."""
        os.close(self._file)
