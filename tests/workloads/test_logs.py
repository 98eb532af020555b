"""Log lines are JSON with the agreed fields."""

import json
import logging
import re

from workloads.logs import JsonLines, timestamp


def _line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines("boss-workflow").format(record)
    assert "\n" not in text
    line: dict[str, object] = json.loads(text)
    return line


def test_line_has_the_agreed_fields_and_extra_ones() -> None:
    record = logging.makeLogRecord({"name": "boss", "levelname": "ERROR", "msg": "%s failed", "args": ("it",)})
    record.status = 500
    record.service = "pretender"
    line = _line(record)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert line == {
        "level": "error",
        "message": "it failed",
        "logger": "boss",
        "service": "boss-workflow",
        "status": 500,
    }


def test_exception_is_one_line() -> None:
    try:
        raise OSError("disk\nfull")
    except OSError as problem:
        record = logging.makeLogRecord({"exc_info": (OSError, problem, problem.__traceback__)})
    assert "disk\nfull" in str(_line(record)["traceback"])


def test_timestamp_is_utc_with_milliseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1767225600.5) == "2026-01-01T00:00:00.500Z"
