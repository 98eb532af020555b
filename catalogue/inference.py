"""Which labels the result of an expression can have, and which names in it nobody knows.

Labels are those that a series may have: a program may leave out any of them. So what is refused here is a label that
no series can ever have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import promql_parser as promql

from catalogue.exposed import Labels, all_of, union
from catalogue.matchers import Matcher, near

NAME = "__name__"

_CHOOSING = ("topk", "bottomk", "limitk", "limit_ratio")
_QUANTILES = ("histogram_quantile", "histogram_fraction")
_ABSENT = ("absent", "absent_over_time")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """`elsewhere`: the name is right, and of something that the environment does not have."""

    text: str
    elsewhere: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """The labels of a result, without its name; None for a number.

    `unclear`: it may have any other label too, after a problem or where the data decides.
    """

    labels: Labels | None
    problems: tuple[Problem, ...] = ()
    unclear: bool = False

    @property
    def known(self) -> Labels:
        return self.labels or {}

    def lacking(self, labels: Iterable[str]) -> list[str]:
        """Those of the labels that it can never have."""
        return [label for label in labels if not self.unclear and label not in self.known and label != NAME]

    def of(self, labels: Labels | None, problems: Iterable[Problem] = ()) -> "Found":
        """Other labels, and more problems."""
        return replace(self, labels=labels, problems=(*self.problems, *problems))

    def beside(self, other: "Found") -> "Found":
        """This one, with the problems of another part of the expression."""
        return replace(self, problems=self.problems + other.problems, unclear=self.unclear or other.unclear)


class Series(Protocol):
    """What the expressions are over."""

    def named(self, name: str) -> Sequence[Labels]:
        """The labels of the series of this name."""

    def unclear(self, name: str) -> bool:
        """Whether the series of this name may have any label, because what records them has a problem itself."""

    def unknown(self, name: str) -> Problem:
        """What is wrong with a name that no series has."""

    def unmet(self, name: str, matcher: Matcher, series: Sequence[Labels]) -> Problem:
        """What is wrong with a matcher that finds none of these series of a name."""


def found(series: Series, expr: str) -> Found:
    """The labels that the result of an expression can have, and what is wrong with it."""
    try:
        node = promql.parse(expr)
    except ValueError as problem:
        return Found(labels={}, problems=(Problem(text=f"cannot be read: {problem}"),), unclear=True)
    return _read(series, node)


def selector(text: str) -> list[Matcher]:
    """The matchers between a pair of braces."""
    # With a name it may match everything else.
    node = promql.parse(f"any{text}")
    return matchers(node) if isinstance(node, promql.VectorSelector) else []


def matchers(selector: promql.VectorSelector) -> list[Matcher]:
    operators = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return [
        Matcher(label=each.name, operator=operators[_variant(each.op)], value=each.value)
        for each in selector.matchers.matchers
    ]


def unmet(name: str, matcher: Matcher, series: Sequence[Labels]) -> Problem:
    """What is wrong with a matcher that finds none of these series."""
    labels = {label for each in series for label in each}
    if matcher.label not in labels:
        return Problem(text=f"{name} has no label {matcher.label}; {near(matcher.label, labels)}")
    values = {value for each in series for value in each.get(matcher.label) or ()}
    wrong = matcher.unmet(values)
    if wrong is None:
        return Problem(text=f"{name} has no series with all that is asked for; {matcher.label} is what none is left of")
    return Problem(text=f"{name} has no {matcher.label} {wrong!r}; {near(wrong, values)}")


def missing(found: Found, labels: Iterable[str], where: str) -> list[Problem]:
    """A problem for each of the labels that can never be there."""
    known = sorted(found.known)
    return [Problem(text=f"{where}: no label {label} here; {near(label, known)}") for label in found.lacking(labels)]


def _read(series: Series, node: promql.Expr) -> Found:
    match node:
        case promql.VectorSelector():
            return _selected(series, node)
        case promql.MatrixSelector():
            return _selected(series, node.vector_selector)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _read(series, node.expr)
        case promql.AggregateExpr():
            return _aggregated(series, node)
        case promql.BinaryExpr():
            return _binary(_read(series, node.lhs), _read(series, node.rhs), str(node.op), node.modifier)
        case promql.Call():
            return _called(node, [_read(series, argument) for argument in node.args])
    return Found(labels=None)


def _selected(series: Series, node: promql.VectorSelector) -> Found:
    given = matchers(node)
    name = node.name or next((each.value for each in given if each.label == NAME and each.operator == "="), None)
    if name is None or series.unclear(name):
        return Found(labels={}, unclear=True)
    left = series.named(name)
    if not left:
        return Found(labels={}, problems=(series.unknown(name),), unclear=True)
    # The job first: what a label is depends on who exposes it.
    for of_job in (True, False):
        asked = [each for each in given if each.label != NAME and (each.label == "job") == of_job]
        narrowed = list(left)
        for matcher in asked:
            narrowed = [matcher.narrow(labels) for labels in narrowed if matcher.finds(labels)]
            if matcher.misses(left) or not narrowed:
                return Found(labels={}, problems=(series.unmet(name, matcher, left),), unclear=True)
        left = narrowed
    return Found(labels=all_of(left))


def _aggregated(series: Series, node: promql.AggregateExpr) -> Found:
    inner = _read(series, node.expr)
    by = node.modifier is None or _variant(node.modifier.type) == "By"
    named = [] if node.modifier is None else node.modifier.labels
    left = {label: of for label, of in inner.known.items() if (label in named) == by}
    if str(node.op) in _CHOOSING:
        left = dict(inner.known)
    if isinstance(node.param, promql.StringLiteral):
        left[node.param.val] = None  # count_values
    elif node.param is not None:
        inner = inner.beside(_read(series, node.param))
    return inner.of(left, missing(inner, named, f"{node.op} {'by' if by else 'without'} ({', '.join(named)})"))


def _called(node: promql.Call, arguments: Sequence[Found]) -> Found:
    # One argument is a vector, or none; the others are numbers and strings.
    vectors = [argument for argument in arguments if argument.labels is not None]
    result = vectors[0] if vectors else Found(labels={})
    for argument in arguments:
        result = result if argument is result else result.beside(argument)
    if _variant(node.func.return_type) == "Scalar":
        return result.of(None)
    if node.func.name in _ABSENT:
        return result.of(_equalled(node.args[0]))
    if node.func.name in _QUANTILES:
        return result.of({label: of for label, of in result.known.items() if label != "le"}, _edges(result, node))
    if node.func.name in ("label_replace", "label_join"):
        to, _, *sources = [argument.val for argument in node.args[1:]]
        read = sources[:1] if node.func.name == "label_replace" else sources
        return result.of({**result.known, to: None}, missing(result, read, node.func.name))
    return replace(result, unclear=True) if node.func.name == "info" else result


def _edges(result: Found, node: promql.Call) -> list[Problem]:
    """A quantile of a classic histogram needs its buckets; a native one has none, and no `le` to lose."""
    return missing(result, ["le"], node.func.name)


def _equalled(node: promql.Expr) -> Labels:
    """What `absent` makes of its selector."""
    selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
    if not isinstance(selector, promql.VectorSelector):
        return {}
    given = [each for each in matchers(selector) if each.label != NAME]
    alone = [each for each in given if [other.label for other in given].count(each.label) == 1]
    return {each.label: frozenset({each.value}) for each in alone if each.operator == "="}


def _binary(left: Found, right: Found, operator: str, modifier: promql.BinModifier | None) -> Found:
    if operator == "or":
        return _either(left, right)
    if left.labels is None or right.labels is None:
        return (right if left.labels is None else left).beside(left if left.labels is None else right)
    problems = _unmatched(left, right, modifier)
    joined = left.labels if operator in ("and", "unless") else _joined(left.labels, right.labels, modifier)
    return left.beside(right).of(joined, problems)


def _either(left: Found, right: Found) -> Found:
    """Of two ways to the same, an environment may lack the one."""
    for one, other in ((left, right), (right, left)):
        if not one.problems and other.problems and all(problem.elsewhere for problem in other.problems):
            # Where it has the other too, there are the labels of that one.
            return replace(one, unclear=True)
    return left.beside(right).of(union(left.known, right.known))


def _unmatched(left: Found, right: Found, modifier: promql.BinModifier | None) -> list[Problem]:
    """`on` needs a label on both sides, `ignoring` on one, and `group_left` on the side that gives it."""
    if modifier is None:
        return []
    problems: list[Problem] = []
    if modifier.matching is not None:
        named = modifier.matching.labels
        if _variant(modifier.matching.type) == "Include":
            where = f"on ({', '.join(named)})"
            problems += [*missing(left, named, f"{where}, left side"), *missing(right, named, f"{where}, right side")]
        else:
            both = left.beside(right).of(union(left.known, right.known))
            problems += missing(both, named, f"ignoring ({', '.join(named)})")
    given = modifier.group_labels or []
    one, where = (left, "group_right") if _variant(modifier.card) == "OneToMany" else (right, "group_left")
    return problems + missing(one, given, f"{where} ({', '.join(given)})")


def _joined(left: Labels, right: Labels, modifier: promql.BinModifier | None) -> Labels:
    """The labels of an operation on two vectors: those that both have, or those of the side of which there are many."""
    card = "OneToOne" if modifier is None else _variant(modifier.card)
    if modifier is not None and card != "OneToOne":
        many, one = (left, right) if card == "ManyToOne" else (right, left)
        return {**many, **{label: one.get(label) for label in modifier.group_labels or []}}
    both = {label: of for label, of in left.items() if label in right}
    if modifier is None or modifier.matching is None:
        return both
    on = _variant(modifier.matching.type) == "Include"
    return {label: of for label, of in both.items() if (label in modifier.matching.labels) == on}


def _variant(value: object) -> str:
    """The name of a value of one of the parser's enumerations, which are neither hashable nor Python's own."""
    return str(value).rpartition(".")[2]
