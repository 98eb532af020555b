"""A user's own dashboards go through the same checks; what cannot be used is refused with file and panel."""

import json
import re
from pathlib import Path

import pytest
from conftest import MakePlan

from checks import dashboards as check
from checks import references
from dashboards import Dashboard
from stacks import render
from stacks.plan import Plan
from stacks.strict import Refused

HERE = Path()
ROOT = Path(__file__).resolve().parents[2]
OWN = "tests/dashboards/own"
BAD = "tests/dashboards/bad"

# What is said of each file below `bad`, every word of it, without the path of the file.
SAID = {
    "api_answer.json": ["an answer of Grafana's API; keep what stands under `dashboard`"],
    "duplicate_uid.json": ["uid 'boss-workflow' is already the one of dashboards/boss_workflow.py; give it another"],
    "list.json": ["a dashboard is a JSON object, not list"],
    "newer.json": ["schemaVersion: 99 is not accepted: a whole number up to 42"],
    "no_description.json": ["panel Request rate: description: missing; say what it shows"],
    "no_function.py": ["1: AttributeError: module 'own_dashboard_no_function' has no attribute 'board'"],
    "no_uid.json": ["uid: missing; a dashboard has one of its own, so that links to it last"],
    "no_unit.json": ["panel Request rate: unit: missing; `short` is a plain number"],
    "not_a_board.py": ["board() returns dict, not dashboards.board.Board"],
    "not_json.json": ["3: not JSON: Expecting value"],
    "off_grid.json": [
        "panel Request rate: stands at x 16, y 0, 12 wide and 8 high, and the grid has columns 0 to 24",
    ],
    "overlap.json": ["panel Latency: overlaps panel Request rate"],
    "plugin.json": ["panel Request rate: type 'grafana-clock-panel' is not one that Grafana brings along; use one of"],
    "query.json": [
        "panel Request rate: query A: unclosed left parenthesis in 'sum(rate(http_requests_total[5m])'",
    ],
    "raises.py": ["9: KeyError: 'critical'"],
    "removed_graph.json": ["panel Request rate: type 'graph' is no longer in Grafana; use timeseries"],
    "removed_piechart.json": [
        "panel Request rate: type 'grafana-piechart-panel' is no longer in Grafana; use piechart",
    ],
    "removed_singlestat.json": ["panel Request rate: type 'singlestat' is no longer in Grafana; use stat"],
    "rows.json": [
        "panels: missing; a dashboard with `rows` is of Grafana before version 5: open it there and save it anew",
    ],
    "same_title.json": ["panel Request rate: 2 panels have this title; give each its own"],
    "source.json": [
        "panel Request rate: data source 'P1809F7CD0C75ACF3' is not there; there is alertmanager, jaeger, loki",
    ],
    "too_wide.py": [
        "panel Requests: unit: missing; `short` is a plain number",
        "panel Requests: stands at x 0, y 0, 30 wide and 8 high, and the grid has columns 0 to 24",
        "panel Requests: 2 panels have this title; give each its own",
    ],
    "unknown_metric.json": [
        "Request rate: unknown metric http_request_total; did you mean http_requests_total or ",
    ],
    "unknown_kind.py": [
        "panel Requests: kind 'graph' is not known; use one of timeseries, stat, ",
        "panel Errors: queries: missing; it would show nothing",
    ],
    "variable.json": ["panel Request rate: query A: query 'sum(rate(http_requests_total{job=\"$shop\"}[5m]))': $shop"],
}


def problems(make_plan: MakePlan, path: str) -> list[str]:
    """Everything that is said of these dashboards before anything is touched."""
    try:
        made = make_plan(dashboards={"own": [path]})
        return check.check(made, HERE) or references.check(made, HERE)
    except Refused as refused:
        return str(refused).splitlines()


def find(plan: Plan, uid: str) -> Dashboard:
    return next(dashboard for dashboard in plan.dashboards if dashboard.uid == uid)


def test_each_bad_file_has_its_words() -> None:
    assert {file.name for file in (ROOT / BAD).iterdir() if file.is_file()} == {*SAID}


@pytest.mark.parametrize("name", sorted(SAID))
def test_what_cannot_be_used_is_refused_with_file_and_panel(make_plan: MakePlan, name: str) -> None:
    found = problems(make_plan, f"{BAD}/{name}")
    assert len(found) == len(SAID[name]), found
    for problem, words in zip(found, SAID[name], strict=True):
        assert re.match(rf".*{BAD}/{re.escape(name)}: ?{re.escape(words)}", problem), problem


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests/dashboards/nowhere.json", "no such file or directory"),
        ("tests/dashboards/test_own.txt", "no such file or directory"),
        ("tests/dashboards/schema/classic.ts", "a dashboard is a file *.json or *.py"),
        ("rules/lmmc/v1", "no dashboard in this directory; they are files *.json and *.py"),
    ],
)
def test_a_path_without_a_dashboard_is_refused(make_plan: MakePlan, path: str, words: str) -> None:
    [problem] = problems(make_plan, path)
    assert problem.endswith(f"{path}: {words}")


def test_a_line_that_is_no_python_is_named(make_plan: MakePlan, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("def board():\n    return (\n")
    [problem] = problems(make_plan, str(file))
    assert problem.startswith(f"{file}:2: SyntaxError: ")


def test_the_shipped_dashboards_are_in_order(make_plan: MakePlan) -> None:
    assert check.check(make_plan(), HERE) == []


def test_own_dashboards_are_deployed_beside_the_shipped_ones(make_plan: MakePlan) -> None:
    made = make_plan(dashboards={"own": [OWN]})
    assert (check.check(made, HERE), references.check(made, HERE)) == ([], [])
    files = render.tree(made)
    given = json.loads((ROOT / OWN / "payments.json").read_text())
    assert json.loads(files["grafana/etc/dashboards/own/payments.json"]) == given
    assert json.loads(files["grafana/etc/dashboards/own/queue.json"])["title"] == "Queue"
    assert [find(made, "queue").place, find(made, "payments").place] == [f"{OWN}/queue.py", f"{OWN}/payments.json"]


def test_what_an_own_board_needs_is_left_out_and_said_so(make_plan: MakePlan) -> None:
    made = make_plan(dashboards={"own": [f"{OWN}/queue.py"]})
    assert [query.panel for query in find(made, "queue").queries] == ["Tasks that wait"]
    reasons = {left_out.what: left_out.because for left_out in made.left_out}
    assert "needs kube-state-metrics" in reasons["dashboards/queue (Containers that wait)"]


def test_the_queries_of_a_json_dashboard_stand_at_all(make_plan: MakePlan) -> None:
    asked = find(make_plan(dashboards={"own": [f"{OWN}/payments.json"]}), "payments").queries
    assert [(query.panel, query.expr, query.empty_when) for query in asked] == [
        ("Request rate", 'sum by (endpoint) (rate(http_requests_total{job=~".*"}[$__rate_interval]))', None),
        (
            "Latency",
            'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{job=~".*"}[5m])))',
            None,
        ),
        ("Refusals", 'sum(rate(errors_total{job=~".*"}[5m]))', "no payment is refused."),
    ]
