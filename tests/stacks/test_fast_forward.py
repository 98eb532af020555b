"""Waits and ranges at another pace: all of them, nothing else, and never so short that they mean nothing."""

from typing import Any

import pytest
import yaml
from conftest import MakePlan

from rules import Alert, RuleFile
from stacks import fast_forward
from stacks.fast_forward import Pace
from stacks.plan import Plan
from stacks.units import seconds

TWENTY = Pace(20, scrape=2, evaluation=2)


@pytest.mark.parametrize(
    ("written", "shortened"),
    [
        ("rate(a[5m])", "rate(a[15s])"),
        ("rate(a[1h30m])", "rate(a[270s])"),
        ("rate(a[1h]) / rate(a[90s])", "rate(a[180s]) / rate(a[8s])"),
        ("rate(a[ 5m ] offset 10m)", "rate(a[15s] offset 30s)"),
        ("a offset -1h", "a offset -180s"),
        ("max_over_time((sum(a) > 0)[1d:10m]) >= 36", "max_over_time((sum(a) > 0)[4320s:30s]) >= 36"),
        ("max_over_time(a[1h:])", "max_over_time(a[180s:])"),
        # Not below four scrapes, and what was shorter stays as it was.
        ("rate(a[1m])", "rate(a[8s])"),
        ("rate(a[5s])", "rate(a[5s])"),
        ("sum_over_time(a[1m:5s])", "sum_over_time(a[8s:2s])"),
        # A number is no duration, and text is text.
        ("time() - a > 300", "time() - a > 300"),
        ('a{path="[5m] offset 1h"}', 'a{path="[5m] offset 1h"}'),
        ("a{path='it\\'s [5m]'} + rate(b[5m])", "a{path='it\\'s [5m]'} + rate(b[15s])"),
        ("a # not [5m]\n + rate(b[5m])", "a # not [5m]\n + rate(b[15s])"),
        ("my_offset 5m", "my_offset 5m"),
        ("rate(a[10m] @ 300)", "rate(a[30s] @ 300)"),
    ],
)
def test_an_expression_at_twenty_times_the_pace(written: str, shortened: str) -> None:
    assert TWENTY.expression(written) == shortened


def test_what_cannot_be_divided_evenly_is_told_in_milliseconds() -> None:
    assert Pace(7, scrape=1, evaluation=1).span("5m") == "42857ms"
    assert TWENTY.pause("30s") == "1500ms"


@pytest.mark.parametrize(
    ("written", "shortened"), [("5m", "15s"), ("10s", "2s"), ("1s", "1s"), ("0s", "0s"), ("0m", "0m")]
)
def test_a_wait_is_an_evaluation_at_least_unless_it_was_shorter(written: str, shortened: str) -> None:
    assert TWENTY.wait(written) == shortened


RULES = """\
groups:
  - name: shop.alerts
    interval: 1m
    rules:
      - record: shop:errors:rate5m
        expr: rate(errors_total[5m])
      - alert: ShopErrors
        expr: shop:errors:rate5m > 0.5
        for: 10m
        keep_firing_for: 5m
        annotations: {summary: "Errors in [5m]."}
"""


def _file() -> RuleFile:
    alert = Alert(
        pack="shop",
        name="ShopErrors",
        expr="shop:errors:rate5m > 0.5",
        wait="10m",
        labels={},
        annotations={},
        place="rules/shop.yml:7",
        seen="00000000",
    )
    return RuleFile(path="shop.yml", text=RULES, requires=(), alerts=(alert,), written=("shop/ShopErrors",))


def test_a_rule_file_is_shortened_in_every_place_that_waits() -> None:
    file = fast_forward.rule_file(_file(), TWENTY)
    [group] = yaml.safe_load(file.text)["groups"]
    record, alert = group["rules"]
    assert group["interval"] == "3s"
    assert record["expr"] == "rate(errors_total[15s])"
    assert (alert["expr"], alert["for"], alert["keep_firing_for"]) == ("shop:errors:rate5m > 0.5", "30s", "15s")
    assert alert["annotations"] == {"summary": "Errors in [5m]."}
    [told] = file.alerts
    assert (told.wait, told.seen, told.place) == ("30s", "00000000", "rules/shop.yml:7")


def test_in_real_time_nothing_changes() -> None:
    file, config = _file(), {"route": {"group_wait": "30s"}}
    real = Pace(1, scrape=15, evaluation=15)
    assert fast_forward.rule_file(file, real) is file
    assert fast_forward.routes(config, real) is config


def test_every_wait_of_every_route_is_shortened_and_nothing_else() -> None:
    config = {
        "route": {"group_wait": "30s", "group_interval": "5m", "routes": [{"repeat_interval": "4h", "receiver": "5m"}]},
        "receivers": [{"name": "5m"}],
    }
    assert fast_forward.routes(config, TWENTY) == {
        "route": {
            "group_wait": "1500ms",
            "group_interval": "15s",
            "routes": [{"repeat_interval": "720s", "receiver": "5m"}],
        },
        "receivers": [{"name": "5m"}],
    }


SYSTEMS = {name: {"workload": True} for name in ("boss-workflow", "graphmemory", "lmmc", "phase5", "tdd-project")}
MAIL = {"smarthost": "capture", "from": "a@example.org", "to": ["b@example.org"]}


@pytest.fixture(scope="module", name="fast")
def _fast(make_plan: MakePlan) -> Plan:
    names = ("discord-webhook", "graphmemory-direct", "lmmc-critical", "lmmc-warning", "lmmc-default", "slack-webhook")
    return make_plan(
        systems=SYSTEMS,
        fast_forward=20,
        prometheus={"scrape_interval": "2s", "evaluation_interval": "2s"},
        email=MAIL,
        secrets={name: {"capture": "webhook"} for name in names},
    )


def _documents(plan: Plan, service: str) -> dict[str, Any]:
    found = plan.find(service)
    assert found
    return {file.path: yaml.safe_load(file.text) for file in found.files if file.path.endswith((".yml", ".yaml"))}


def test_no_shipped_rule_waits_longer_than_its_part_of_an_hour(fast: Plan) -> None:
    rules = [
        rule
        for path, document in _documents(fast, "prometheus").items()
        if path.startswith("etc/rules/")
        for group in document["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) > 100
    assert max(seconds(str(rule.get("for", "0s"))) for rule in rules) == 3600 / 20
    assert not [rule for rule in rules if "[5m]" in rule["expr"] or "[1h]" in rule["expr"]]


def test_jobs_with_an_interval_of_their_own_keep_up(fast: Plan) -> None:
    config = _documents(fast, "prometheus")["etc/prometheus.yml"]
    intervals = {job["job_name"]: job.get("scrape_interval") for job in config["scrape_configs"]}
    assert intervals["sqlite-exporter"] == "2s"
    assert intervals["boss-workflow"] is None


def test_the_routes_of_a_fast_environment_are_fast(fast: Plan) -> None:
    route = _documents(fast, "alertmanager")["etc/alertmanager.yml"]["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("1500ms", "15s", "720s")
