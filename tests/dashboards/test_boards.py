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

from checks.dashboards import LOADED
from dashboards import build, names
from dashboards import queries as queries_of
from dashboards import render as render_board
from dashboards.board import PanelQuery
from dashboards.links import Link, logs

RULES = Path(__file__).parents[2] / "rules"
GOLDEN = Path(__file__).parent / "golden"
SOURCES = {"prometheus": "prometheus", "loki": "loki"}
# What is made for each environment, such as the rules of its objectives.
DECLARED = Path(__file__).parents[1] / "golden/local/prometheus/etc/rules"


def render(name: str) -> str:
    return render_board(build(name))


def queries(name: str) -> tuple[PanelQuery, ...]:
    return queries_of(build(name))


def model(name: str) -> dict[str, Any]:
    return dict(json.loads(render(name)))


def panels(name: str) -> list[dict[str, Any]]:
    """All panels but rows, which have a title and nothing else."""
    return [panel for panel in model(name)["panels"] if panel["type"] != "row"]


def asking(name: str) -> list[dict[str, Any]]:
    """The panels that ask a data source; lists of alerts and dashboards do not."""
    return [panel for panel in panels(name) if panel["type"] not in ("alertlist", "dashlist")]


def rules(key: str) -> set[str]:
    """Names of all alerts (`alert`) or records (`record`) of all packs, and of those that are made."""
    files = [file for file in RULES.glob("*/v*/*.yml") if not file.name.endswith(".test.yml")]
    files += DECLARED.rglob("*.yml")
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
    assert {panel["type"] for panel in model(name)["panels"]} <= LOADED


@every_dashboard
def test_every_panel_says_what_it_shows_in_which_unit(name: str) -> None:
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@every_dashboard
def test_queries_have_letters_text_and_a_data_source_by_uid(name: str) -> None:
    for panel in asking(name):
        targets = panel["targets"]
        assert targets, panel["title"]
        assert [target["refId"] for target in targets] == list("ABCDEFGH"[: len(targets)]), panel["title"]
        for reference in (panel["datasource"], *(target["datasource"] for target in targets)):
            assert SOURCES[reference["type"]] == reference["uid"]
        assert all(target["expr"].strip() for target in targets)


@every_dashboard
def test_series_are_named(name: str) -> None:
    for panel in asking(name):
        if panel["type"] in ("table", "logs"):
            continue
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_dashboard
def test_a_variable_is_used_and_what_is_used_is_there(name: str) -> None:
    asked = " ".join(query.expr for query in queries(name))
    made = model(name)["templating"]["list"]
    chosen = [variable for variable in made if variable["type"] == "query"]
    assert {variable["name"] for variable in chosen} == set(re.findall(r"\$(environment|instance|job)\b", asked))
    assert all((v["includeAll"], v["multi"], v["allValue"], v["refresh"]) == (True, True, ".*", 2) for v in chosen)
    assert all(variable["query"].startswith("label_values(up") for variable in chosen)


@every_dashboard
def test_panels_of_a_dashboard_have_addresses_of_their_own(name: str) -> None:
    addresses = [panel.name for panel in build(name).panels]
    assert len({*addresses}) == len(addresses)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", address) for address in addresses)


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
    for panel in asking(name):
        first, *rest = (step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"])
        assert first is None, panel["title"]
        assert rest == sorted(rest), panel["title"]


@every_dashboard
def test_a_filled_area_is_never_in_the_colour_of_text(name: str) -> None:
    """A number without thresholds is in the colour of text, but a bar in it would be black."""
    first = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"]
        for panel in asking(name)
        if panel["type"] in ("gauge", "bargauge")
    }
    assert "text" not in first.values(), first


def test_a_dial_and_a_bar_without_thresholds_are_green_and_a_number_is_plain() -> None:
    colours = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for panel in panels("lmmc")
        if panel["type"] in ("gauge", "bargauge", "stat")
    }
    green, plain = [{"color": "green", "value": None}], [{"color": "text", "value": None}]
    assert colours["AI Token Usage"] == colours["Pattern Detection Confidence"] == green
    assert colours["WebSocket Connections"] == plain


@every_dashboard
def test_a_panel_that_may_be_empty_says_when(name: str) -> None:
    reasons: dict[str, list[str]] = {}
    for query in queries(name):
        if query.empty_when:
            reasons.setdefault(query.panel, []).append(f"Empty when {query.empty_when}.")
    for panel in asking(name):
        shown = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        given = reasons.get(panel["title"], ["No data"])
        assert shown == " ".join(dict.fromkeys(given)), panel["title"]
        assert given == ["No data"] or panel["description"].endswith(shown)


@every_dashboard
def test_queries_as_data_are_the_queries_of_the_file(name: str) -> None:
    in_file = [
        (
            panel["title"],
            target["refId"],
            target["datasource"]["uid"],
            target["expr"],
            target.get("instant", False),
            target.get("legendFormat", ""),
        )
        for panel in asking(name)
        for target in panel["targets"]
    ]
    assert in_file == [(q.panel, q.ref, q.datasource, q.expr, q.instant, q.legend) for q in queries(name)]


@pytest.mark.parametrize("name", [name for name in names() if not build(name).needs])
def test_panels_and_links_of_what_does_not_run_are_left_out(name: str) -> None:
    text = render_board(build(name).within({"prometheus", "alertmanager"}))
    assert not re.search(r"loki_|jaeger|otelcol_(?!process)|node_|container_|kube_|/d/", text)


@every_dashboard
def test_runbook_links_name_alerts_of_a_pack(name: str) -> None:
    linked = set(re.findall(r'"https://watchstack\.dev/runbooks/(\w+)"', render(name)))
    assert linked or name == "graphmemory-business"
    assert linked <= rules("alert")


@every_dashboard
def test_recorded_series_are_recorded_by_a_pack(name: str) -> None:
    recorded = rules("record")
    for query in queries(name):
        if query.datasource == "prometheus":
            assert set(re.findall(r"\b[a-z0-9_]+:[\w:]+", query.expr)) <= recorded, query.panel


@pytest.mark.parametrize("name", [name for name in names() if "system" in build(name).tags])
def test_a_system_leads_to_its_logs_its_traces_and_back(name: str) -> None:
    links = {link.title: link.url for link in build(name).links}
    assert "%22uid%22%3A%22loki%22" in links["Logs"]
    assert "%22uid%22%3A%22jaeger%22" in links["Traces"]
    assert links.keys() & {"Start", "Overview"}


def test_links_between_dashboards_lead_somewhere() -> None:
    linked = {link.url for name in names() for link in build(name).links if link.url.startswith("/d/")}
    assert linked
    assert linked <= {f"/d/{name}" for name in names()}


def test_explore_links_carry_the_query_and_the_time_shown() -> None:
    link: Link = logs("Logs", '{system="x"} |= "a b"')
    assert link.url.endswith("%22from%22%3A%22${__from}%22%2C%22to%22%3A%22${__to}%22%7D%7D%7D")
    assert "%7Bsystem%3D%5C%22x%5C%22%7D%20%7C%3D%20%5C%22a%20b%5C%22" in link.url


def test_an_unknown_dashboard_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'boss' is not known; use one of alertmanager, boss-workflow, "):
        build("boss")


@pytest.mark.parametrize("done", ["names()", "[build(name) for name in names()]", "render(build('start'))"])
def test_grafanalib_is_not_imported_for_what_is_remembered(done: str) -> None:
    render("start")
    code = f"import sys; from dashboards import build, names, render; {done}; sys.exit('grafanalib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
