"""The dashboards of the systems against the panels that their documents ask for."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import apps
from dashboards import build, names
from dashboards.board import NONE, Panel, Thresholds
from stacks.boards import PLATFORM_DASHBOARDS

SPECIFIED: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "specified.yaml").read_text())
ROWS = [(uid, place, row) for uid, rows in SPECIFIED.items() for place, row in enumerate(rows)]

# Grafana's ids of units; another word is a unit of its own.
GRAFANAS = {"Bps", "bool", "bytes", "cps", "ops", "percentunit", "reqps", "s", "short"}


def panels(uid: str) -> list[Panel]:
    return [panel for panel in build(uid).panels if panel.kind != "row"]


def unit(word: str) -> str:
    return word if word in GRAFANAS else f"suffix:{word}"


def limits(text: str) -> Thresholds:
    """`w 0.01 c 0.05`, or `< c 1`."""
    given = {letter: float(value) for letter, value in re.findall(r"([wc]) ([\d.]+)", text)}
    return Thresholds(warning=given.get("w"), critical=given.get("c"), below=text.startswith("<"))


@pytest.mark.parametrize(("uid", "place", "row"), ROWS, ids=[f"{uid}/{row['title']}" for uid, _, row in ROWS])
def test_a_specified_panel_stands_in_its_place(uid: str, place: int, row: dict[str, Any]) -> None:
    panel = panels(uid)[place]
    first, *others = row["unit"].split(", ")
    assert (panel.title, panel.kind, panel.unit) == (row["title"], row["kind"], unit(first))
    assert [query.expr for query in panel.queries] == row["queries"]
    assert {unit(other) for other in others} <= {override.unit for override in panel.overrides}


@pytest.mark.parametrize(("uid", "place", "row"), ROWS, ids=[f"{uid}/{row['title']}" for uid, _, row in ROWS])
def test_its_thresholds_are_those_of_the_document(uid: str, place: int, row: dict[str, Any]) -> None:
    panel, text = panels(uid)[place], row.get("thresholds", "")
    if "(" in text:
        assert panel.thresholds == NONE
        assert limits(text) in [override.thresholds for override in panel.overrides]
    else:
        assert panel.thresholds == limits(text)


@pytest.mark.parametrize(
    ("uid", "title", "count"),
    [
        ("lmmc", "LMMC System Overview", 6),
        ("graphmemory-overview", "GraphMemory System Overview", 8),
        ("graphmemory-application", "GraphMemory Application Performance", 6),
        ("graphmemory-database", "GraphMemory Database Monitoring", 9),
        ("graphmemory-business", "GraphMemory Business Metrics", 7),
        ("graphmemory-alerts", "GraphMemory Alert Status", 6),
        ("phase5-overview", "Phase 5 System Overview", 8),
        ("phase5-infrastructure", "Phase 5 Database & Infrastructure", 8),
        ("phase5-agents", "Phase 5 Agents Monitoring", 7),
        ("tdd-project", "Test TDD Project - Main Dashboard", 5),
    ],
)
def test_every_dashboard_of_the_documents_is_there(uid: str, title: str, count: int) -> None:
    assert build(uid).title == title
    assert len(SPECIFIED[uid]) == count
    assert len(panels(uid)) == count + (3 if uid == "tdd-project" else 0)


def test_the_panels_of_the_tdd_project_stand_where_its_document_puts_them() -> None:
    places = [place for panel, place in build("tdd-project").placed() if panel.kind != "row"]
    for place, row in zip(places, SPECIFIED["tdd-project"], strict=False):
        assert [place.x, place.y, place.width, place.height] == row["place"]


def test_every_dashboard_is_named_by_a_profile_or_the_platform_and_once() -> None:
    named = [*PLATFORM_DASHBOARDS, *(name for system in apps.names() for name in apps.profile(system).dashboards)]
    assert sorted(named) == sorted(names())
