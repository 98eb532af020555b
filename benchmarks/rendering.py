"""Rendering a whole Plan twice, in two processes: the bytes must be the same. Seconds of the command beside it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from e2e.environments import ROOT

from benchmarks.result import Result

RUNS = 5


class Different(Exception):
    """Two renderings of one environment differ."""


def measure(directory: Path) -> Result:
    places = [directory / f"rendered-{number}" for number in range(RUNS)]
    runs = tuple(_seconds(place) for place in places)
    first, *others = [_contents(place) for place in places]
    for other in others:
        if differing := sorted(path for path in {*first, *other} if first.get(path) != other.get(path)):
            raise Different(f"two renderings of local differ in {', '.join(differing)}")
    return Result(name="render of local, byte-identical each time", ours=runs, unit="s", limit=2)


def _contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _seconds(out: Path) -> float:
    start = time.perf_counter()
    line = [sys.executable, "-m", "cli.app", "render", "-e", "local", "--json", "--out", str(out)]
    subprocess.run(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
