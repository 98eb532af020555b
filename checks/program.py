"""Running a product's own validator over rendered files."""

import subprocess
from pathlib import Path

from stacks.strict import Refused
from toolchain.programs import program

_SECONDS = 60


def complaints(name: str, *args: str, directory: Path) -> list[str]:
    """What a program says if it refuses, line by line, without the rendered tree's own path."""
    done = subprocess.run(
        [str(program(name)), *args],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return []
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return [line.replace(f"{directory}/", "") for line in lines] or [f"{name} ended with {done.returncode}"]


def answer(name: str, *args: str, question: str) -> str:
    """What a program writes when it is given this on standard input. Refused with what it says if it fails."""
    done = subprocess.run(
        [str(program(name)), *args], input=question, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode != 0:
        raise Refused(done.stderr.strip() or f"{name} ended with {done.returncode}")
    return done.stdout
