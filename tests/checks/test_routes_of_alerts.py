"""What the routing of a profile may not say, and what of its alerts nobody would hear."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakePlan

import apps
import rules
from checks import routing
from stacks.plan import Plan
from stacks.strict import Refused

HERE = Path()
APPS = Path(__file__).parents[1] / "apps"
TWINS = Path(__file__).parents[1] / "rules" / "twins"

MakeShop = Callable[[Path], Plan]


@pytest.fixture
def make_shop(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeShop:
    """The Plan of an environment that watches a shop, whose profile is this file."""
    monkeypatch.setattr(apps, "DIRECTORY", tmp_path)

    def make(profile: Path) -> Plan:
        shutil.copyfile(profile, tmp_path / "shop.yaml")
        return make_plan(
            systems={"shop": {"targets": {"shop": "127.0.0.1:9"}}},
            secrets={"hook": {"capture": "webhook"}},
        )

    return make


def _said(make_shop: MakeShop, profile: Path) -> list[str]:
    try:
        return routing.check(make_shop(profile), HERE)
    except Refused as refused:
        return str(refused).splitlines()


@pytest.mark.parametrize("profile", sorted((APPS / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_routing_is_refused_with_file_line_and_what_would_do(make_shop: MakeShop, profile: Path) -> None:
    said = _said(make_shop, profile)
    expected = profile.read_text().splitlines()[0].removeprefix("# ")
    assert any(expected in line for line in said), said
    assert not [line for line in said if "open-sesame" in line or "be11edbe" in line or "1234567890" in line]


def test_a_route_that_says_why_it_is_there_may_take_no_alert(make_shop: MakeShop, tmp_path: Path) -> None:
    text = (APPS / "bad" / "route-of-no-alert.yaml").read_text()
    profile = tmp_path / "spare.yaml"
    profile.write_text(text.replace("severity: info}", "severity: info, spare: an override can make one}"))
    assert _said(make_shop, profile) == []


def test_a_route_is_not_idle_because_an_environment_leaves_its_alert_out(make_plan: MakePlan) -> None:
    made = make_plan()
    without = tuple(alert for alert in made.alerts if alert.labels["severity"] != "info")
    assert len(without) < len(made.alerts)
    assert routing.check(replace(made, alerts=without), HERE) == []


@pytest.mark.parametrize("first", ["graphmemory", "boss-workflow"])
def test_two_systems_share_an_environment_whoever_gets_the_alerts_of_the_platform(
    make_plan: MakePlan, first: str
) -> None:
    systems = {system: {"workload": True} for system in (first, "graphmemory", "boss-workflow")}
    secrets = {name: {"capture": "webhook"} for name in ("discord-webhook", "graphmemory-direct")}
    made = make_plan(systems=systems, secrets=secrets)
    assert made.profiles[0].system == first
    assert routing.check(made, HERE) == []


def test_an_alert_that_does_not_say_its_system_must_be_routed_in_each(make_plan: MakePlan) -> None:
    made = make_plan()
    alert = next(alert for alert in made.alerts if alert.name == "HighErrorRate")
    labels = {label: value for label, value in alert.labels.items() if label != "system"}
    assert routing.labelled(made, replace(alert, labels=labels)) == [
        {"alertname": "HighErrorRate", **labels, "system": system} for system in ("platform", "boss-workflow")
    ]
    said = routing.check(replace(made, alerts=(replace(alert, labels={"severity": "page"}), *made.alerts)), HERE)
    problem = f"{alert.place}: HighErrorRate has severity 'page', which nobody routes; routed: critical, warning, info"
    assert said == [problem]


def test_two_alerts_that_nobody_can_tell_apart_are_refused(make_plan: MakePlan) -> None:
    made = make_plan()
    packs = [rules.pack(name, "v1", {}, TWINS) for name in ("blue", "red")]
    twins = tuple(alert for pack in packs for file in pack.files for alert in file.alerts)
    [problem] = routing.check(replace(made, alerts=(*made.alerts, *twins)), HERE)
    assert problem == (
        "rules/red/v1/alerts.yml:4: QueueFull has the name and labels of the alert at rules/blue/v1/alerts.yml:8; "
        "change a label"
    )
    other = tuple(
        replace(alert, labels={**alert.labels, "team": alert.pack}) if alert.name == "QueueFull" else alert
        for alert in twins
    )
    assert routing.check(replace(made, alerts=(*made.alerts, *other)), HERE) == []
