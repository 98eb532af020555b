"""The description of an application's logging in a YAML file, for `instrument.logs`.

    service: shop
    file: logs/application.log
    console: plain
    level: WARNING
    loggers:
      shop: {level: DEBUG, sinks: [console, file, metrics]}

Keys are `service` and those of `instrument.logs.Options`, without `metrics` and `counter`. Needs PyYAML.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from instrument.logs import Console, Logger, Options, Sink, configure
from instrument.metrics import Counter, Metrics

_SINKS = get_args(Sink)
_CONSOLES = get_args(Console)


class BadSettings(Exception):
    """A file that cannot be used. The message names the key, the value and what is accepted."""


def configure_from(path: Path, *, metrics: Metrics | None = None, counter: Counter | None = None) -> None:
    """Set up logging of this process as the file says. BadSettings if it cannot be used."""
    service, options = load(path)
    options["metrics"] = metrics
    options["counter"] = counter
    configure(service, **options)


def load(path: Path) -> tuple[str, Options]:
    """The service and the options that the file gives."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise BadSettings(f"{path}: {problem.strerror}") from problem
    except (yaml.YAMLError, UnicodeError) as problem:
        raise BadSettings(f"{path}: not YAML: {' '.join(str(problem).split())}") from problem
    given = _keys(data, _READ, str(path))
    if "service" not in given:
        raise BadSettings(f"{path}: service: missing, and it has no default")
    return given.pop("service"), cast("Options", given)


def _keys(data: Any, known: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a mapping, each read as its key says."""
    if not isinstance(data, dict):
        raise BadSettings(f"{where}: not a mapping of keys")
    for key in data:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise BadSettings(f"{where}: {key}: unknown key; {hint}")
    return {key: known[key](value, f"{where}: {key}") for key, value in data.items()}


def _text(value: Any, where: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise BadSettings(f"{where}: {value!r} is not a text")


def _path(value: Any, where: str) -> Path:
    return Path(_text(value, where))


def _level(value: Any, where: str) -> str:
    return _one_of(value, tuple(logging.getLevelNamesMapping()), where)


def _console(value: Any, where: str) -> str:
    return _one_of(value, _CONSOLES, where)


def _sinks(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadSettings(f"{where}: {value!r} is not a list of {', '.join(_SINKS)}")
    return tuple(_one_of(sink, _SINKS, where) for sink in value)


def _number(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise BadSettings(f"{where}: {value!r} is not a whole number above 0")


def _flag(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise BadSettings(f"{where}: {value!r} is neither true nor false")


def _loggers(value: Any, where: str) -> dict[str, Logger]:
    if not isinstance(value, dict):
        raise BadSettings(f"{where}: not a mapping of loggers by name")
    return {str(name): Logger(**_keys(each, _LOGGER, f"{where}.{name}")) for name, each in value.items()}


def _one_of(value: Any, accepted: tuple[str, ...], where: str) -> str:
    if value in accepted:
        return str(value)
    raise BadSettings(f"{where}: {value!r} is not one of {', '.join(accepted)}")


_LOGGER = {"level": _level, "sinks": _sinks, "propagate": _flag}
_READ = {
    "service": _text,
    "file": _path,
    "level": _level,
    "sinks": _sinks,
    "console": _console,
    "console_level": _level,
    "file_level": _level,
    "file_bytes": _number,
    "file_backups": _number,
    "loggers": _loggers,
}
