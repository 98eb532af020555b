"""Stack files choose dashboards, and drop or replace single panels."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakePlan

from checks import dashboards as check
from checks import references
from dashboards import build
from dashboards.changes import digest
from stacks import render
from stacks.plan import Plan
from stacks.settings import Settings
from stacks.strict import Refused, load

HERE = Path()
RATE = "boss-workflow/http-error-rate"
BECAUSE = "the team counts errors, not answers"
PROXY = {
    "kind": "stat",
    "title": "Errors by request",
    "description": "Errors that the application counted, for each request.",
    "unit": "percentunit",
    "queries": {"errors": "sum(rate(errors_total[5m])) / sum(rate(http_requests_total[5m]))"},
    "warning": 0.01,
    "critical": 0.05,
    "empty_when": "nobody asks",
}


def seen(address: str) -> str:
    uid, _, name = address.partition("/")
    return next(digest(panel) for panel in build(uid).panels if panel.name == name)


def changing(make_plan: MakePlan, address: str, **change: Any) -> Plan:
    return make_plan(dashboards={"panels": {address: {"because": BECAUSE, "seen": seen(RATE), **change}}})


def panels(plan: Plan, uid: str = "boss-workflow") -> list[dict[str, Any]]:
    text = next(dashboard.text for dashboard in plan.dashboards if dashboard.uid == uid)
    return list(json.loads(text)["panels"])


def titles(plan: Plan) -> list[str]:
    return [panel["title"] for panel in panels(plan)]


def test_a_panel_is_dropped_and_nothing_else(make_plan: MakePlan) -> None:
    shipped, made = make_plan(), changing(make_plan, RATE, drop=True)
    assert titles(made) == [title for title in titles(shipped) if title != "HTTP Error Rate %"]
    before, after = render.tree(shipped), render.tree(made)
    assert [path for path in before if before[path] != after[path]] == [
        "grafana/etc/dashboards/boss-workflow/boss-workflow.json"
    ]


def test_a_panel_is_replaced_in_its_place(make_plan: MakePlan) -> None:
    before = next(panel for panel in panels(make_plan()) if panel["title"] == "HTTP Error Rate %")
    made = changing(make_plan, RATE, replace=PROXY)
    after = next(panel for panel in panels(made) if panel["title"] == "Errors by request")
    assert (check.check(made, HERE), references.check(made, HERE)) == ([], [])
    assert (after["gridPos"], after["id"], after["links"]) == (before["gridPos"], before["id"], before["links"])
    defaults = after["fieldConfig"]["defaults"]
    assert [target["expr"] for target in after["targets"]] == list(PROXY["queries"].values())  # type: ignore[attr-defined]
    assert [(step["color"], step["value"]) for step in defaults["thresholds"]["steps"]] == [
        ("green", None),
        ("yellow", 0.01),
        ("red", 0.05),
    ]
    assert (defaults["unit"], defaults["noValue"]) == ("percentunit", "Empty when nobody asks.")


def test_a_change_to_a_panel_of_another_day_is_refused(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as refused:
        changing(make_plan, RATE, drop=True, seen="00000000")
    assert str(refused.value) == (
        f"watchstack:dashboards.panels.{RATE}.seen: '00000000': the panel has changed since; "
        f"see what it is now in docs/dashboards.md, and give '{seen(RATE)}'"
    )


def test_a_change_says_for_which_panel_it_was_written(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=rf"{RATE}.seen: missing; see what it is now .* give '{seen(RATE)}'"):
        changing(make_plan, RATE, drop=True, seen=None)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("boss-workflow/http-error-rates", "no such panel; did you mean http-error-rate?"),
        ("boss-workflw/http-error-rate", "no such dashboard here; did you mean boss-workflow?"),
        ("lmmc/error-rate", "no such dashboard here; known: alertmanager, boss-workflow, "),
        ("stack-health/rules", "no such panel; known: active-series, "),
    ],
)
def test_an_address_that_is_not_there_is_refused(make_plan: MakePlan, address: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        changing(make_plan, address, drop=True)
    assert str(refused.value).startswith(f"watchstack:dashboards.panels.{address}: {words}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "give either `drop: true` or `replace`"),
        ({"drop": True, "replace": PROXY}, "give either `drop: true` or `replace`"),
        ({"replace": {**PROXY, "kind": "graph"}}, '"graph" is not accepted'),
        ({"replace": {**PROXY, "queries": {}}}, "give at least one query"),
    ],
)
def test_a_change_is_one_thing(change: dict[str, Any], words: str) -> None:
    panels = {RATE: {"because": BECAUSE, **change}}
    with pytest.raises(Refused, match=words):
        load(Settings, {"dashboards": {"panels": panels}}, "watchstack:")


def test_a_digest_is_of_what_the_panel_asks_and_shows() -> None:
    everything = [panel for panel in build("boss-workflow").panels if panel.kind != "row"]
    assert len({digest(panel) for panel in everything}) == len(everything)


def test_only_the_dashboards_and_folders_that_are_listed(make_plan: MakePlan) -> None:
    made = make_plan(dashboards={"only": ["boss-workflow", "hosts"]})
    assert [dashboard.uid for dashboard in made.dashboards] == ["hosts", "boss-workflow"]
    # A link to a dashboard that is not there leads nowhere.
    assert not [link for panel in panels(made) for link in panel["links"] if link["url"].startswith("/d/")]


def test_the_folder_of_the_platform_is_all_of_it(make_plan: MakePlan) -> None:
    made = make_plan(dashboards={"only": ["platform"]})
    assert {dashboard.folder for dashboard in made.dashboards} == {"platform"}
    assert [dashboard.uid for dashboard in made.dashboards][:2] == ["start", "objectives"]


def test_a_dashboard_that_is_not_there_is_refused_with_the_nearest(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as refused:
        make_plan(dashboards={"only": ["boss-workflow", "host"]})
    assert str(refused.value) == "watchstack:dashboards.only: no dashboard or folder 'host'; did you mean hosts?"


def test_a_dashboard_whose_component_does_not_run_is_left_out_and_said_so(make_plan: MakePlan) -> None:
    made = make_plan(node_exporter={"enabled": False})
    assert "hosts" not in {dashboard.uid for dashboard in made.dashboards}
    reasons = {left_out.what: left_out.because for left_out in made.left_out}
    assert reasons["dashboards/hosts"] == "needs node-exporter, which this environment does not run"


def test_dashboards_are_planned_where_grafana_does_not_run(make_plan: MakePlan) -> None:
    made = make_plan(grafana={"enabled": False})
    assert "boss-workflow" in {dashboard.uid for dashboard in made.dashboards}
    assert made.find("grafana") is None
