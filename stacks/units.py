"""Durations and sizes as Prometheus writes them."""

import re
from typing import Annotated

from pydantic import AfterValidator

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50}
_THREE_DIGITS = 100
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_SIZE = re.compile(rf"(\d+)({'|'.join(_BYTES)})")


def seconds(text: str) -> float:
    """Length of a Prometheus duration (`1h30m`) in seconds. ValueError if it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration is a whole number with one of ms, s, m, h, d, w, y: 15s, 12h, 30d")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def duration(length: float) -> str:
    """The Prometheus duration of so many seconds: whole ones, or else whole milliseconds."""
    whole = round(length * 1000)
    return f"{whole // 1000}s" if whole % 1000 == 0 else f"{whole}ms"


def size_bytes(text: str) -> int:
    """Bytes of a Prometheus size: units are powers of 1024, as in its storage flags. ValueError if it is none."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"a size is a whole number with one of {', '.join(_BYTES)}: 512MB, 8GB")
    return int(match[1]) * _BYTES[match[2]]


def size_text(count: int) -> str:
    """The shortest exact Prometheus size, so that a share of a volume stays readable."""
    for unit, factor in reversed(_BYTES.items()):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return "0B"


def rounded(count: float) -> str:
    """A size for people, who read three digits."""
    unit, factor = next((unit, factor) for unit, factor in reversed(_BYTES.items()) if count >= factor or factor == 1)
    value = count / factor
    return f"{value:.1f} {unit}" if value < _THREE_DIGITS and factor > 1 else f"{value:.0f} {unit}"


def _duration(text: str) -> str:
    seconds(text)
    return text


def _positive_duration(text: str) -> str:
    if seconds(text) <= 0:
        raise ValueError("a duration here must be longer than 0s")
    return text


def _positive_size(text: str) -> str:
    if size_bytes(text) <= 0:
        raise ValueError("a size here must be more than 0B")
    return text


Duration = Annotated[str, AfterValidator(_positive_duration)]
Wait = Annotated[str, AfterValidator(_duration)]
Size = Annotated[str, AfterValidator(_positive_size)]
