"""What no single edit of the history shows: things of one name, thresholds, services, and what cannot be planned."""

import pytest

from review import compare
from review.compare import Edit
from review.facts import Facts, Kind, Thing


def _facts(things: dict[str, Kind], **more: object) -> Facts:
    usual: dict[str, Kind] = {"alerts": {}, "records": {}, "panels": {}}
    return {"lifecycle": "ephemeral", "things": {**usual, **things}, "runs": {}, "metrics": {}, **more}


def _edits(kind: str, old: Thing, new: Thing) -> tuple[Edit, ...]:
    [found] = compare.environments({"one": _facts({kind: {"it": [old]}})}, {"one": _facts({kind: {"it": [new]}})})
    [change] = found.changes
    return change.edits


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("a > 0.9", "a > 0.8", "threshold"),
        ("a >= bool 1", "a >= bool 2e3", "threshold"),
        ("a < -1 unless b == 1", "a < -2 unless b == 1", "threshold"),
        ("rate(a[5m]) > 1", "rate(a[10m]) > 1", "expression"),
        ("a * 2 > 1", "a * 3 > 1", "expression"),
        ("a > 1 and b > 1", "a > 2 and b > 2", "expression"),
        ('a{status="500"} > 1', 'a{status="501"} > 1', "expression"),
    ],
)
def test_a_threshold_is_one_number_that_something_is_compared_with(old: str, new: str, name: str) -> None:
    [edit] = _edits("alerts", {"expression": old}, {"expression": new})
    assert edit.name == name


def test_a_number_of_what_is_no_alert_is_part_of_its_expression() -> None:
    [edit] = _edits("records", {"expression": "a > 1"}, {"expression": "a > 2"})
    assert edit.name == "expression"


def test_of_things_of_one_name_those_with_the_same_labels_are_compared() -> None:
    slow: Thing = {"labels": ["slo=slow"], "expression": "a > 1"}
    fast: Thing = {"labels": ["slo=fast"], "expression": "b > 1"}
    changed: Thing = {"labels": ["slo=fast"], "expression": "c"}
    [found] = compare.environments(
        {"one": _facts({"alerts": {"x/A": [slow, fast]}})}, {"one": _facts({"alerts": {"x/A": [changed, slow]}})}
    )
    [change] = found.changes
    assert (change.name, change.what) == ("x/A{slo=fast}", "changed")
    assert change.edits == (Edit(name="expression", old=("b > 1",), new=("c",)),)


def test_one_more_of_a_name_is_told_apart_by_its_labels() -> None:
    one: Thing = {"labels": ["slo=one", "system=x"]}
    two: Thing = {"labels": ["slo=two", "system=x"]}
    three: Thing = {"labels": ["slo=three", "system=x"]}
    [found] = compare.environments(
        {"one": _facts({"alerts": {"x/A": [one, two]}})}, {"one": _facts({"alerts": {"x/A": [one, two, three]}})}
    )
    assert [(change.name, change.what) for change in found.changes] == [("x/A{slo=three}", "added")]


def test_a_service_does_the_worst_that_it_has_to() -> None:
    old = {"a": {"restart": "1", "reload": "1"}, "b": {"restart": "1", "reload": "1"}, "c": {"restart": "1"}}
    new = {"a": {"restart": "2", "reload": "2"}, "b": {"restart": "1", "reload": "2"}, "d": {"restart": "1"}}
    [found] = compare.environments(
        {"one": _facts({}, runs=old)}, {"one": _facts({"alerts": {"x/A": [{"for": "1m"}]}}, runs=new)}
    )
    assert found.services == {"a": "restarted", "b": "reloaded", "c": "gone", "d": "new"}


def test_what_the_base_cannot_plan_counts_as_production() -> None:
    refused = {"refused": ["Pulumi.one.yaml:3: wrong"]}
    [found] = compare.environments({"one": refused}, {"one": _facts({})})
    assert found.durable
    assert found.refused == ("Pulumi.one.yaml:3: wrong",)


def test_a_name_that_is_part_of_another_one_is_not_used() -> None:
    records: Kind = {"job:a:rate5m": [{"expression": "a"}]}
    panels: Kind = {
        "board/One": [{"queries": ["x: job:a:rate5m_total"]}],
        "board/Two": [{"queries": ["1 + job:a:rate5m"]}],
    }
    [found] = compare.environments(
        {"one": _facts({"records": records, "panels": panels})}, {"one": _facts({"panels": panels})}
    )
    assert [each.name for each in found.dependants] == ["board/Two"]


def test_a_metric_that_another_job_still_brings_is_not_missed() -> None:
    panels: Kind = {"board/One": [{"queries": ["shared"]}], "board/Two": [{"queries": ["gone_total"]}]}
    jobs: Kind = {"a": [{}], "b": [{}]}
    old = _facts({"jobs": jobs, "panels": panels}, metrics={"a": ["gone_total", "shared"], "b": ["shared"]})
    new = _facts({"jobs": {"b": [{}]}, "panels": panels}, metrics={"b": ["shared"]})
    [found] = compare.environments({"one": old}, {"one": new})
    assert [(each.removed, each.name) for each in found.dependants] == [("job a", "board/Two")]
