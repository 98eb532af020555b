"""Where log lines go: handlers that count what they cannot write, and never print a traceback of their own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from instrument.logs.lines import Fault, ignore
from instrument.metrics import Counter

FILE_BYTES = 10 * 1024 * 1024
FILES = 5

_LEVELS = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"))


class Stream(logging.StreamHandler[TextIO]):
    """Lines to standard output or standard error, whatever that is at the time."""

    def __init__(self, stream: str = "stdout", fault: Fault = ignore) -> None:
        super().__init__(getattr(sys, stream))
        self._stream = stream
        self._fault = fault

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as inherited
        """A terminal that cannot show a character gets its escape instead."""
        problem = sys.exc_info()[1]
        self._fault(f"a line to {self._stream}: {type(problem).__name__}")
        if isinstance(problem, UnicodeError):
            text = self.format(record).encode("ascii", "backslashreplace").decode()
            with suppress(OSError, ValueError):
                self.stream.write(text + self.terminator)


class RotatingFile(RotatingFileHandler):
    """Lines to a file that is rotated by size; makes its directory."""

    def __init__(self, filename: str, max_bytes: int = FILE_BYTES, backups: int = FILES, fault: Fault = ignore) -> None:
        Path(filename).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(filename, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", errors="backslashreplace")
        self._fault = fault

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as inherited
        self._fault(f"a line to {Path(self.baseFilename).name}: {type(sys.exc_info()[1]).__name__}")


class CountingHandler(logging.Handler):
    """Counts records of WARNING and above by `logger` and `level` (warning, error, critical).

    A logger below one of `loggers` counts as that one, another by its own name, and what the counter does not
    declare as `other`.
    """

    def __init__(self, counter: Counter, loggers: Sequence[str] = ()) -> None:
        super().__init__(logging.WARNING)
        self._counter = counter
        self._loggers = frozenset(loggers)

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for number, name in _LEVELS if record.levelno >= number), None)
        if level:
            self._counter.inc(logger=self._nearest(record.name), level=level)

    def _nearest(self, name: str) -> str:
        above = name
        while above and above not in self._loggers:
            above = above.rpartition(".")[0]
        return above or name
