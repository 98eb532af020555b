"""Commands of this clone, as the workflows run them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from toolchain import pulumi

ROOT = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """A command ended with another code than it should."""


def watchstack(*arguments: str, accepted: Sequence[int] = (0,), quiet: bool = False) -> str:
    """What a verb of ./watchstack says on standard output, shown too unless `quiet`."""
    return _run(["-m", "cli.app", *arguments], {**os.environ, "PYTHONPATH": str(ROOT)}, accepted, quiet=quiet)


def engine(environment: str, *arguments: str, quiet: bool = False) -> str:
    """What a command of Pulumi says of an environment."""
    env = {**pulumi.environment(ROOT), "PYTHONPATH": str(ROOT)}
    return _run(["-m", "toolchain.pulumi", environment, "--", *arguments], env, (0,), quiet=quiet)


def _run(arguments: Sequence[str], env: dict[str, str], accepted: Sequence[int], *, quiet: bool) -> str:
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    said = []
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if not quiet:
                sys.stdout.write(line)
                sys.stdout.flush()
    if process.returncode not in accepted:
        raise Failed(f"{' '.join(arguments[1:])} ended with {process.returncode}")
    return "".join(said)
