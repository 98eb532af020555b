"""Plan and all checks of an environment whose files passed before: processor seconds of the whole command."""

import os
import resource
import subprocess
import sys

from e2e.environments import ROOT

from benchmarks.result import Result

RUNS = 10


def measure() -> Result:
    _seconds()
    return Result(
        name="plan and checks of local, warm", ours=tuple(_seconds() for _ in range(RUNS)), unit="s CPU", limit=2
    )


def _seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = [sys.executable, "-m", "cli.app", "check", "-e", "local", "--json"]
    subprocess.run(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
