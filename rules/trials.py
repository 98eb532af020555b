"""What it takes to try a mutant: its rule file, and the tests beside it, both without what the mutant cannot touch."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rules import mutants, promtool
from rules.mutants import Mutant

# What the rule file of a trial is called, beside its tests.
RULES = "rules.yml"

_WORD = re.compile(r"[\w:]+")

Document = dict[str, Any]

# What yaml.compose makes: it knows its line, and has no types.
Node = Any


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Without a mutant it is of the rule as it is: where its tests fail, they judge nothing."""

    pack: str
    rule: str
    place: str
    mutant: Mutant | None
    rules: Document
    tests: tuple[Document, ...]


def of(home: Path) -> Iterator[Trial]:
    """Of each rule of a pack: itself, and then its mutants."""
    tests = {path: _read(path) for path in promtool.test_files(home)}
    files = {path: _read(path) for path in promtool.rule_files(home)}
    every = [rule for document in files.values() for rule in _rules(document)]
    for file, document in files.items():
        beside = [_beside(test, path, file) for path, test in tests.items() if file.name in test["rule_files"]]
        for rule, node in zip(_rules(document), _nodes(file), strict=True):
            reach = _reach(rule, every)
            judges = _most_telling_first(test for file in beside for test in _tests(file, reach))
            for mutant in (None, *mutants.of(rule)):
                yield Trial(
                    pack=home.parent.name,
                    rule=_name(rule),
                    place=f"rules/{file.relative_to(home.parents[1])}:{_line(node, mutant)}",
                    mutant=mutant,
                    rules=_with(document, rule, mutant, reach),
                    tests=judges,
                )


def _read(path: Path) -> Document:
    document: Document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return document


def _rules(document: Document) -> list[Document]:
    return [rule for group in document["groups"] for rule in group["rules"]]


def _name(rule: Document) -> str:
    return str(rule.get("alert") or rule["record"])


def _reach(rule: Document, every: Sequence[Document]) -> frozenset[str]:
    """Its name, and those of the rules that read what it records, themselves or through another."""
    reach = frozenset({_name(rule)})
    while more := {_name(other) for other in every if _reads(other["expr"], reach)} - reach:
        reach |= more
    return reach


def _reads(expr: str, names: frozenset[str]) -> bool:
    return not names.isdisjoint(_WORD.findall(expr))


def _with(document: Document, rule: Document, mutant: Mutant | None, reach: frozenset[str]) -> Document:
    """A rule file with the mutant in place of its rule, without the alerts out of its reach."""
    new = {id(rule): mutant.rule} if mutant else {}
    groups = [
        {
            **group,
            "rules": [new.get(id(each), each) for each in group["rules"] if "record" in each or _name(each) in reach],
        }
        for group in document["groups"]
    ]
    return {**document, "groups": groups}


def _beside(test: Document, path: Path, file: Path) -> Document:
    """A test file that reads `file` from where it is itself, and every other rule file from its own place."""
    files = [RULES if name == file.name else str(path.parent / name) for name in test["rule_files"]]
    return {**test, "rule_files": files}


def _tests(file: Document, reach: frozenset[str]) -> Iterator[Document]:
    """The tests of a file one by one, with no cases but those of these rules."""
    for test in file["tests"]:
        alerts = [case for case in test.get("alert_rule_test", []) if case["alertname"] in reach]
        values = [case for case in test.get("promql_expr_test", []) if _reads(case["expr"], reach)]
        if alerts or values:
            yield {**file, "tests": [{**test, "alert_rule_test": alerts, "promql_expr_test": values}]}


def _most_telling_first(tests: Iterable[Document]) -> tuple[Document, ...]:
    """A test in which alerts are silent and fire notices more than one in which nothing happens."""
    return tuple(sorted(tests, key=_changes, reverse=True))


def _changes(test: Document) -> int:
    return len({bool(case["exp_alerts"]) for each in test["tests"] for case in each["alert_rule_test"]})


def _nodes(file: Path) -> list[Node]:
    """The rules of a file as YAML nodes, which know their lines."""
    root = yaml.compose(file.read_text(), Loader=yaml.CSafeLoader)
    return [rule for group in _value(root, "groups").value for rule in _value(group, "rules").value]


def _value(node: Node, key: str) -> Node:
    return next(value for name, value in node.value if name.value == key)


def _line(node: Node, mutant: Mutant | None) -> int:
    """The line of a rule's mistake in its file."""
    for key in mutant.key if mutant else ():
        node = _value(node, key)
    # A text in a block begins on the line below its mark.
    below = mutant.line + 1 if mutant and node.style == "|" else 0
    return int(node.start_mark.line) + 1 + below
