"""Logging of an application: one description, made into the standard library's configuration.

    configure("shop", file=Path("logs/application.log"), metrics=metrics)

Sinks are `console` (standard output), `file` (JSON lines, rotated by size), `metrics` (WARNING and above, counted)
and `errors` (ERROR and above, plain, to standard error).
"""

from __future__ import annotations

import logging.config
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from instrument.logs.handlers import FILE_BYTES, FILES, CountingHandler, RotatingFile, Stream
from instrument.logs.lines import JsonLines, PlainLines, ignore
from instrument.metrics import Counter, Metrics
from instrument.timestamps import timestamp

__all__ = [
    "CountingHandler",
    "JsonLines",
    "Logger",
    "Options",
    "PlainLines",
    "build_config",
    "configure",
    "timestamp",
]

Sink = Literal["console", "file", "metrics", "errors"]
Console = Literal["json", "plain", "none"]


@dataclass(frozen=True)
class Logger:
    """What one logger lets through, and where to; with `propagate`, to the root's sinks also."""

    level: str = "INFO"
    sinks: tuple[Sink, ...] = ()
    propagate: bool = False


class Options(TypedDict, total=False):
    """How to log. `console` is JSON where there is no file, and off where there is one, unless given."""

    file: Path | None
    level: str
    sinks: tuple[Sink, ...]
    console: Console | None
    console_level: str
    file_level: str
    file_bytes: int
    file_backups: int
    loggers: Mapping[str, Logger]
    metrics: Metrics | None
    counter: Counter | None


def configure(service: str, **options: Unpack[Options]) -> None:
    """Set up logging of this process. Loggers that exist already are kept."""
    logging.config.dictConfig(build_config(service, **options))


def build_config(service: str, **options: Unpack[Options]) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`.

    `level` and `sinks` are the root's; by default it has every sink but `errors`. `metrics` counts lines that could
    not be written in full. `counter` (labels `logger`, `level`) counts records; those of `loggers` by their name.
    """
    fault = partial(metrics.fault, "log") if (metrics := options.get("metrics")) else ignore
    loggers = options.get("loggers", {})
    handlers = _handlers(options, tuple(loggers), fault)
    sinks = options.get("sinks", ("console", "file", "metrics"))
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JsonLines, "service": service, "fault": fault},
            "plain": {"()": PlainLines, "fault": fault},
        },
        "handlers": handlers,
        "root": {"level": options.get("level", "INFO"), "handlers": [sink for sink in sinks if sink in handlers]},
        "loggers": {
            name: {
                "level": logger.level,
                "handlers": [sink for sink in logger.sinks if sink in handlers],
                "propagate": logger.propagate,
            }
            for name, logger in loggers.items()
        },
    }


def _handlers(options: Options, loggers: tuple[str, ...], fault: Any) -> dict[str, dict[str, Any]]:
    """Those handlers that the options ask for, by sink."""
    file, counter = options.get("file"), options.get("counter")
    console = options.get("console") or ("none" if file else "json")
    errors = {"()": Stream, "stream": "stderr", "level": "ERROR", "formatter": "plain", "fault": fault}
    handlers: dict[str, dict[str, Any]] = {"errors": errors}
    if console != "none":
        level = options.get("console_level", "NOTSET")
        handlers["console"] = {"()": Stream, "level": level, "formatter": console, "fault": fault}
    if file:
        handlers["file"] = {
            "()": RotatingFile,
            "filename": str(file),
            "max_bytes": options.get("file_bytes", FILE_BYTES),
            "backups": options.get("file_backups", FILES),
            "level": options.get("file_level", "NOTSET"),
            "formatter": "json",
            "fault": fault,
        }
    if counter:
        handlers["metrics"] = {"()": CountingHandler, "counter": counter, "loggers": loggers}
    return handlers
