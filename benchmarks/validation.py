"""The whole validation against one plain pass of promtool over the same rules: all of it, and after one edit.

Ours is two commands, plan and checks of an environment and the unit tests of all packs; theirs is `promtool check
rules` and `promtool test rules`. Both begin with a cold cache in each round. The edits go through all rule files.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.environments import clone

from benchmarks.result import Result
from rules import promtool
from toolchain import programs

ROUNDS = 5

# Ports that no shipped environment has: `local` may be up.
_CHECK = ["check", "-e", "local", "-c", "port_offset=16000", "--json"]


@dataclass(frozen=True)
class _Cost:
    wall: float
    processor: float


def measure(directory: Path) -> list[Result]:
    root = clone(directory / "validation")
    homes = promtool.homes(directory=root / "rules")
    rules = [file for home in homes for file in promtool.rule_files(home)]
    tests = [file for home in homes for file in promtool.test_files(home)]
    plain, whole, edited = [], [], []
    for number in range(ROUNDS):
        plain.append(_cost(_promtool(rules, tests), root, os.environ))
        variables = {
            **os.environ,
            "PYTHONPATH": str(root),
            "WATCHSTACK_CACHE": str(_cold(directory / f"cache-{number}")),
        }
        whole.append(_cost(_ours(), root, variables))
        for file in rules[number::ROUNDS]:
            file.write_text(f"{file.read_text()}# Edited.\n")
            edited.append(_cost(_ours(), root, variables))
    return [
        *_results("whole validation / promtool alone", whole, plain, 1.3),
        *_results("validation after one edit / promtool alone", edited, plain, 0.25),
    ]


def _results(name: str, ours: Sequence[_Cost], theirs: Sequence[_Cost], limit: float) -> list[Result]:
    wall = Result(
        name=name,
        ours=tuple(cost.wall for cost in ours),
        theirs=tuple(cost.wall for cost in theirs),
        unit="s",
        limit=limit,
    )
    processor = Result(
        name=f"{name}, processor",
        ours=tuple(cost.processor for cost in ours),
        theirs=tuple(cost.processor for cost in theirs),
        unit="s CPU",
        limit=limit,
    )
    return [wall, processor]


def _promtool(rules: Sequence[Path], tests: Sequence[Path]) -> list[list[str]]:
    program = str(programs.program("promtool"))
    return [[program, "check", "rules", *map(str, rules)], [program, "test", "rules", *map(str, tests)]]


def _ours() -> list[list[str]]:
    command = [sys.executable, "-m", "cli.app"]
    return [[*command, *_CHECK], [*command, "test", "--json"]]


def _cold(directory: Path) -> Path:
    """A cache that remembers nothing, and has the programs."""
    directory.mkdir()
    (directory / "tools").symlink_to(programs.cache() / "tools")
    return directory


def _cost(commands: Sequence[Sequence[str]], place: Path, variables: Mapping[str, str]) -> _Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=place, env=variables, check=True, stdout=subprocess.DEVNULL)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return _Cost(end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
