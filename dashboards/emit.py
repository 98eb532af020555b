"""From a board to the JSON that Grafana provisions: the classic model, schema version 42.

Everything that knows this model is here, so that the newer one can stand beside it. grafanalib writes the JSON of
older Grafana: where its class lacks an option of today's panel, `extraJson` sets it; what it writes beyond today's
schema is dropped. Source of the model: the npm package `@grafana/schema`, `raw/dashboard/x`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from grafanalib import core

from dashboards.board import (
    GREEN,
    NONE,
    PLAIN,
    Board,
    Kind,
    Override,
    Panel,
    Place,
    Query,
    Thresholds,
    ValueText,
    with_refs,
)
from dashboards.datasources import LOKI, PROMETHEUS
from dashboards.links import Link
from dashboards.variables import ALL, MIN_INTERVAL_SECONDS, Variable

Json = dict[str, Any]

SCHEMA_VERSION = 42

# What today's schema knows of what grafanalib writes.
_DASHBOARD_KEYS = (
    *("annotations", "description", "editable", "graphTooltip", "links", "panels", "refresh", "schemaVersion"),
    *("tags", "templating", "time", "timezone", "title", "uid"),
)
_PANEL_KEYS = (
    *("datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "options", "targets"),
    *("title", "transformations", "type"),
)
_ROW_KEYS = ("collapsed", "gridPos", "id", "panels", "title", "type")
_FIELD_KEYS = ("color", "custom", "decimals", "mappings", "max", "min", "noValue", "thresholds", "unit")
_VARIABLE_KEYS = (
    *("allValue", "datasource", "hide", "includeAll", "label", "multi", "name", "query", "refresh", "sort", "type"),
)
_OLD_BARGAUGE_OPTIONS = ("fieldOptions", "showThresholdLabels", "showThresholdMarkers")

# Areas, which would be black in the colour of text.
_FILLED: tuple[Kind, ...] = ("gauge", "bargauge")

# Options that grafanalib's class lacks or writes elsewhere; Grafana's own defaults, written out because the
# schema demands them.
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_HIDE_FROM = {"legend": False, "tooltip": False, "viz": False}
_GAUGE: Json = {
    "barShape": "flat",
    "barWidthFactor": 0.5,
    "effects": {},
    "minVizHeight": 75,
    "minVizWidth": 75,
    "orientation": "auto",
    "reduceOptions": _REDUCED,
    "segmentCount": 1,
    "segmentSpacing": 0.3,
    "shape": "gauge",
    "showThresholdLabels": False,
    "showThresholdMarkers": True,
    "sizing": "auto",
}
_BARGAUGE: Json = {
    "displayMode": "basic",
    "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
    "maxVizHeight": 300,
    "minVizHeight": 16,
    "minVizWidth": 8,
    "namePlacement": "auto",
    "orientation": "horizontal",
    "reduceOptions": _REDUCED,
    "showUnfilled": True,
    "sizing": "auto",
    "valueMode": "color",
}
_STAT: Json = {"percentChangeColorMode": "standard", "showPercentChange": False, "wideLayout": True}
_PIECHART: Json = {
    "displayLabels": [],
    "legend": {"calcs": [], "showLegend": True},
    "orientation": "auto",
    "sort": "desc",
    "tooltip": {"sort": "none"},
}
_HEATMAP: Json = {
    "calculate": False,
    "cellGap": 1,
    "color": {
        "exponent": 0.5,
        "fill": "dark-orange",
        "mode": "scheme",
        "reverse": False,
        "scale": "exponential",
        "scheme": "Oranges",
        "steps": 64,
    },
    "exemplars": {"color": "rgba(255,0,255,0.7)"},
    # Buckets without observations are no cells.
    "filterValues": {"le": 1e-9},
    "legend": {"show": True},
    "rowsFrame": {"layout": "auto"},
    "showValue": "never",
    "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
}
_STATE_TIMELINE: Json = {
    "legend": {"calcs": [], "showLegend": True},
    "tooltip": {"sort": "none"},
}
_ALERT_LIST: Json = {
    "alertName": "",
    "dashboardAlerts": False,
    "datasource": "Prometheus",
    "groupBy": [],
    "groupMode": "default",
    "maxItems": 20,
    "showInactiveAlerts": False,
    # By importance: what fires first.
    "sortOrder": 3,
    "stateFilter": {"error": True, "firing": True, "noData": False, "normal": False, "pending": True},
    "viewMode": "list",
}
_DASHBOARD_LIST: Json = {
    "includeVars": False,
    "keepTime": True,
    "maxItems": 100,
    "query": "",
    "showFolderNames": True,
    "showHeadings": False,
    "showRecentlyViewed": False,
    "showSearch": True,
    "showStarred": False,
}


def text(board: Board) -> str:
    """The file that Grafana reads. The same board gives the same bytes."""
    return _json(_model(board), orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()


def _model(board: Board) -> Json:
    """The classic dashboard model."""
    dashboard = core.Dashboard(
        title=board.title,
        uid=board.uid,
        description=board.description,
        tags=list(board.tags),
        links=[_link(link) for link in board.links],
        panels=[_panel(number, panel, place) for number, (panel, place) in enumerate(board.placed(), 1)],
        templating=core.Templating(list=[_variable(variable) for variable in board.variables]),
        schemaVersion=SCHEMA_VERSION,
        refresh="30s",
        time=core.Time("now-1h", "now"),
        timezone="browser",
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
    )
    written = dashboard.to_json_data()
    return {key: written[key] for key in _DASHBOARD_KEYS}


def _plain(made: object) -> Any:
    """What grafanalib makes, as plain values."""
    return orjson.loads(_json(made))


def _json(made: object, options: int = 0) -> bytes:
    return orjson.dumps(made, default=lambda part: part.to_json_data(), option=options)


def _link(link: Link) -> core.DashboardLink:
    return core.DashboardLink(type="link", title=link.title, uri=link.url, targetBlank=True, keepTime=link.keeps_time)


def _variable(variable: Variable) -> Json:
    if not variable.label:
        return {
            "datasource": PROMETHEUS.reference(),
            "label": variable.title,
            "name": variable.name,
            "type": "adhoc",
        }
    template = core.Template(
        name=variable.name,
        label=variable.title,
        query=f"label_values({variable.of}, {variable.label})",
        dataSource=PROMETHEUS.reference(),
        includeAll=True,
        allValue=ALL,
        multi=True,
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
    )
    written = template.to_json_data()
    chosen = {"current": {"text": ["All"], "value": ["$__all"]}}
    return {key: written[key] for key in _VARIABLE_KEYS} | chosen


def _panel(number: int, panel: Panel, place: Place) -> Json:
    written = _plain(_BODIES[panel.kind](panel))
    written["id"] = number
    written["gridPos"] = {"h": place.height, "w": place.width, "x": place.x, "y": place.y}
    if panel.kind == "row":
        return {key: written[key] for key in _ROW_KEYS}
    written["links"] = [_link(link) for link in panel.links]
    return _without_queries(written, panel) if panel.kind in _OPTIONS else _cleaned(written)


def _cleaned(panel: Json) -> Json:
    fields = panel["fieldConfig"]
    defaults = {key: value for key, value in fields["defaults"].items() if key in _FIELD_KEYS}
    panel["fieldConfig"] = {"defaults": defaults, "overrides": fields.get("overrides", [])}
    if panel["type"] == "bargauge":
        panel["options"] = {k: v for k, v in panel["options"].items() if k not in _OLD_BARGAUGE_OPTIONS}
    return {key: _pruned(value) for key, value in panel.items() if key in _PANEL_KEYS and value is not None}


def _without_queries(panel: Json, source: Panel) -> Json:
    """A list asks no query of its own, and grafanalib writes options that are no more."""
    kept = {key: panel[key] for key in ("description", "gridPos", "id", "links", "title", "type")}
    return {
        **kept,
        "datasource": PROMETHEUS.reference(),
        "fieldConfig": {"defaults": {"unit": source.unit}, "overrides": []},
        "options": _OPTIONS[source.kind](source),
    }


def _pruned(value: Any) -> Any:
    """Without what is None, except the `value` of a threshold's first step, which has to be there."""
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _pruned(item) for key, item in value.items() if item is not None or key == "value"}


def _timeseries(panel: Panel) -> core.TimeSeries:
    return core.TimeSeries(
        **_base(panel),
        unit=panel.unit,
        fillOpacity=30 if panel.stacked else 10,
        legendCalcs=["lastNotNull", "max"],
        tooltipMode="multi",
        tooltipSort="desc",
        axisSoftMin=0,
        stacking={"mode": "normal" if panel.stacked else "none", "group": "A"},
        thresholdsStyleMode="dashed" if panel.threshold_lines else "off",
        extraJson=_extra(panel, {"legend": {"showLegend": True}}, min=panel.minimum, max=panel.maximum),
    )


def _stat(panel: Panel) -> core.Stat:
    return core.Stat(
        **_base(panel),
        format=panel.unit,
        color={"mode": "thresholds"},
        colorMode="background" if panel.thresholds != NONE else "value",
        graphMode="none" if panel.queries[0].instant else "area",
        reduceCalc="lastNotNull",
        noValue="No data",
        extraJson=_extra(panel, _STAT),
    )


def _gauge(panel: Panel) -> core.GaugePanel:
    return core.GaugePanel(
        **_base(panel),
        format=panel.unit,
        min=panel.minimum,
        max=panel.maximum,
        extraJson=_extra(panel, _GAUGE, color={"mode": "thresholds"}),
    )


def _bargauge(panel: Panel) -> core.BarGauge:
    given = {"unit": panel.unit, "min": panel.minimum, "max": panel.maximum}
    return core.BarGauge(**_base(panel), extraJson=_extra(panel, _BARGAUGE, color={"mode": "thresholds"}, **given))


def _table(panel: Panel) -> core.Table:
    names = [column.name for column in panel.columns]
    organize = {
        "includeByName": dict.fromkeys(names, True),
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": {column.name: column.heading for column in panel.columns},
    }
    merged = [{"id": "merge", "options": {}}] if len(panel.queries) > 1 else []
    return core.Table(
        **_base(panel),
        unit=panel.unit,
        transformations=[*merged, {"id": "organize", "options": organize}],
        extraJson=_extra(
            panel,
            {"cellHeight": "sm", "frameIndex": 0},
            custom={"cellOptions": {"type": "auto"}, "inspect": False},
        ),
    )


def _piechart(panel: Panel) -> core.PieChartv2:
    return core.PieChartv2(
        **_base(panel),
        unit=panel.unit,
        legendDisplayMode="table",
        legendPlacement="right",
        legendValues=["value", "percent"],
        custom={"hideFrom": _HIDE_FROM},
        extraJson=_extra(panel, _PIECHART),
    )


def _heatmap(panel: Panel) -> core.Heatmap:
    axis = {"yAxis": {"axisPlacement": "left", "unit": panel.unit}}
    return core.Heatmap(
        **_base(panel),
        options={**_HEATMAP, **axis},
        extraJson=_extra(
            panel,
            {},
            custom={"hideFrom": _HIDE_FROM, "scaleDistribution": {"type": "linear"}},
            unit=panel.unit,
        ),
    )


def _state_timeline(panel: Panel) -> core.StateTimeline:
    return core.StateTimeline(
        **_base(panel),
        extraJson=_extra(panel, _STATE_TIMELINE, custom={"hideFrom": _HIDE_FROM}, unit=panel.unit),
    )


def _logs(panel: Panel) -> core.Logs:
    return core.Logs(
        **_base(panel),
        showTime=True,
        wrapLogMessages=True,
        enableLogDetails=True,
        prettifyLogMessage=False,
        extraJson=_extra(panel, {"showLogContextToggle": True}, unit=panel.unit),
    )


def _alert_list(panel: Panel) -> core.AlertList:
    return core.AlertList(title=panel.title, description=panel.description)


def _dashboard_list(panel: Panel) -> core.DashboardList:
    return core.DashboardList(title=panel.title, description=panel.description)


def _row(panel: Panel) -> core.RowPanel:
    return core.RowPanel(title=panel.title)


_BODIES: dict[Kind, Callable[[Panel], Any]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "gauge": _gauge,
    "bargauge": _bargauge,
    "table": _table,
    "piechart": _piechart,
    "heatmap": _heatmap,
    "state-timeline": _state_timeline,
    "logs": _logs,
    "alertlist": _alert_list,
    "dashlist": _dashboard_list,
    "row": _row,
}

# Of the panels that ask no query.
_OPTIONS: dict[Kind, Callable[[Panel], Json]] = {
    "alertlist": lambda panel: {**_ALERT_LIST, "alertInstanceLabelFilter": panel.alerts},
    "dashlist": lambda panel: {**_DASHBOARD_LIST, "tags": list(panel.tags)},
}


def _base(panel: Panel) -> Json:
    return {
        "title": panel.title,
        "description": " ".join(filter(None, [panel.description, panel.empty_when])),
        "dataSource": panel.queries[0].datasource.reference(),
        "targets": [_target(panel.kind, ref, query) for ref, query in with_refs(panel.queries)],
        "thresholds": _steps(panel.thresholds, GREEN if panel.kind in _FILLED else PLAIN),
        "interval": f"{MIN_INTERVAL_SECONDS}s",
        # grafanalib's default of 100 points blurs wide panels; Grafana's own is one a pixel.
        "maxDataPoints": None,
    }


def _target(kind: Kind, ref: str, query: Query) -> Json:
    # Not grafanalib's Target: its `intervalFactor` 2 halves the resolution, and it leaves `refId` empty.
    common = {
        "refId": ref,
        "datasource": query.datasource.reference(),
        "expr": query.expr,
        "editorMode": "code",
    }
    if query.datasource == LOKI:
        legend = {"legendFormat": query.legend} if query.legend else {}
        return {**common, **legend, "queryType": "range"}
    return {
        **common,
        "legendFormat": query.legend,
        "instant": query.instant,
        "range": not query.instant,
        "format": {"table": "table", "heatmap": "heatmap"}.get(kind, "time_series"),
    }


def _extra(panel: Panel, options: Json, **defaults: Any) -> Json:
    # Grafana shows `noValue` instead of "No data" when a panel's queries find nothing.
    explained = {"noValue": panel.empty_when} if panel.empty_when else {}
    fields = {**defaults, **explained, "mappings": _mappings(panel.mappings)}
    overrides = [_override(override) for override in panel.overrides]
    return {"options": options, "fieldConfig": {"defaults": fields, "overrides": overrides}}


def _steps(thresholds: Thresholds, plain: str = PLAIN) -> list[Json]:
    # Not grafanalib's Threshold: it writes the text "null" for the first value.
    return [{"color": colour, "value": value} for colour, value in thresholds.steps(plain)]


def _mappings(texts: Sequence[ValueText]) -> list[Json]:
    values = {
        f"{text.value:g}": {"text": text.text, "color": text.colour, "index": index}
        for index, text in enumerate(texts)
        if text.value is not None
    }
    special = [
        {
            "type": "special",
            "options": {"match": "null+nan", "result": {"text": text.text, "color": text.colour, "index": index}},
        }
        for index, text in enumerate(texts)
        if text.value is None
    ]
    return ([{"type": "value", "options": values}] if values else []) + special


def _override(override: Override) -> Json:
    properties: Json = {}
    if override.coloured:
        properties["custom.cellOptions"] = {"type": "color-text"}
    if override.mappings:
        properties["mappings"] = _mappings(override.mappings)
    if override.right_axis:
        properties["custom.axisPlacement"] = "right"
    if override.thresholds:
        properties["thresholds"] = {"mode": "absolute", "steps": _steps(override.thresholds)}
    if override.threshold_lines:
        properties["custom.thresholdsStyle"] = {"mode": "dashed"}
    if override.unit:
        properties["unit"] = override.unit
    listed = [{"id": name, "value": value} for name, value in sorted(properties.items())]
    return {"matcher": {"id": "byName", "options": override.series}, "properties": listed}
