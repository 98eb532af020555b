"""Dashboards as Grafana will get them: panel types that it loads, a place for each panel, words, units and queries."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dashboards import Dashboard, classic, runnable
from stacks.plan import Plan
from toolchain import remember

Json = dict[str, Any]

SCHEMA_VERSION = 42
COLUMNS = 24

# What Grafana 13 brings along. Plugins are not installed.
LOADED = frozenset(
    {
        *("alertlist", "annolist", "barchart", "bargauge", "candlestick", "canvas", "dashlist", "datagrid"),
        *("flamegraph", "gauge", "geomap", "heatmap", "histogram", "logs", "news", "nodeGraph", "piechart", "row"),
        *("stat", "state-timeline", "status-history", "table", "text", "timeseries", "traces", "trend", "xychart"),
    }
)
REMOVED = {
    "flant-statusmap-panel": "status-history",
    "grafana-piechart-panel": "piechart",
    "grafana-worldmap-panel": "geomap",
    "graph": "timeseries",
    "heatmap-new": "heatmap",
    "natel-discrete-panel": "state-timeline",
    "singlestat": "stat",
    "table-old": "table",
}
# Show no values of their own.
_WITHOUT_UNIT = frozenset(
    {
        *("alertlist", "annolist", "canvas", "dashlist", "flamegraph", "geomap", "logs", "news", "nodeGraph"),
        *("row", "text", "traces"),
    }
)
_WITHOUT_DESCRIPTION = frozenset({"row", "text"})
# Of Grafana itself, and the data sources that provisioning gives a uid.
_BUILT_IN = frozenset({"grafana", "-- Grafana --", "-- Mixed --", "-- Dashboard --"})
_SOURCES = ("alertmanager", "jaeger", "loki", "prometheus")

# Any span will do: whether a query parses does not depend on it.
_STEP_SECONDS, _RANGE_SECONDS = 15, 3600
_DECIDING = (Path(__file__), Path(classic.__file__), Path(__file__).parents[1] / "requirements.txt")


def check(plan: Plan, _tree: Path) -> list[str]:
    running = [source for source in _SOURCES if plan.find(source)]
    return [problem for dashboard in plan.dashboards for problem in _remembered(dashboard, running)]


def _remembered(dashboard: Dashboard, running: list[str]) -> list[str]:
    place = remember.key("dashboard-checked", _DECIDING, [dashboard.place, dashboard.text, *running])
    found: list[str] = json.loads(remember.text(place, lambda: json.dumps([*_problems(dashboard, running)])))
    return found


def _problems(dashboard: Dashboard, running: Iterable[str]) -> Iterator[str]:
    model: Json = json.loads(dashboard.text)
    where = f"{dashboard.place}: "
    yield from (where + problem for problem in _whole(model))
    for panel in classic.panels(model):
        named = f"{where}panel {panel.get('title') or panel.get('id')}: "
        yield from (named + problem for problem in _panel(panel, {*running}))
    yield from (where + problem for problem in (*_titles(model), *_overlaps(model)))
    for query in dashboard.queries:
        if query.datasource == "prometheus" and (problem := _unread(query.expr)):
            yield f"{where}panel {query.panel}: query {query.ref}: {problem}"


def _whole(model: Json) -> Iterator[str]:
    if not model.get("title"):
        yield "title: missing"
    version = model.get("schemaVersion")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        yield f"schemaVersion: {version!r} is not accepted: a whole number up to {SCHEMA_VERSION}"
    if "rows" in model or not isinstance(model.get("panels"), list):
        yield "panels: missing; a dashboard with `rows` is of Grafana before version 5: open it there and save it anew"


def _panel(panel: Json, running: set[str]) -> Iterator[str]:
    kind = panel.get("type")
    if kind in REMOVED:
        yield f"type {kind!r} is no longer in Grafana; use {REMOVED[kind]}"
    elif kind not in LOADED:
        yield f"type {kind!r} is not one that Grafana brings along; use one of {', '.join(sorted(LOADED))}"
    if not panel.get("title"):
        yield "title: missing"
    if kind not in _WITHOUT_DESCRIPTION and not panel.get("description"):
        yield "description: missing; say what it shows"
    if kind not in _WITHOUT_UNIT and not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "unit: missing; `short` is a plain number"
    if (place := _place(panel)) is None:
        yield "gridPos: missing; it has x, y, w and h"
    elif problem := _off_grid(place):
        yield problem
    yield from _sources(panel, running)


def _sources(panel: Json, running: set[str]) -> Iterator[str]:
    used = {uid for thing in (panel, *classic.targets(panel)) if (uid := classic.source(thing))}
    for uid in sorted(used - running - _BUILT_IN):
        if not uid.startswith("$"):
            yield f"data source {uid!r} is not there; there is {', '.join(sorted(running))}"


def _place(panel: Json) -> tuple[int, int, int, int] | None:
    grid = panel.get("gridPos")
    if not isinstance(grid, dict) or not all(isinstance(grid.get(key), int) for key in "xywh"):
        return None
    return grid["x"], grid["y"], grid["w"], grid["h"]


def _off_grid(place: tuple[int, int, int, int]) -> str:
    x, y, width, height = place
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > COLUMNS:
        return f"stands at x {x}, y {y}, {width} wide and {height} high, and the grid has columns 0 to {COLUMNS}"
    return ""


def _titles(model: Json) -> Iterator[str]:
    titles = sorted(str(panel["title"]) for panel in classic.panels(model) if panel.get("title"))
    for title, same in itertools.groupby(titles):
        if (count := len([*same])) > 1:
            yield f"panel {title}: {count} panels have this title; give each its own"


def _overlaps(model: Json) -> Iterator[str]:
    """Panels of a collapsed row stand on a grid of their own."""
    grids = [model, *(panel for panel in classic.panels(model) if panel.get("panels"))]
    for grid in grids:
        placed = [(panel, place) for panel in classic.own_panels(grid) if (place := _place(panel))]
        for (one, here), (other, there) in itertools.combinations(placed, 2):
            if _meet(here, there):
                yield f"panel {other.get('title')}: overlaps panel {one.get('title')}"


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    x, y, width, height = one
    u, v, breadth, tallness = other
    return x < u + breadth and u < x + width and y < v + tallness and v < y + height


def _unread(expr: str) -> str:
    """What is wrong with a query; nothing if it parses. LogQL is read by Loki alone."""
    import promql_parser  # noqa: PLC0415 - only where a dashboard has changed

    try:
        promql_parser.parse(runnable(expr, _STEP_SECONDS, _RANGE_SECONDS))
    except ValueError as problem:
        return f"{problem} in {expr!r}"
    return ""
