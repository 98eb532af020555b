"""The table of ends of support and of pairs that do not work together: `lifecycle.yaml`."""

from datetime import date
from functools import cache
from pathlib import Path

import yaml

from stacks.strict import Strict, load

_FILE = Path(__file__).parent / "lifecycle.yaml"


class Supported(Strict):
    """Until when a series of versions of a component is mended."""

    component: str
    series: str
    until: date
    source: str

    def holds(self, version: str) -> bool:
        """Whether the version is of the series."""
        return f"{version}.".startswith(f"{self.series}.")


class Broken(Strict):
    """Versions of a component that do not work beside those of another."""

    component: str
    before: str
    beside: str
    with_from: str
    because: str

    def holds(self, version: str, other: str) -> bool:
        """Whether these two are such a pair."""
        return numbers(version) < numbers(self.before) and numbers(other) >= numbers(self.with_from)


class Table(Strict):
    supported: tuple[Supported, ...]
    broken: tuple[Broken, ...]


@cache
def table(file: Path = _FILE) -> Table:
    """The table, as it is written."""
    return load(Table, yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader), f"toolchain/{file.name}: ")


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare by: 0.9 comes before 0.16, and what follows a dash does not count."""
    parts = version.removeprefix("v").partition("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
