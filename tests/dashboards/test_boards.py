"""What holds for every dashboard, read from the JSON that Grafana gets."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build, names
from dashboards import queries as queries_of
from dashboards import render as render_board
from dashboards.board import PanelQuery
from dashboards.links import Link, logs

RULES = Path(__file__).parents[2] / "rules"
GOLDEN = Path(__file__).parent / "golden"
LOADED_BY_GRAFANA_13 = {"timeseries", "stat", "gauge", "bargauge", "table", "piechart", "logs", "row"}
SOURCES = {"prometheus": "prometheus", "loki": "loki"}


def render(name: str) -> str:
    return render_board(build(name))


def queries(name: str) -> tuple[PanelQuery, ...]:
    return queries_of(build(name))


def model(name: str) -> dict[str, Any]:
    return dict(json.loads(render(name)))


def panels(name: str) -> list[dict[str, Any]]:
    """All panels but rows, which have a title and nothing else."""
    return [panel for panel in model(name)["panels"] if panel["type"] != "row"]


def rules(key: str) -> set[str]:
    """Names of all alerts (`alert`) or records (`record`) of all packs."""
    files = [file for file in RULES.glob("*/v*/*.yml") if not file.name.endswith(".test.yml")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule[key] for group in groups for rule in group["rules"] if key in rule}


every_dashboard = pytest.mark.parametrize("name", names())


@every_dashboard
def test_the_file_in_the_repository_is_what_the_code_makes(name: str) -> None:
    assert render(name) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8"), (
        "make it anew with `python -m dashboards --out tests/dashboards/golden`"
    )


def test_no_file_of_a_dashboard_that_is_gone_is_left() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(names())


def test_the_command_writes_the_files(tmp_path: Path) -> None:
    out = tmp_path / "made"
    subprocess.run([sys.executable, "-m", "dashboards", "--out", str(out)], check=True)
    assert {file.name: file.read_text() for file in out.iterdir()} == {f"{n}.json": render(n) for n in names()}


@every_dashboard
def test_it_is_the_classic_model_under_its_own_name(name: str) -> None:
    made = model(name)
    assert made["uid"] == name
    assert made["schemaVersion"] == 42
    assert (made["timezone"], made["refresh"]) == ("browser", "30s")
    assert made["time"] == {"from": "now-1h", "to": "now"}
    assert not made.keys() & {"rows", "version", "id", "__inputs"}


@every_dashboard
def test_panels_are_numbered_and_titles_are_unique(name: str) -> None:
    everything = model(name)["panels"]
    assert [panel["id"] for panel in everything] == list(range(1, len(everything) + 1))
    titles = [panel["title"] for panel in everything]
    assert len(set(titles)) == len(titles)


@every_dashboard
def test_only_panel_types_that_grafana_loads(name: str) -> None:
    assert {panel["type"] for panel in model(name)["panels"]} <= LOADED_BY_GRAFANA_13


@every_dashboard
def test_every_panel_says_what_it_shows_in_which_unit(name: str) -> None:
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@every_dashboard
def test_queries_have_letters_text_and_a_data_source_by_uid(name: str) -> None:
    for panel in panels(name):
        targets = panel["targets"]
        assert [target["refId"] for target in targets] == list("ABCDEFGH"[: len(targets)]), panel["title"]
        for reference in (panel["datasource"], *(target["datasource"] for target in targets)):
            assert SOURCES[reference["type"]] == reference["uid"]
        assert all(target["expr"].strip() for target in targets)


@every_dashboard
def test_series_are_named(name: str) -> None:
    for panel in panels(name):
        if panel["type"] in ("table", "logs"):
            continue
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_dashboard
def test_panels_stay_on_the_grid_and_off_each_other(name: str) -> None:
    places = [panel["gridPos"] for panel in model(name)["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["h"] > 0 for place in places)
    for one, other in itertools.combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


@every_dashboard
def test_thresholds_rise_from_minus_infinity(name: str) -> None:
    for panel in panels(name):
        first, *rest = (step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"])
        assert first is None, panel["title"]
        assert rest == sorted(rest), panel["title"]


@every_dashboard
def test_a_panel_that_may_be_empty_says_when(name: str) -> None:
    reasons = {query.panel: query.empty_when for query in queries(name) if query.empty_when}
    assert reasons
    for panel in panels(name):
        shown = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        reason = reasons.get(panel["title"])
        assert shown == (f"Empty when {reason}." if reason else "No data"), panel["title"]


@every_dashboard
def test_queries_as_data_are_the_queries_of_the_file(name: str) -> None:
    in_file = [
        (
            panel["title"],
            target["refId"],
            target["datasource"]["uid"],
            target["expr"],
            target.get("instant", False),
        )
        for panel in panels(name)
        for target in panel["targets"]
    ]
    assert in_file == [(q.panel, q.ref, q.datasource, q.expr, q.instant) for q in queries(name)]


@every_dashboard
def test_panels_and_links_of_what_does_not_run_are_left_out(name: str) -> None:
    text = render_board(build(name).within({"prometheus", "alertmanager"}))
    assert not re.search(r"loki|jaeger|otelcol_(?!process)|node_", text)


@every_dashboard
def test_runbook_links_name_alerts_of_a_pack(name: str) -> None:
    linked = set(re.findall(r'"https://watchstack\.dev/runbooks/(\w+)"', render(name)))
    assert linked
    assert linked <= rules("alert")


@every_dashboard
def test_recorded_series_are_recorded_by_a_pack(name: str) -> None:
    recorded = rules("record")
    for query in queries(name):
        if query.datasource == "prometheus":
            assert set(re.findall(r"\b[a-z_]+:[\w:]+", query.expr)) <= recorded, query.panel


def test_explore_links_carry_the_query_and_the_time_shown() -> None:
    link: Link = logs("Logs", '{system="x"} |= "a b"')
    assert link.url.endswith("%22from%22%3A%22${__from}%22%2C%22to%22%3A%22${__to}%22%7D%7D%7D")
    assert "%7Bsystem%3D%5C%22x%5C%22%7D%20%7C%3D%20%5C%22a%20b%5C%22" in link.url


def test_an_unknown_dashboard_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'boss' is not known; use one of boss-workflow, stack-health"):
        build("boss")


def test_the_package_alone_does_not_import_grafanalib() -> None:
    code = "import dashboards, sys; dashboards.names(); sys.exit('grafanalib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
