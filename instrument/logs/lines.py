"""A log record as one line: JSON for machines, plain text for people. No record is too odd to be written."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from instrument.timestamps import timestamp
from instrument.tracing.spans import ids

# Told what could not be written as it was.
Fault = Callable[[str], None]

# What every record has, and uvicorn's coloured copy of the message; the rest was given with `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def ignore(_what: str) -> None:
    """For applications that do not count faults."""


class JsonLines(logging.Formatter):
    """A record and its `extra` fields as one line of JSON, with the trace that is under way."""

    def __init__(self, service: str, fault: Fault = ignore) -> None:
        super().__init__()
        self._service = service
        self._fault = fault

    def format(self, record: logging.LogRecord) -> str:
        try:
            return _encoded(self._line(record))
        except Exception as problem:  # noqa: BLE001 - `extra` and arguments hold anything, and a log call never raises
            self._fault(f"a record of {record.name} in full: {type(problem).__name__}")
            return _encoded(self._reduced(record))

    def _line(self, record: logging.LogRecord) -> dict[str, object]:
        line = {**self._head(record), "message": record.getMessage(), **ids()}
        line |= {name: value for name, value in _extra(record).items() if name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return line

    def _reduced(self, record: logging.LogRecord) -> dict[str, object]:
        """The same with a text for each part that cannot be written."""
        line = {name: _writable(value) for name, value in self._head(record).items()}
        line |= {"message": message(record), **ids()}
        line |= {str(name): _writable(value) for name, value in _extra(record).items() if name not in line}
        if record.exc_info:
            line["traceback"] = _attempt(lambda: self.formatException(record.exc_info))  # type: ignore[arg-type]
        return line

    def _head(self, record: logging.LogRecord) -> dict[str, object]:
        return {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "message": "",
            "logger": record.name,
            "service": self._service,
        }


class PlainLines(logging.Formatter):
    """A record as text: time, level, logger and message."""

    def __init__(self, fault: Fault = ignore) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._fault = fault

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as problem:  # noqa: BLE001 - arguments hold anything, and a log call never raises
            self._fault(f"a record of {record.name} as text: {type(problem).__name__}")
            return f"{timestamp(record.created)} {record.levelname} {record.name}: {message(record)}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - as inherited
        return timestamp(record.created)


def message(record: logging.LogRecord) -> str:
    """The message, or its template where the arguments do not fit: always text that can be written."""
    try:
        return _clean(record.getMessage())
    except Exception:  # noqa: BLE001 - arguments may throw when shown
        return _attempt(lambda: str(record.msg))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _encoded(value: object) -> str:
    """JSON, or an exception: for circles, NaN, odd keys, objects that throw when shown and half characters."""
    text = json.dumps(value, default=str, allow_nan=False)
    if "\\ud" in text:
        json.dumps(value, default=str, ensure_ascii=False).encode()
    return text


def _writable(value: object) -> object:
    try:
        _encoded(value)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a text stands for it
        return _attempt(lambda: str(value))
    return value


def _attempt(make: Callable[[], str]) -> str:
    try:
        return _clean(make())
    except Exception as problem:  # noqa: BLE001 - `__str__` of the application's own
        return f"<not shown: {type(problem).__name__}>"


def _clean(text: str) -> str:
    """Half characters (surrogates) as escapes: no UTF-8 has them."""
    return text.encode("utf-8", "backslashreplace").decode()
