"""Resident memory of a local environment, supervisor included, against the same programs started bare.

Both sides run with the same files, each from empty volumes, until they are equally old, in turn.
"""

import configparser
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import psutil
from e2e.environments import Environment

from benchmarks.result import Result

SETTLE_SECONDS = 90
ROUNDS = 3


def measure(environment: Environment) -> Result:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        environment.up()
        ours.append(_megabytes(environment.supervisor.pids()))
        commands, variables = _commands(environment.home), _variables(environment)
        copy = environment.clone / "bare"
        shutil.copytree(environment.home, copy, ignore=shutil.ignore_patterns("data", "supervisord*", "programs"))
        environment.pulumi("destroy", "--yes")
        theirs.append(_bare(copy, commands, variables))
        shutil.rmtree(copy)
    return Result(
        name="memory of local / the same programs bare", ours=tuple(ours), theirs=tuple(theirs), unit="MB", limit=1.05
    )


def _commands(home: Path) -> dict[str, list[str]]:
    commands = {}
    for file in sorted((home / "programs").glob("*.conf")):
        program = configparser.RawConfigParser()
        program.read(file)
        commands[file.stem] = shlex.split(program[f"program:{file.stem}"]["command"].replace("%%", "%"))
    return commands


def _variables(environment: Environment) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": str(environment.clone)}


def _bare(home: Path, commands: dict[str, list[str]], variables: dict[str, str]) -> float:
    processes = []
    try:
        for name, command in commands.items():
            (home / name / "data").mkdir(exist_ok=True)
            with (home / name / "log" / "stdout.log").open("w") as log:
                process = subprocess.Popen(command, cwd=home / name, env=variables, stdout=log, stderr=log)
            processes.append(process)
        return _megabytes({process.pid for process in processes})
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _megabytes(pids: set[int]) -> float:
    """Memory once the youngest process is as old as it must be: young programs still grow."""
    processes = [psutil.Process(pid) for pid in pids]
    youngest = max(process.create_time() for process in processes)
    time.sleep(max(0.0, youngest + SETTLE_SECONDS - time.time()))
    return sum(process.memory_info().rss for process in processes) / 2**20
