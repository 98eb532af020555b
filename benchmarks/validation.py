"""The whole validation against one plain pass of promtool over the same rules: all of it, and after one edit.

Ours is two commands, plan and checks of an environment and the unit tests of all packs; theirs is `promtool check
rules` and `promtool test rules`. Both begin with a cold cache in each round. The edits go through all rule files.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.environments import clone

from benchmarks.cost import cold, cost, results
from benchmarks.result import Result
from rules import promtool
from toolchain import programs

ROUNDS = 5

# Ports that no shipped environment has: `local` may be up.
_CHECK = ["check", "-e", "local", "-c", "port_offset=16000", "--json"]


def measure(directory: Path) -> list[Result]:
    root = clone(directory / "validation")
    homes = promtool.homes(directory=root / "rules")
    rules = [file for home in homes for file in promtool.rule_files(home)]
    tests = [file for home in homes for file in promtool.test_files(home)]
    plain, whole, edited = [], [], []
    for number in range(ROUNDS):
        plain.append(cost(_promtool(rules, tests), root, os.environ))
        variables = {
            **os.environ,
            "PYTHONPATH": str(root),
            "WATCHSTACK_CACHE": str(cold(directory / f"cache-{number}")),
        }
        whole.append(cost(_ours(), root, variables))
        for file in rules[number::ROUNDS]:
            file.write_text(f"{file.read_text()}# Edited.\n")
            edited.append(cost(_ours(), root, variables))
    return [
        *results("whole validation / promtool alone", whole, plain, 1.3),
        *results("validation after one edit / promtool alone", edited, plain, 0.25),
    ]


def _promtool(rules: Sequence[Path], tests: Sequence[Path]) -> list[list[str]]:
    program = str(programs.program("promtool"))
    return [[program, "check", "rules", *map(str, rules)], [program, "test", "rules", *map(str, tests)]]


def _ours() -> list[list[str]]:
    command = [sys.executable, "-m", "cli.app"]
    return [[*command, *_CHECK], [*command, "test", "--json"]]
