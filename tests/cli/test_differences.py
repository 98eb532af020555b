"""What a program says that it has loaded, against the file: another way of writing it is no drift, another value is."""

from typing import Any

import pytest

from cli import differences

RULES = """
groups:
  - name: shop.app
    rules:
      - record: shop:errors:ratio
        expr: sum(rate(errors_total{job="shop"}[60s]))
        labels: {system: shop}
      - alert: ShopDown
        expr: up{job="shop"} == 0
        for: 60s
        labels: {severity: critical}
        annotations: {summary: Down.}
"""


def _groups() -> list[dict[str, Any]]:
    """The rules as Prometheus tells them: expressions in its own form, waits in seconds."""
    record = {
        "name": "shop:errors:ratio",
        "query": 'sum(rate(errors_total{job="shop"}[1m]))',
        "labels": {"system": "shop"},
    }
    alert = {
        "name": "ShopDown",
        "query": 'up{job="shop"}  ==  0',
        "duration": 60,
        "labels": {"severity": "critical"},
        "annotations": {"summary": "Down."},
    }
    return [{"file": "/srv/etc/rules/shop/v1/app.yml", "name": "shop.app", "rules": [record, alert]}]


def _found(groups: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(differences._rules({"etc/rules/shop/v1/app.yml": RULES}, groups))


def test_rules_that_are_loaded_as_they_are_written_have_not_drifted() -> None:
    assert _found(_groups()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("query", 'up{job="shop"} == 1'),
        ("duration", 120),
        ("labels", {"severity": "warning"}),
        ("annotations", {"summary": "Up."}),
    ],
)
def test_a_rule_that_is_loaded_otherwise_is_named(key: str, value: object) -> None:
    groups = _groups()
    groups[0]["rules"][1][key] = value
    assert _found(groups) == [("rule shop/v1/app.yml: ShopDown", "is loaded in another form")]


def test_a_rule_that_is_gone_and_one_that_nobody_wrote_are_named() -> None:
    groups = _groups()
    groups[0]["rules"][1]["name"] = "ShopUp"
    assert _found(groups) == [
        ("rule shop/v1/app.yml: ShopDown", "is not loaded"),
        ("rule shop/v1/app.yml: ShopUp", "is only loaded"),
    ]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("60s", "1m"),
        ("24h", "1d"),
        ("32MB", "32MiB"),
        ("1638MB", "1GiB614MiB"),
        ("etc/rules/*.yml", "/srv/prometheus/etc/rules/*.yml"),
        ("../secrets/bridge", "secrets/bridge"),
        ("https://hooks.example.org/a", "<secret>"),
        (5000, 5000),
        ([], None),
        (["b", "a"], ["a", "b"]),
        ({"a": 1}, {"a": 1, "b": "a default"}),
    ],
)
def test_another_way_of_writing_it_is_no_drift(ours: object, theirs: object) -> None:
    assert list(differences._below("key", ours, theirs)) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "drift"),
    [
        ("60s", "2m", ("key", "the file says '60s', loaded is '2m'")),
        ("1638MB", "1GiB615MiB", ("key", "the file says '1638MB', loaded is '1GiB615MiB'")),
        ("../secrets/a", "secrets/b", ("key", "the file says '../secrets/a', loaded is 'secrets/b'")),
        (5, 6, ("key", "the file says 5, loaded is 6")),
        ("a", None, ("key", "the file says 'a', loaded is None")),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ("key.a.b", "the file says 1, loaded is 2")),
        ([{"job_name": "x", "n": 1}], [{"job_name": "x", "n": 2}], ("key.x.n", "the file says 1, loaded is 2")),
        ([1], [1, 2], ("key", "the file has 1, 2 are loaded")),
    ],
)
def test_another_value_is_drift_with_its_place(ours: object, theirs: object, drift: tuple[str, str]) -> None:
    assert list(differences._below("key", ours, theirs)) == [drift]


def test_the_rules_of_this_test_are_rules() -> None:
    assert [rule[0] for rule in dict(differences._written({"etc/rules/a.yml": RULES}))["a.yml", "shop.app"]] == [
        "shop:errors:ratio",
        "ShopDown",
    ]


def test_a_resource_is_named_by_its_type_and_name() -> None:
    home = "urn:pulumi:one::watchstack::pulumi-python:dynamic/watchstack:Home"
    assert differences._named(f"{home}$pulumi-python:dynamic/watchstack:Service::loki") == "Service loki"
    assert (
        differences._named("urn:pulumi:dev::watchstack::docker:index/container:Container::dev-loki")
        == "Container dev-loki"
    )
