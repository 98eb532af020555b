"""Reading the file that Grafana reads, whoever wrote it."""

import json
from typing import Any

import pytest

from pictures import model
from pictures.look import Look, Shown
from pictures.theme import DARK, LIGHT


def read(**panel: Any) -> model.Panel:
    whole = {"uid": "own", "title": "Own", "panels": [{"type": "timeseries", "title": "Panel", **panel}]}
    return model.read(json.dumps(whole)).panels[0]


def test_a_panel_that_says_little_has_defaults() -> None:
    panel = read(targets=[{"expr": "up"}, {"expr": "hidden", "hide": True}])
    assert (panel.place.width, panel.kind, panel.empty_when) == (24, "timeseries", "")
    [target] = panel.targets
    assert (target.source, target.instant, target.legend) == ("prometheus", False, "")


def test_variables_of_the_dashboard_stand_at_all() -> None:
    whole = {
        "uid": "own",
        "templating": {"list": [{"name": "pod", "label": "Pod", "type": "query"}, {"name": "f", "type": "adhoc"}]},
        "panels": [{"type": "stat", "targets": [{"expr": 'up{pod=~"$pod"}[$__range]'}]}],
    }
    found = model.read(json.dumps(whole))
    assert found.variables == ("Pod",)
    assert found.panels[0].targets[0].expr == 'up{pod=~".*"}[$__range]'


def test_overrides_count_for_the_series_that_they_name() -> None:
    fields = {
        "defaults": {"unit": "s", "custom": {"fillOpacity": 10}},
        "overrides": [
            {"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "unit", "value": "bytes"}]},
            {
                "matcher": {"id": "byRegexp", "options": "/^b/"},
                "properties": [{"id": "custom.axisPlacement", "value": "right"}],
            },
        ],
    }
    panel = read(fieldConfig=fields)
    assert panel.field("a") == {"unit": "bytes", "custom": {"fillOpacity": 10}}
    assert panel.field("bee") == {"unit": "s", "custom": {"fillOpacity": 10, "axisPlacement": "right"}}
    assert panel.field("other") == {"unit": "s", "custom": {"fillOpacity": 10}}


def test_links_into_grafana_are_left_out() -> None:
    links = [{"title": "Logs", "url": "/explore?panes"}, {"title": "Page", "url": "https://example.org/"}]
    assert read(links=links).links == (("Page", "https://example.org/"),)


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("green", DARK.named["green"]),
        ("super-light-purple", DARK.named["purple"]),
        ("text", DARK.text),
        ("#A1B2C3", "#a1b2c3"),
        ("#a1b2c3ff", "#a1b2c3"),
        ("rgba(255, 0, 16, 0.5)", "#ff0010"),
        ('"><script>', DARK.faint),
    ],
)
def test_a_colour_is_one_that_can_be_drawn(name: str, colour: str) -> None:
    assert DARK.colour(name) == colour


def test_thresholds_in_percent_are_of_the_range() -> None:
    steps = [{"color": "green", "value": 0}, {"color": "red", "value": 75}]
    look = Look({"min": 100, "max": 200, "thresholds": {"mode": "percentage", "steps": steps}}, DARK)
    assert look.steps == [(None, DARK.named["green"]), (175, DARK.named["red"])]


@pytest.mark.parametrize("field", [{}, {"thresholds": {"mode": "absolute", "steps": []}}])
def test_a_field_without_thresholds_has_those_of_grafana(field: dict[str, Any]) -> None:
    look = Look(field, LIGHT)
    assert [look.shown(value).colour for value in (-5, 0, 79, 80)] == [LIGHT.named["green"]] * 3 + [LIGHT.named["red"]]


def test_a_value_is_shown_by_mapping_before_threshold() -> None:
    look = Look(
        {
            "unit": "short",
            "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 10}]},
            "mappings": [
                {"type": "value", "options": {"7": {"text": "seven", "color": "#112233"}}},
                {"type": "range", "options": {"from": 20, "to": 30, "result": {"text": "many"}}},
                {"type": "special", "options": {"match": "null+nan", "result": {"text": "none"}}},
            ],
        },
        DARK,
    )
    assert look.shown(3) == Shown("3", DARK.named["green"])
    assert look.shown(10) == Shown("10", DARK.named["red"])
    assert look.shown(7) == Shown("seven", "#112233")
    assert look.shown(25) == Shown("many", DARK.named["red"])
    assert look.shown(None) == Shown("none", DARK.text)
