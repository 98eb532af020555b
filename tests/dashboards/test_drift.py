"""What counts as an edit, and what is only Grafana's way of keeping a dashboard."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from dashboards import drift
from dashboards.drift import Change

GOLDEN = Path(__file__).parent / "golden"
Json = dict[str, Any]


def code(name: str = "boss-workflow") -> Json:
    return dict(json.loads((GOLDEN / f"{name}.json").read_text()))


def as_grafana_keeps_it(model: Json) -> Json:
    """What Grafana adds to a dashboard that nobody edited."""
    kept = copy.deepcopy(model) | {
        "id": 7,
        "version": 3,
        "iteration": 1700000000,
        "schemaVersion": 43,
        "preload": False,
    }
    kept["annotations"] = {"list": [{"builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard"}]}
    for panel in kept["panels"]:
        panel["pluginVersion"] = "13.2.3"
        if panel["type"] == "row":
            continue
        fields = panel["fieldConfig"]["defaults"]
        if steps := fields.get("thresholds", {}).get("steps"):
            steps[0]["value"] = 0
        fields.setdefault("custom", {}).update({"axisCenteredZero": False, "barWidthFactor": 0.6})
        panel.setdefault("options", {})["annotations"] = {"multiLane": False}
        for step in panel.get("transformations", []):
            step["options"]["excludeByName"] = {}
        for target in panel.get("targets", []):
            target["useBackend"] = False
    return kept


def find(model: Json, title: str) -> Json:
    return next(dict_ for dict_ in model["panels"] if dict_["title"] == title)


def only(changes: list[Change]) -> Change:
    [change] = changes
    return change


@pytest.mark.parametrize("name", sorted(file.stem for file in GOLDEN.iterdir()))
def test_what_grafana_adds_is_no_change(name: str) -> None:
    assert drift.compare(code(name), as_grafana_keeps_it(code(name))) == []


def test_another_query_unit_threshold_title_and_place_are_told() -> None:
    served = as_grafana_keeps_it(code())
    panel = find(served, "HTTP Request Duration p95")
    panel["targets"][0]["expr"] = "vector(1)"
    panel["fieldConfig"]["defaults"]["unit"] = "ms"
    panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = 3
    panel["gridPos"]["w"] = 6
    panel["title"] = "Duration"
    found = {change.what: (change.code, change.grafana) for change in drift.compare(code(), served)}
    assert {change.panel for change in drift.compare(code(), served)} == {"HTTP Request Duration p95"}
    assert found == {
        "title": ("HTTP Request Duration p95", "Duration"),
        "position": ("12 x 8 at 12, 0", "6 x 8 at 12, 0"),
        "query": (
            "A: boss:http_request_duration_seconds:p95_5m (legend p95, prometheus)",
            "A: vector(1) (legend p95, prometheus)",
        ),
        "unit": ("s", "ms"),
        "thresholds": ("green\nyellow from 1\nred from 2", "green\nyellow from 3\nred from 2"),
    }


def test_what_is_set_that_the_code_does_not_set_is_told() -> None:
    served = as_grafana_keeps_it(code())
    find(served, "HTTP Request Rate")["fieldConfig"]["defaults"]["decimals"] = 2
    change = only(drift.compare(code(), served))
    assert (change.what, change.code, change.grafana) == ("decimals", "nothing", "2")


def test_an_option_that_the_code_sets_is_told() -> None:
    served = as_grafana_keeps_it(code())
    find(served, "Cache Hit Rate")["options"]["showThresholdMarkers"] = False
    change = only(drift.compare(code(), served))
    assert (change.panel, change.what) == ("Cache Hit Rate", "options.showThresholdMarkers")


def test_panels_that_are_gone_or_new_are_told() -> None:
    served = as_grafana_keeps_it(code())
    served["panels"] = [panel for panel in served["panels"] if panel["title"] != "Tasks by Status"]
    served["panels"].append({"id": 99, "type": "text", "title": "Note", "gridPos": {"x": 0, "y": 70, "w": 6, "h": 3}})
    assert [(change.panel, change.change) for change in drift.compare(code(), served)] == [
        ("Tasks by Status", "removed"),
        ("Note", "added"),
    ]


def test_the_dashboard_itself_is_compared() -> None:
    served = as_grafana_keeps_it(code()) | {"tags": ["mine"], "refresh": "5s"}
    changes = drift.compare(code(), served)
    assert [(change.panel, change.what, change.grafana) for change in changes] == [
        ("", "tags", "mine"),
        ("", "refresh", "5s"),
    ]
