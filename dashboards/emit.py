"""From a board to the JSON that Grafana provisions: the classic model, schema version 42.

Source of the model: the npm package `@grafana/schema`, `raw/dashboard/x`.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attr
from grafanalib import core
from grafanalib._gen import DashboardEncoder

from dashboards.board import Board, Panel
from dashboards.links import Link

SCHEMA_VERSION = 42
COLUMNS = 24

# What today's schema knows of what grafanalib writes.
_DASHBOARD_KEYS = (
    *(
        "annotations",
        "description",
        "editable",
        "graphTooltip",
        "links",
        "panels",
        "refresh",
        "schemaVersion",
    ),
    *("tags", "templating", "time", "timezone", "title", "uid"),
)
_PANEL_KEYS = (
    *("datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "options", "targets"),
    *("title", "transformations", "type"),
)
_ROW_KEYS = ("collapsed", "gridPos", "id", "panels", "title", "type")
_FIELD_KEYS = ("color", "custom", "decimals", "mappings", "max", "min", "noValue", "thresholds", "unit")
_OLD_BARGAUGE_OPTIONS = ("fieldOptions", "showThresholdLabels", "showThresholdMarkers")


def text(board: Board) -> str:
    """The file that Grafana reads. The same board gives the same bytes."""
    return json.dumps(model(board), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def model(board: Board) -> dict[str, Any]:
    """The classic dashboard model as plain values."""
    dashboard = core.Dashboard(
        title=board.title,
        uid=board.uid,
        description=board.description,
        tags=list(board.tags),
        links=[_link(link) for link in board.links],
        panels=[_numbered(number, panel, place) for number, (panel, place) in enumerate(flow(board.panels), 1)],
        schemaVersion=SCHEMA_VERSION,
        refresh="30s",
        time=core.Time("now-1h", "now"),
        timezone="browser",
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
    )
    plain = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    kept = {key: plain[key] for key in _DASHBOARD_KEYS}
    return {**kept, "panels": [_cleaned(panel) for panel in plain["panels"]]}


def flow(panels: Sequence[Panel]) -> Iterator[tuple[Panel, core.GridPos]]:
    """Places panels left to right; one that no longer fits starts below the tallest of its line."""
    x = y = tallest = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield panel, core.GridPos(h=panel.height, w=panel.width, x=x, y=y)
        x, tallest = x + panel.width, max(tallest, panel.height)


def _numbered(number: int, panel: Panel, place: core.GridPos) -> Any:
    return attr.evolve(panel.body, id=number, gridPos=place, links=[_link(link) for link in panel.links])


def _link(link: Link) -> core.DashboardLink:
    return core.DashboardLink(type="link", title=link.title, uri=link.url, targetBlank=True, keepTime=False)


def _cleaned(panel: dict[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        return {key: panel[key] for key in _ROW_KEYS}
    fields = panel["fieldConfig"]
    defaults = {key: value for key, value in fields["defaults"].items() if key in _FIELD_KEYS}
    panel["fieldConfig"] = {"defaults": defaults, "overrides": fields.get("overrides", [])}
    if panel["type"] == "bargauge":
        panel["options"] = {k: v for k, v in panel["options"].items() if k not in _OLD_BARGAUGE_OPTIONS}
    return {key: _pruned(value) for key, value in panel.items() if key in _PANEL_KEYS and value is not None}


def _pruned(value: Any) -> Any:
    """Without what is None, except the `value` of a threshold's first step, which has to be there."""
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _pruned(item) for key, item in value.items() if item is not None or key == "value"}
