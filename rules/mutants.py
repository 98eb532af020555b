"""Mutants of a rule: small mistakes, each of which a unit test of its pack should notice.

Mistakes that change nothing are not made: zero times ten, another value in `vector(1)`, a wait of zero that is dropped.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""(?P<comment>\#.*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
      | (?P<word>[A-Za-z_:][\w:]*)
      | (?P<sign>=~|!~|[=!<>]=|\S)""",
    re.VERBOSE,
)

_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
_EDGE = {">": ">=", "<": "<=", ">=": ">", "<=": "<"}
_NEGATED = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_SETS = ("and", "or", "unless")
_GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_SEVERITIES = {"critical": "warning", "warning": "critical", "info": "warning", "none": "info"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A rule with one mistake, in the value of `key`, and in an expression on its line `line`, counted from 0."""

    change: str
    key: tuple[str, ...]
    line: int = 0
    rule: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Token:
    """A part of an expression, and the bracket or the keyword of the grouping that it stands in."""

    kind: str
    text: str
    start: int
    inside: str


def of(rule: Mapping[str, Any]) -> list[Mutant]:
    """Every mutant of a rule."""
    edits = _edits(_tokens(rule["expr"]))
    return [*(_edited(rule, token, new) for token, new in edits), *_without_wait(rule), *_with_other_labels(rule)]


def _edited(rule: Mapping[str, Any], token: _Token, new: str) -> Mutant:
    expr, end = rule["expr"], token.start + len(token.text)
    line = expr.count("\n", 0, token.start)
    return Mutant(
        change=f"{token.text} is {new} in `{expr.splitlines()[line].strip()}`",
        key=("expr",),
        line=line,
        rule={**rule, "expr": expr[: token.start] + new + expr[end:]},
    )


def _without_wait(rule: Mapping[str, Any]) -> Iterator[Mutant]:
    wait = rule.get("for", "0m")
    if wait not in ("0s", "0m"):
        left = {key: value for key, value in rule.items() if key != "for"}
        yield Mutant(change=f"for: {wait} is dropped", key=("for",), rule=left)


def _with_other_labels(rule: Mapping[str, Any]) -> Iterator[Mutant]:
    labels = rule.get("labels", {})
    for name, value in labels.items():
        renamed = {_renamed(name) if key == name else key: each for key, each in labels.items()}
        key = ("labels", name)
        yield Mutant(change=f"label {name} is {_renamed(name)}", key=key, rule={**rule, "labels": renamed})
        if name == "severity":
            new = _SEVERITIES[value]
            changed = {**labels, name: new}
            yield Mutant(change=f"severity {value} is {new}", key=key, rule={**rule, "labels": changed})


def _edits(tokens: list[_Token]) -> Iterator[tuple[_Token, str]]:
    """Each part of an expression that can be mistaken, with what may stand there instead."""
    for at, token in enumerate(tokens):
        if token.inside in _GROUPINGS:
            new = [_renamed(token.text)] if token.kind == "word" else []
        elif token.inside == "{":
            new = _of_a_matcher(token)
        elif token.inside == "[":
            new = []
        else:
            new = _of_an_operation(token, tokens[at - 2].text if at > 1 else "")
        yield from ((token, text) for text in new)


def _of_a_matcher(token: _Token) -> list[str]:
    if token.kind == "word":
        return [_renamed(token.text)]
    return [_NEGATED[token.text]] if token.text in _NEGATED else []


def _of_an_operation(token: _Token, function: str) -> list[str]:
    """`function` is the one whose first argument this is, if it is one."""
    if token.text in _SETS:
        return [other for other in _SETS if other != token.text]
    if token.kind == "number" and function != "vector" and (value := float(token.text)):
        return [f"{value * 10:.12g}", f"{value / 10:.12g}"]
    return [table[token.text] for table in (_FLIPPED, _EDGE) if token.text in table]


def _tokens(expr: str) -> list[_Token]:
    tokens: list[_Token] = []
    inside = [""]
    for found in _TOKEN.finditer(expr):
        text = found[0]
        if found.lastgroup == "comment":
            continue
        if text == _CLOSING.get(inside[-1], ")" if inside[-1] in _GROUPINGS else None):
            inside.pop()
        tokens.append(_Token(kind=str(found.lastgroup), text=text, start=found.start(), inside=inside[-1]))
        if text in _CLOSING:
            keyword = tokens[-2].text if len(tokens) > 1 else ""
            inside.append(keyword if text == "(" and keyword in _GROUPINGS else text)
    return tokens


def _renamed(label: str) -> str:
    return f"{label}_renamed"
