"""Structured logs: one JSON object a line, in a file that is rotated by size."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE_BYTES = 10 * 1024 * 1024
FILES = 5

# What every record has, and uvicorn's coloured copy of the message; the rest was given with `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """A record and its `extra` fields as one line of JSON."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            "service": self._service,
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line |= {name: value for name, value in extra.items() if name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(service: str, path: Path | None = None) -> None:
    """Send all logging of this process to `path`, or to standard output."""
    root = logging.getLogger()
    root.handlers = [_handler(path)]
    root.handlers[0].setFormatter(JsonLines(service))
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request that it sends
    if path:
        # A port that is taken must be visible to whoever started the program.
        stderr = logging.StreamHandler(sys.stderr)
        stderr.setLevel(logging.ERROR)
        logging.getLogger("uvicorn").handlers = [stderr]


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with milliseconds; without `seconds` (Unix time), now."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _handler(path: Path | None) -> logging.Handler:
    if path is None:
        return logging.StreamHandler(sys.stdout)
    path.parent.mkdir(parents=True, exist_ok=True)
    return RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8")
