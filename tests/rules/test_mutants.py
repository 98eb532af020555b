"""The mistakes that are made in a rule, and those that would be none."""

import promql_parser
import pytest
import yaml

from rules import mutants, promtool

WAITS = {"alert": "A", "expr": "up == 0", "for": "5m", "labels": {"severity": "warning", "system": "shop"}}


def changes(expr: str) -> set[str]:
    """What may stand in place of an expression, by its mutants."""
    return {mutant.rule["expr"] for mutant in mutants.of({"record": "a", "expr": expr})}


@pytest.mark.parametrize(
    ("expr", "mutated"),
    [
        ("a > 2", {"a < 2", "a >= 2", "a > 20", "a > 0.2"}),
        ("a <= 2e3", {"a >= 2e3", "a < 2e3", "a <= 20000", "a <= 200"}),
        ("a == 0", {"a != 0"}),
        ("a or b", {"a and b", "a unless b"}),
        ("a and b unless c", {"a or b unless c", "a unless b unless c", "a and b and c", "a and b or c"}),
        ('a{b="or",c=~"d > 1"}', {
            'a{b_renamed="or",c=~"d > 1"}',
            'a{b!="or",c=~"d > 1"}',
            'a{b="or",c_renamed=~"d > 1"}',
            'a{b="or",c!~"d > 1"}',
        }),
        ("sum by (b, c) (a)", {"sum by (b_renamed, c) (a)", "sum by (b, c_renamed) (a)"}),
        ("a / on (b) group_left (c) d", {"a / on (b_renamed) group_left (c) d", "a / on (b) group_left (c_renamed) d"}),
        ("rate(a[5m] offset 1h30m)", set()),
        ("max_over_time(a[1d:10m])", set()),
        ("vector(1)", set()),
        ("a # > 2", set()),
        ("quantile(0.5, b)", {"quantile(5, b)", "quantile(0.05, b)"}),
        ("shop:by:ratio > bool 0", {"shop:by:ratio < bool 0", "shop:by:ratio >= bool 0"}),
    ],
)  # fmt: skip
def test_an_expression_has_a_mutant_for_each_mistake(expr: str, mutated: set[str]) -> None:
    assert changes(expr) == mutated


def test_beside_its_expression_a_rule_may_lose_its_wait_its_severity_and_the_names_of_its_labels() -> None:
    found = {mutant.change: mutant.rule for mutant in mutants.of(WAITS) if mutant.key != ("expr",)}
    assert found == {
        "for: 5m is dropped": {key: value for key, value in WAITS.items() if key != "for"},
        "severity warning is critical": {**WAITS, "labels": {"severity": "critical", "system": "shop"}},
        "label severity is severity_renamed": {**WAITS, "labels": {"severity_renamed": "warning", "system": "shop"}},
        "label system is system_renamed": {**WAITS, "labels": {"severity": "warning", "system_renamed": "shop"}},
    }


def test_a_wait_of_nothing_cannot_be_dropped() -> None:
    assert not [mutant for mutant in mutants.of({**WAITS, "for": "0m"}) if mutant.key == ("for",)]


def test_a_mutant_says_on_which_line_of_its_expression_it_is() -> None:
    [first, *_, last] = mutants.of({"record": "a", "expr": "sum by (b) (\n  c\n) > 0\n"})
    assert (first.line, first.change) == (0, "b is b_renamed in `sum by (b) (`")
    assert (last.line, last.change) == (2, "> is >= in `) > 0`")


def test_every_mutant_of_every_pack_is_promql_and_another_rule() -> None:
    """One that does not load would be killed without a test."""
    for path in (path for home in promtool.homes() for path in promtool.rule_files(home)):
        for group in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["groups"]:
            for rule in group["rules"]:
                for mutant in mutants.of(rule):
                    promql_parser.parse(mutant.rule["expr"])
                    assert mutant.rule != rule
