"""What commands cost: seconds by the clock and of the processor, each command a process of its own."""

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import Result
from toolchain import programs


@dataclass(frozen=True)
class Cost:
    wall: float
    processor: float

    def per(self, number: int) -> "Cost":
        """Milliseconds for each of `number` things."""
        return Cost(1000 * self.wall / number, 1000 * self.processor / number)


def cost(commands: Sequence[Sequence[str]], place: Path, variables: Mapping[str, str]) -> Cost:
    """Of all commands together, one after the other."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=place, env=variables, check=True, stdout=subprocess.DEVNULL)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return Cost(end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def without_pulumi() -> dict[str, str]:
    """The variables of this process, but those that would tell Pulumi of another place."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}


def results(name: str, ours: Sequence[Cost], theirs: Sequence[Cost], limit: float, unit: str = "s") -> list[Result]:
    """One by the clock, one by the processor."""
    wall = Result(
        name=name,
        ours=tuple(each.wall for each in ours),
        theirs=tuple(each.wall for each in theirs),
        unit=unit,
        limit=limit,
    )
    processor = Result(
        name=f"{name}, processor",
        ours=tuple(each.processor for each in ours),
        theirs=tuple(each.processor for each in theirs),
        unit=f"{unit} CPU",
        limit=limit,
    )
    return [wall, processor]


def cold(directory: Path) -> Path:
    """A cache that remembers nothing, and has the programs."""
    directory.mkdir()
    (directory / "tools").symlink_to(programs.cache() / "tools")
    return directory
