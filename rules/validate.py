"""The packs' rules as promtool judges them: the linter, and every unit test.

A file that passed is not judged again while nothing has changed that decides: the file itself, the rule files that it
tests, the version of promtool, and the code here.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import yaml

from rules import promtool
from stacks.strict import Refused
from toolchain import remember
from toolchain.programs import program

# Test files that share a start of promtool, where there are enough for every processor.
_TOGETHER = 4

_CODE = (Path(__file__), Path(promtool.__file__))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """On a rule file or a test file; `problem` is what promtool says, or nothing.

    `seconds` are those of the call that judged it, with others.
    """

    file: Path
    problem: str
    remembered: bool
    seconds: float

    @property
    def pack(self) -> str:
        return self.file.parts[0]


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """A file to judge, the files that decide with it, and where its pass is kept."""

    file: Path
    passed: Path


def verdicts(homes: Sequence[Path]) -> Iterator[Verdict]:
    """One for each rule file and each test file of these packs, as they come: first those that passed before."""
    tool = str(program("promtool"))
    rules = [_subject(path, [path], tool) for home in homes for path in promtool.rule_files(home)]
    tests = [_subject(path, _tested_by(path), tool) for home in homes for path in promtool.test_files(home)]
    known = {subject.file for subject in rules + tests if subject.passed.exists()}
    yield from (_verdict(subject, "", 0.0, remembered=True) for subject in rules + tests if subject.file in known)
    lint = [subject for subject in rules if subject.file not in known]
    processors = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(processors) as pool:
        dealt = _dealt([subject for subject in tests if subject.file not in known], processors)
        asked = [pool.submit(_judge, promtool.test, hand) for hand in dealt]
        asked.append(pool.submit(_judge, promtool.lint, lint))
        for done in as_completed(asked):
            yield from done.result()


def _dealt(tests: Sequence[_Subject], processors: int) -> list[list[_Subject]]:
    """The test files in hands that take about as long, the longest first in each."""
    count = max(processors, len(tests) // _TOGETHER)
    longest_first = sorted(tests, key=lambda subject: subject.file.stat().st_size, reverse=True)
    return [hand for start in range(count) if (hand := longest_first[start::count])]


def _judge(judge: Callable[[Sequence[Path]], dict[Path, str]], subjects: Sequence[_Subject]) -> list[Verdict]:
    start = time.monotonic()
    problems = judge([subject.file for subject in subjects])
    seconds = time.monotonic() - start
    for subject in subjects:
        if not problems[subject.file]:
            remember.keep(subject.passed, "")
    return [_verdict(subject, problems[subject.file], seconds, remembered=False) for subject in subjects]


def _verdict(subject: _Subject, problem: str, seconds: float, *, remembered: bool) -> Verdict:
    packs = subject.file.parents[2]
    return Verdict(
        file=subject.file.relative_to(packs),
        problem=problem.replace(f"{packs}/", "rules/"),
        remembered=remembered,
        seconds=seconds,
    )


def _subject(file: Path, deciding: Sequence[Path], tool: str) -> _Subject:
    for path in deciding:
        if not path.is_file():
            who = "pack.yaml" if path == file else file.name
            raise Refused(f"rules/{path.relative_to(file.parents[2])}: no such file; {who} names it")
    return _Subject(file=file, passed=remember.key("promtool", [*deciding, *_CODE], [tool, file.name]))


def _tested_by(test: Path) -> list[Path]:
    """The test file, and the rule files that it names. What stands above its tests is read, for they are long."""
    head = yaml.load(test.read_text().partition("\ntests:")[0], Loader=yaml.CSafeLoader)
    return [test, *((test.parent / name).resolve() for name in head["rule_files"])]
