"""promtool over the packs: its linter on their rules, and the unit tests beside them."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rules import DIRECTORY, manifest
from stacks.strict import Refused, nearest
from toolchain.programs import program

_SECONDS = 300

# Go collects garbage half as often as it would, which saves a tenth of the processor time for some memory.
_GARBAGE = {"GOGC": "200"}

# It gives a verdict a test file, in their order, and does not name them.
_TESTED = re.compile(r"^  (SUCCESS|FAILED:)$", re.MULTILINE)
_CHECKED = re.compile(r"^Checking (.+)$", re.MULTILINE)
_IN_ORDER = re.compile(r"SUCCESS: \d+ rules found")


def homes(names: Sequence[str] = (), directory: Path = DIRECTORY) -> list[Path]:
    """The directories of these packs, or of all, whose rules promtool can read: those for Loki are in LogQL."""
    found = [path.parent for path in sorted(directory.glob("*/v*/pack.yaml"))]
    read = [home for home in found if manifest(home).engine == "prometheus"]
    known = sorted({home.parent.name for home in read})
    if unknown := sorted({*names} - {*known}):
        raise Refused(
            "\n".join(f"{name}: no pack with rules for Prometheus; {nearest(name, known)}" for name in unknown)
        )
    return [home for home in read if not names or home.parent.name in names]


def rule_files(home: Path) -> list[Path]:
    return [home / name for name in sorted(manifest(home).files)]


def test_files(home: Path) -> list[Path]:
    return sorted(home.glob("*.test.yml"))


def lint(files: Sequence[Path]) -> dict[Path, str]:
    """What the linter, as strict as it goes, says of each of these rule files: nothing if it is in order."""
    if not files:  # promtool would read its standard input
        return {}
    code, said = _promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, files))
    _, *parts = _CHECKED.split(said)
    reasons = {Path(path): "" if _IN_ORDER.fullmatch(text.strip()) else text.strip() for path, text in _pairs(parts)}
    return _whole(reasons, files, code, said)


def test(files: Sequence[Path]) -> dict[Path, str]:
    """What fails in each of these test files: nothing where all tests pass."""
    if not files:
        return {}
    code, said = _promtool("test", "rules", *map(str, files))
    _, *parts = _TESTED.split(said)
    reasons = ["" if verdict == "SUCCESS" else text.strip() for verdict, text in _pairs(parts)]
    return _whole(dict(zip(files, reasons, strict=False)), files, code, said)


def _pairs(parts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(parts[::2], parts[1::2], strict=True))


def _whole(reasons: dict[Path, str], files: Sequence[Path], code: int, said: str) -> dict[Path, str]:
    """A verdict on each file, and the exit code that goes with them; else promtool itself failed."""
    if reasons.keys() != {*files} or any(reasons.values()) != bool(code):
        raise RuntimeError(f"promtool ended with {code}, without a verdict on each of {len(files)} files:\n{said}")
    return reasons


def _promtool(*arguments: str) -> tuple[int, str]:
    """Exit code, and both streams as one: promtool names a file on one of them and its failure on the other."""
    done = subprocess.run(
        [str(program("promtool")), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **_GARBAGE},
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout
