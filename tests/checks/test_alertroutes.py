"""What Alertmanager's own packages say of routing: the cases of the profiles, and the model of `stacks/routes.py`."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import MakePlan

import apps
from apps import Profile
from checks import alertroutes, routing_cases
from checks.routing_cases import Question
from stacks import render, routes
from stacks.plan import Plan
from stacks.strict import Refused, in_file, load

pytestmark = pytest.mark.e2e

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(name="shop")
def _shop() -> Profile:
    file = APPS / "good" / "shop.yaml"
    return load(Profile, yaml.safe_load(file.read_text()), in_file("shop.yaml", file))


@pytest.mark.parametrize("system", apps.names())
def test_alerts_of_a_system_come_to_whom_its_cases_say(system: str) -> None:
    assert routing_cases.failures(apps.profile(system), routing_cases.file_of(system)) == []


def test_every_route_of_a_shipped_profile_has_a_case() -> None:
    for profile in map(apps.profile, apps.names()):
        cases = yaml.safe_load(routing_cases.file_of(profile.system).read_text())["cases"]
        root = routes.tree([profile], selftest=False)
        taken = {hop.node.made_of for case in cases for hop in routes.match(root, case["labels"])}
        assert {(profile.system, i) for i in range(len(profile.routing.routes))} <= taken


def test_times_teams_and_inhibitions_of_a_profile_come_as_its_cases_say(shop: Profile) -> None:
    assert routing_cases.failures(shop, APPS / "good" / "shop.routing.yaml") == []


def test_a_case_that_does_not_come_as_it_says_is_named_with_its_line_and_both_answers(shop: Profile) -> None:
    file = APPS / "wrong.routing.yaml"
    expected = [line.removeprefix("# ") for line in file.read_text().splitlines() if line.startswith("# ")]
    assert routing_cases.failures(shop, file) == expected


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("{labels: {}, recievers: []}", "cases.0.recievers: unknown key 'recievers'; did you mean receivers?"),
        ("{labels: {}, receivers: [], at: 2026-01-31}", 'cases.0.at: "2026-01-31" is not accepted: a time has a date'),
        ("{labels: {a b: c}, receivers: []}", "cases.0.labels.a b"),
    ],
)
def test_a_case_that_cannot_be_read_is_refused_with_its_line(
    shop: Profile, tmp_path: Path, case: str, problem: str
) -> None:
    file = tmp_path / "shop.routing.yaml"
    file.write_text(f"cases:\n  - {case}\n")
    with pytest.raises(Refused) as refused:
        routing_cases.failures(shop, file)
    assert f"apps/tests/shop.routing.yaml:2: {problem}" in str(refused.value)


def test_the_model_agrees_with_alertmanager_on_thousands_of_alerts(shop: Profile) -> None:
    """In environments of one system, of several in either order, and of all."""
    profiles = [*map(apps.profile, apps.names()), shop]
    values = {
        "alertname": ("A", "Watchdog"),
        "system": ("", "platform", *(profile.system for profile in profiles)),
        "severity": ("", "critical", "warning", "info", "none"),
        "component": ("", "api", *sorted({c for p in profiles for route in p.routing.routes for c in route.component})),
        "team": ("", "sales"),
    }
    labels = [
        {label: value for label, value in zip(values, found, strict=True) if value}
        for found in itertools.product(*values.values())
    ]
    assert len(labels) > 1700
    for together in ([shop], profiles, profiles[::-1], profiles[1:3]):
        root = routes.tree(together, selftest=False)
        answers = routing_cases.ask_of(together, [Question(labels=each) for each in labels])
        model = [tuple(hop.path for hop in routes.match(root, each)) for each in labels]
        assert [answer.paths for answer in answers] == model


def _said(plan: Plan, tree: Path) -> list[str]:
    render.write(render.tree(plan), tree)
    return alertroutes.check(plan, tree)


def test_a_shipped_environment_is_as_the_model_says(make_plan: MakePlan, tmp_path: Path) -> None:
    assert _said(make_plan(), tmp_path) == []


def test_a_model_that_is_mistaken_is_found_out(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "match", lambda node, _labels: [routes.Hop((), node)])
    made = make_plan()
    said = _said(made, tmp_path)
    alert = next(alert for alert in made.alerts if alert.name == "HighErrorRate")
    told = "HighErrorRate goes to discord-critical; stacks/routes.py says boss-workflow-default"
    assert f"{alert.place}: {told}" in said
    assert {line.partition(": ")[0] for line in said} == {alert.place for alert in made.alerts}


def test_an_alert_that_reaches_only_receivers_that_tell_nobody_is_named(make_plan: MakePlan, tmp_path: Path) -> None:
    made = make_plan()
    files = render.tree(made)
    config = yaml.safe_load(files["alertmanager/etc/alertmanager.yml"])
    info = next(receiver for receiver in config["receivers"] if receiver["name"] == "discord-info")
    del info["discord_configs"]
    render.write({**files, "alertmanager/etc/alertmanager.yml": yaml.safe_dump(config)}, tmp_path)
    alert = next(alert for alert in made.alerts if alert.name == "LowCacheHitRate")
    assert alertroutes.check(made, tmp_path) == [
        f"{alert.place}: LowCacheHitRate reaches discord-info, where nobody is told"
    ]


def test_a_configuration_that_alertmanager_refuses_is_a_problem_in_its_words(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    made = make_plan()
    files = render.tree(made)
    path = "alertmanager/etc/alertmanager.yml"
    render.write({**files, path: files[path].replace("receiver: discord-info", "receiver: nobody")}, tmp_path)
    assert alertroutes.check(made, tmp_path) == ['undefined receiver "nobody" used in route']


def test_a_profile_without_cases_is_a_problem(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing_cases, "DIRECTORY", tmp_path / "empty")
    made = make_plan()
    assert _said(replace(made, alerts=()), tmp_path) == [
        "apps/tests/boss-workflow.routing.yaml: no such file; the routing of a profile has cases"
    ]
