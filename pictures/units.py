"""Numbers as Grafana writes them for its unit ids.

Source: https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

import math
from collections.abc import Sequence

_SHORT = ("", " K", " Mil", " Bil", " Tri", " Quadr")
_COUNT = ("", "K", "M", "B", "T")
_SI = ("", "k", "M", "G", "T", "P")
_IEC = ("", "Ki", "Mi", "Gi", "Ti", "Pi")

# Units in steps of 1000, as `12.3K req/s`.
_COUNTED = {
    "reqps": "req/s",
    "ops": "ops/s",
    "cps": "c/s",
    "rps": "rd/s",
    "wps": "wr/s",
    "iops": "io/s",
    "eps": "evt/s",
    "mps": "msg/s",
    "recps": "rec/s",
    "rowsps": "rows/s",
    "cpm": "c/m",
    "opm": "ops/m",
    "reqpm": "req/m",
    "rpm": "rd/m",
    "wpm": "wr/m",
}
# Units with the prefixes of their kind, as `12.3 MiB`.
_PREFIXED = {
    "bytes": ("B", _IEC),
    "bits": ("b", _IEC),
    "binBps": ("B/s", _IEC),
    "binbps": ("b/s", _IEC),
    "kbytes": ("B", _IEC),
    "mbytes": ("B", _IEC),
    "decbytes": ("B", _SI),
    "decbits": ("b", _SI),
    "Bps": ("B/s", _SI),
    "bps": ("b/s", _SI),
    "pps": ("p/s", _SI),
    "hertz": ("Hz", _SI),
    "watt": ("W", _SI),
    "volt": ("V", _SI),
}
_FACTORS = {"kbytes": 2**10, "mbytes": 2**20}
# Times, by how many seconds each is.
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "dtdurations": 1.0}
_LONG = ((31_536_000, "year"), (604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "min"))
_BRIEF = ((1, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))
_PLAIN = {"celsius": " °C", "fahrenheit": " °F", "humidity": " %H", "none": "", "": ""}
_WORDS = {"bool": ("False", "True"), "bool_yes_no": ("No", "Yes"), "bool_on_off": ("Off", "On")}


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """`value` with its unit: `0.25`, `s` is `250 ms`. An unknown unit is written behind the number, as by Grafana."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if unit in _WORDS:
        return _WORDS[unit][value != 0]
    factor, suffix = scale(abs(value), unit)
    return f"{number(value / factor, decimals)}{suffix}"


def scale(size: float, unit: str) -> tuple[float, str]:
    """By what a number of this size is divided, and what is written behind it."""
    if unit in _SECONDS:
        factor, suffix = _time(size * _SECONDS[unit])
        return factor / _SECONDS[unit], suffix
    if unit == "short":
        return _power(size, 1000, _SHORT)
    if unit in _COUNTED:
        factor, prefix = _power(size, 1000, _COUNT)
        return factor, f"{prefix} {_COUNTED[unit]}"
    if unit in _PREFIXED:
        symbol, prefixes = _PREFIXED[unit]
        given = _FACTORS.get(unit, 1)
        factor, prefix = _power(size * given, 1024 if prefixes is _IEC else 1000, prefixes)
        return factor / given, f" {prefix}{symbol}"
    if unit in ("percent", "percentunit"):
        return (1.0, "%") if unit == "percent" else (0.01, "%")
    if unit in _PLAIN:
        return 1.0, _PLAIN[unit]
    return 1.0, f" {unit.removeprefix('suffix:').strip()}"


def number(value: float, decimals: int | None = None) -> str:
    """With so many decimals, by default three digits that say something; a whole number has none."""
    if decimals is None:
        decimals = _decimals(value)
    written = f"{value:.{decimals}f}"
    return written.removeprefix("-") if float(written) == 0 else written


def ticks(low: float, high: float, unit: str, about: int) -> list[tuple[float, str]]:
    """Round values between `low` and `high` for an axis with `about` lines, with what is written at them."""
    step = _step((high - low) / max(about, 1), unit)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(index * step, 12) for index in range(first, last + 1)]
    return list(zip(values, _labels(values, unit), strict=True))


def _labels(values: Sequence[float], unit: str) -> list[str]:
    """All with as many decimals as the one that needs most."""
    if unit in _WORDS:
        return [text(value, unit) if value in (0, 1) else "" for value in values]
    parts = [(value, *scale(abs(value), unit)) for value in values]
    by_suffix = {suffix: 0 for _, _, suffix in parts}
    for value, factor, suffix in parts:
        by_suffix[suffix] = max(by_suffix[suffix], _exact_decimals(value / factor))
    return [f"{number(value / factor, by_suffix[suffix])}{suffix}" for value, factor, suffix in parts]


def _exact_decimals(value: float) -> int:
    return next((count for count in range(6) if math.isclose(value, round(value, count), abs_tol=1e-9)), 6)


def _decimals(value: float) -> int:
    if math.isclose(value, round(value), rel_tol=1e-9):
        return 0
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _step(wanted: float, unit: str) -> float:
    """The next round number: 1, 2, 5 times a power of ten, of two for bytes, or what a clock has."""
    if wanted <= 0 or unit in _WORDS:
        return 1.0
    if unit in _PREFIXED and _PREFIXED[unit][1] is _IEC and wanted * _FACTORS.get(unit, 1) >= 1:
        return float(2.0 ** math.ceil(math.log2(wanted)))
    seconds = wanted * _SECONDS.get(unit, 0)
    if seconds > 1:
        clock = (2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800)
        return next((step for step in clock if step >= seconds), 604800 * math.ceil(seconds / 604800)) / _SECONDS[unit]
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted * (1 - 1e-9))


def _power(size: float, base: int, names: Sequence[str]) -> tuple[float, str]:
    index = 0
    while size >= base and index < len(names) - 1:
        size /= base
        index += 1
    return float(base**index), names[index]


def _time(seconds: float) -> tuple[float, str]:
    for factor, name in _LONG:
        if seconds >= factor:
            return factor, f" {name}" if seconds == factor else f" {name}s"
    if seconds == 0:
        return 1, " s"
    return next(((factor, suffix) for factor, suffix in _BRIEF if seconds >= factor), _BRIEF[-1])
