"""An `up` that changes nothing, against an `up` of a Pulumi Python program that has nothing in it."""

import subprocess
import time
from pathlib import Path

from e2e.environments import Environment

from benchmarks.cost import without_pulumi
from benchmarks.result import Result, of_pairs
from toolchain import pulumi

_PROJECT = "name: empty\nruntime: python\n"
_PROGRAM = "import pulumi\n"
RUNS = 10


def measure(environment: Environment, directory: Path) -> Result:
    """Seconds of wall time of the `pulumi up` process alone, ten of each in turn."""
    empty = _empty(directory / "empty")
    root = environment.clone
    variables = pulumi.environment(root, without_pulumi())
    stack_file, _ = pulumi.stack_file(environment.name, root)
    ours = ["pulumi", "up", "--yes", "--stack", environment.name, "--config-file", str(stack_file)]
    theirs = ["pulumi", "up", "--yes", "--stack", "empty"]
    create = ["pulumi", "stack", "select", "--create", "empty"]
    subprocess.run(create, cwd=empty, env=variables, check=True, stdout=subprocess.DEVNULL)
    for line, place in ((ours, root), (theirs, empty)):
        _seconds(line, place, variables)
    pairs = [(_seconds(ours, root, variables), _seconds(theirs, empty, variables)) for _ in range(RUNS)]
    return of_pairs("no-op up / no-op up of an empty program", pairs, 1.6)


def _empty(directory: Path) -> Path:
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text(_PROJECT)
    (directory / "__main__.py").write_text(_PROGRAM)
    return directory


def _seconds(line: list[str], place: Path, variables: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(line, cwd=place, env=variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
