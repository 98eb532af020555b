"""`python -m rules.mutate [PACK ...]`: do the unit tests of a pack notice a mistake in its rules?

Each mutant of each rule in the files that a pack lists is run against the tests beside them, and is killed when one of
them fails. Rules for Loki have no promtool tests, and rules that are made in code are in no file: they have no mutants.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from rules import promtool, trials
from rules.trials import Document, Trial
from stacks.strict import Refused
from toolchain.programs import ProgramMissing

LEAST_KILLED = 0.9

# Trials that share the starts of promtool.
_TOGETHER = 12


@dataclass(frozen=True, kw_only=True)
class Score:
    """What became of the mutants of a pack; `survivors` has a line each: file, line, rule and mistake."""

    pack: str
    mutants: int
    survivors: tuple[str, ...]

    @property
    def killed(self) -> int:
        return self.mutants - len(self.survivors)

    @property
    def share(self) -> float:
        return self.killed / self.mutants if self.mutants else 1.0


def main() -> int:
    """Exit code 1 if a pack kills too few of its mutants."""
    parser = argparse.ArgumentParser(prog="python -m rules.mutate", description=__doc__)
    parser.add_argument("packs", nargs="*", metavar="PACK", help="such as platform; all packs if none is named")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    options = parser.parse_args()
    try:
        found = scores(promtool.homes(options.packs))
    except (Refused, ProgramMissing) as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    if options.json:
        rows = [{**vars(score), "killed": score.killed, "share": round(score.share, 3)} for score in found]
        sys.stdout.write(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    else:
        _print(found)
    return int(any(score.share < LEAST_KILLED for score in found))


def scores(homes: Sequence[Path]) -> list[Score]:
    """How the tests of each pack judge its mutants. Refused if they fail without one."""
    wanted = [trial for home in homes for trial in trials.of(home)]
    batches = [wanted[start : start + _TOGETHER] for start in range(0, len(wanted), _TOGETHER)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        told = track(pool.map(_failing, batches), "mutants", len(batches), console=Console(stderr=True))
        judged = list(zip(wanted, (failed for batch in told for failed in batch), strict=True))
    if broken := [f"{trial.place}: {trial.rule}" for trial, failed in judged if failed and not trial.mutant]:
        raise Refused("\n".join(f"{rule}: its tests fail without a mutant" for rule in broken))
    return [_score(home.parent.name, judged) for home in homes]


def _score(pack: str, judged: Sequence[tuple[Trial, bool]]) -> Score:
    mine = [(trial, trial.mutant, failed) for trial, failed in judged if trial.mutant and trial.pack == pack]
    left = [f"{trial.place}: {trial.rule}: {mutant.change}" for trial, mutant, failed in mine if not failed]
    return Score(pack=pack, mutants=len(mine), survivors=tuple(left))


def _failing(batch: Sequence[Trial]) -> list[bool]:
    """Whether a test fails, trial by trial. Most mutants fail at the first test, and meet no other."""
    failing = _run([(trial, trial.tests[:1]) for trial in batch])
    left = iter(_run([(trial, trial.tests[1:]) for trial, failed in zip(batch, failing, strict=True) if not failed]))
    return [failed or next(left) for failed in failing]


def _run(tried: Sequence[tuple[Trial, Sequence[Document]]]) -> list[bool]:
    """Whether one of its tests fails, trial by trial, in one start of promtool."""
    with tempfile.TemporaryDirectory(prefix="watchstack-mutants-") as name:
        written = [_written(trial, tests, Path(name) / str(number)) for number, (trial, tests) in enumerate(tried)]
        said = promtool.test([path for paths in written for path in paths])
    return [any(said[path] for path in paths) for paths in written]


def _written(trial: Trial, tests: Sequence[Document], directory: Path) -> list[Path]:
    """The test files of a trial, beside its rule file. JSON is YAML, and quick to write."""
    directory.mkdir()
    (directory / trials.RULES).write_text(json.dumps(trial.rules))
    paths = [directory / f"{number}.test.yml" for number in range(len(tests))]
    for path, test in zip(paths, tests, strict=True):
        path.write_text(json.dumps(test))
    return paths


def _print(scores: Sequence[Score]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160, emoji=False)
    table = Table("pack", "mutants", "killed", "share")
    for score in scores:
        verdict = "[red]" if score.share < LEAST_KILLED else "[green]"
        table.add_row(score.pack, str(score.mutants), str(score.killed), f"{verdict}{score.share:.1%}")
    console.print(table)
    for score in scores:
        for survivor in score.survivors:
            console.print(f"survived: {escape(survivor)}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
