"""Labels of expressions, over a few made-up series."""

from collections.abc import Sequence

import pytest

from catalogue import inference
from catalogue.exposed import Labels
from catalogue.inference import Problem
from catalogue.matchers import Matcher

SERIES: dict[str, list[Labels]] = {
    "a": [{"job": frozenset({"x"}), "i": None, "k": frozenset({"1", "2"})}],
    "b": [{"job": frozenset({"y"}), "i": None, "v": None}],
    "h_bucket": [{"job": frozenset({"x"}), "le": None, "k": None}],
    "two": [{"job": frozenset({"x"}), "k": None}, {"job": frozenset({"y"}), "m": None}],
}


class Few:
    """The series above; those that begin with `else` are elsewhere, and `any` may have any labels."""

    def named(self, name: str) -> Sequence[Labels]:
        return SERIES.get(name, [])

    def unclear(self, name: str) -> bool:
        return name == "any"

    def unknown(self, name: str) -> Problem:
        return Problem(text=f"no {name}", elsewhere=name.startswith("else"))

    def unmet(self, name: str, matcher: Matcher, series: Sequence[Labels]) -> Problem:
        return inference.unmet(name, matcher, series)


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        ("a", "i job k"),
        ("-(a offset 5m)", "i job k"),
        ("rate(a[5m])", "i job k"),
        ("max_over_time((sum by (k) (a) > 0)[1d:10m])", "k"),
        ("quantile_over_time(0.9, a[5m])", "i job k"),
        ("sum(a)", ""),
        ("sum by (k, job) (a)", "job k"),
        ("sum without (k) (a)", "i job"),
        ("topk by (k) (2, a)", "i job k"),
        ("topk(scalar(sum(b)), a)", "i job k"),
        ('count_values by (k) ("v", a)', "k v"),
        ("quantile(0.5, a)", ""),
        ("histogram_quantile(0.9, h_bucket)", "job k"),
        ("histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))", ""),
        ('absent(a{job="x",i="1",k=~"1|2"})', "i job"),
        ('absent(a{i="1",i!="2"})', ""),
        ('absent_over_time(a{job="x"}[5m])', "job"),
        ("absent(sum(a))", ""),
        ('label_replace(a, "to", "$1", "k", "(.*)")', "i job k to"),
        ('label_join(a, "to", "-", "k", "i")', "i job k to"),
        ("vector(1)", ""),
        ("hour()", ""),
        ("a + 1", "i job k"),
        ("time() - a", "i job k"),
        ("a / b", "i job"),
        ("a / on (i) b", "i"),
        ("a / ignoring (job, k, v) b", "i"),
        ("a * on (i) group_left (v) b", "i job k v"),
        ("b * on (i) group_right (v) a", "i job k v"),
        ("a == on (i) b", "i"),
        ("a and on (i) b", "i job k"),
        ("a unless b", "i job k"),
        ("a or b", "i job k v"),
        ("two", "job k m"),
        ('two{job="x"}', "job k"),
        ('two{m!=""}', "job m"),
        ("a or elsewhere", "i job k"),
        ("elsewhere or elsewhere_too or a", "i job k"),
        ("any", ""),
    ],
)
def test_labels_that_a_result_can_have(expr: str, labels: str) -> None:
    found = inference.found(Few(), expr)
    assert [problem.text for problem in found.problems] == []
    assert sorted(found.known) == labels.split()


def test_a_number_has_no_labels_at_all() -> None:
    assert [inference.found(Few(), expr).labels for expr in ("1", "time()", "scalar(a)", "1 + 2")] == [None] * 4


@pytest.mark.parametrize(
    ("expr", "values"),
    [
        ('a{k="1"}', {"1"}),
        ('a{k=~"1|2"}', {"1", "2"}),
        ('a{k!="1"}', {"2"}),
        ('sum by (k) (a{k!~"2"})', {"1"}),
        ('a{i="7"}', {"1", "2"}),
        ('a{k="1"} or a{k="2"}', {"1", "2"}),
    ],
)
def test_values_that_a_label_can_have(expr: str, values: set[str]) -> None:
    assert inference.found(Few(), expr).known["k"] == frozenset(values)


def test_a_value_that_is_asked_for_is_known_where_any_may_be() -> None:
    assert inference.found(Few(), 'a{i="7"}').known["i"] == frozenset({"7"})
    assert inference.found(Few(), 'a{i=~"7|8"}').known["i"] is None


@pytest.mark.parametrize(
    ("expr", "problems"),
    [
        ("nothing", ["no nothing"]),
        ("sum by (gone) (nothing)", ["no nothing"]),
        ("nothing or elsewhere", ["no nothing", "no elsewhere"]),
        ("nothing or a", ["no nothing"]),
        ("a or (nothing and elsewhere)", ["no nothing", "no elsewhere"]),
        ("elsewhere and a", ["no elsewhere"]),
        ("a + elsewhere", ["no elsewhere"]),
        ("any{x='1'} * on (y) group_left (z) any", []),
        ("a{k='3'}", ["a has no k '3'; known: 1, 2"]),
        ("a{k=~'1|3'}", ["a has no k '3'; known: 1, 2"]),
        ("a{k=~'(3|4)'}", ["a has no k '(3|4)'; known: 1, 2"]),
        ("a{k=~'[3-4]'}", ["a has no k '[3-4]'; known: 1, 2"]),
        ("a{kk='1'}", ["a has no label kk; did you mean k?"]),
        ("a{k!='3'}", ["a has no k '3'; known: 1, 2"]),
        ("two{job='x',m='1'}", ["two has no label m; known: job, k"]),
        ("a{k=''}", []),
        ("{__name__='a',k='3'}", ["a has no k '3'; known: 1, 2"]),
        ("a{k='1',k='2'}", ["a has no series with all that is asked for; k is what none is left of"]),
        ("a{k=~'1|2',k!='2'}", []),
        ("sum by (__name__) (a)", []),
        ("sum by (i) (sum by (k) (a))", ["sum by (i): no label i here; known: k"]),
        ("a * on (i) group_left (w) b", ["group_left (w): no label w here; known: i, job, v"]),
        ("a * on (k) b", ["on (k), right side: no label k here; known: i, job, v"]),
        ("sum(", ["cannot be read: unclosed left parenthesis"]),
    ],
)
def test_what_is_wrong_is_told_once(expr: str, problems: list[str]) -> None:
    assert [problem.text for problem in inference.found(Few(), expr).problems] == problems
