"""House panels over grafanalib: only types that Grafana 13 loads, and everything that has to be set, set.

grafanalib writes the JSON of older Grafana. Where its class lacks an option of today's panel, `extraJson`
sets it; what it writes beyond today's schema is dropped in `emit`.
"""

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from grafanalib import core

from dashboards.board import Panel, Query, with_refs
from dashboards.datasources import LOKI, PROMETHEUS
from dashboards.links import Link
from dashboards.variables import MIN_INTERVAL_SECONDS

GREEN, YELLOW, RED, PLAIN = "green", "yellow", "red", "text"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where a value turns yellow and red; `below`: small values are the bad ones."""

    warning: float | None = None
    critical: float | None = None
    below: bool = False

    def steps(self) -> list[dict[str, Any]]:
        """Grafana's steps: each colour holds from its value upward, the first from minus infinity."""
        if self == NONE:
            return [_step(PLAIN, None)]
        limits = [(YELLOW, self.warning), (RED, self.critical)]
        given = [(colour, value) for colour, value in limits if value is not None]
        if not self.below:
            return [_step(GREEN, None), *(_step(colour, value) for colour, value in given)]
        colours = [GREEN, *(colour for colour, _ in given)]
        values = [*(value for _, value in given), None]
        return [_step(colour, value) for colour, value in zip(colours, values, strict=True)][::-1]


NONE = Thresholds()

# Options that grafanalib's class lacks or writes elsewhere; Grafana's own defaults, written out because the
# schema demands them.
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_GAUGE: dict[str, Any] = {
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
_BARGAUGE: dict[str, Any] = {
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
_STAT: dict[str, Any] = {"percentChangeColorMode": "standard", "showPercentChange": False, "wideLayout": True}
_PIECHART: dict[str, Any] = {
    "displayLabels": [],
    "legend": {"calcs": [], "showLegend": True},
    "orientation": "auto",
    "sort": "desc",
    "tooltip": {"sort": "none"},
}


class Common(TypedDict, total=False):
    """What every house panel takes besides its own arguments; sizes in grid units."""

    width: int
    height: int
    thresholds: Thresholds
    links: tuple[Link, ...]
    needs: frozenset[str]
    overrides: list[dict[str, Any]]
    mappings: list[dict[str, Any]]


def suffix(unit: str) -> str:
    """Grafana's form of a unit of our own; it puts the space between number and unit itself."""
    return f"suffix:{unit}"


def override(series: str, **properties: Any) -> dict[str, Any]:
    """Field properties for the series of this name; `custom__x` stands for Grafana's `custom.x`."""
    listed = [{"id": name.replace("__", "."), "value": value} for name, value in sorted(properties.items())]
    return {"matcher": {"id": "byName", "options": series}, "properties": listed}


def value_text(texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Mapping from a value to (text, colour)."""
    options = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(texts.items())
    }
    return {"type": "value", "options": options}


def not_a_number(text: str) -> dict[str, Any]:
    """Mapping for a ratio or quantile of nothing, which is NaN."""
    return {
        "type": "special",
        "options": {"match": "null+nan", "result": {"text": text, "color": PLAIN, "index": 0}},
    }


def timeseries(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    threshold_lines: bool = True,
    **common: Unpack[Common],
) -> Panel:
    """Lines over time. `threshold_lines=False` where an override draws them, for one series."""
    drawn = threshold_lines and common.get("thresholds", NONE) != NONE
    body = core.TimeSeries(
        **_base(title, queries, description, common),
        unit=unit,
        fillOpacity=10,
        legendCalcs=["lastNotNull", "max"],
        tooltipMode="multi",
        tooltipSort="desc",
        axisSoftMin=0,
        stacking={"mode": "none", "group": "A"},
        thresholdsStyleMode="dashed" if drawn else "off",
        extraJson=_extra(queries, common, {"legend": {"showLegend": True}}),
    )
    return _panel(body, queries, common, 12, 8)


def stat(title: str, *queries: Query, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """One large number, coloured by thresholds, with its course behind it unless the query is instant."""
    coloured = common.get("thresholds", NONE) != NONE
    body = core.Stat(
        **_base(title, queries, description, common),
        format=unit,
        color={"mode": "thresholds"},
        colorMode="background" if coloured else "value",
        graphMode="none" if queries[0].instant else "area",
        reduceCalc="lastNotNull",
        noValue="No data",
        extraJson=_extra(queries, common, _STAT),
    )
    return _panel(body, queries, common, 6, 4)


def gauge(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    minimum: float = 0,
    maximum: float = 1,
    **common: Unpack[Common],
) -> Panel:
    """A dial from `minimum` to `maximum`."""
    body = core.GaugePanel(
        **_base(title, queries, description, common),
        format=unit,
        min=minimum,
        max=maximum,
        extraJson=_extra(queries, common, _GAUGE, color={"mode": "thresholds"}),
    )
    return _panel(body, queries, common, 6, 8)


def bargauge(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    minimum: float = 0,
    maximum: float | None = None,
    **common: Unpack[Common],
) -> Panel:
    """One horizontal bar a series, from `minimum` to `maximum`, or to the largest value."""
    body = core.BarGauge(
        **_base(title, queries, description, common),
        extraJson=_extra(queries, common, _BARGAUGE, color={"mode": "thresholds"}, unit=unit, min=minimum, max=maximum),
    )
    return _panel(body, queries, common, 8, 8)


def table(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    columns: dict[str, str],
    **common: Unpack[Common],
) -> Panel:
    """A row a series. `columns`: labels to show, in order, and their headings; others are hidden."""
    organize = {
        "includeByName": dict.fromkeys(columns, True),
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": columns,
    }
    body = core.Table(
        **_base(title, queries, description, common),
        unit=unit,
        transformations=[{"id": "organize", "options": organize}],
        extraJson=_extra(
            queries,
            common,
            {"cellHeight": "sm", "frameIndex": 0},
            custom={"cellOptions": {"type": "auto"}, "inspect": False},
        ),
    )
    return _panel(body, queries, common, 12, 8)


def piechart(title: str, *queries: Query, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """Shares of a whole, with value and percentage in the legend."""
    body = core.PieChartv2(
        **_base(title, queries, description, common),
        unit=unit,
        legendDisplayMode="table",
        legendPlacement="right",
        legendValues=["value", "percent"],
        custom={"hideFrom": {"legend": False, "tooltip": False, "viz": False}},
        extraJson=_extra(queries, common, _PIECHART),
    )
    return _panel(body, queries, common, 8, 8)


def logs(title: str, query: Query, *, description: str, **common: Unpack[Common]) -> Panel:
    """Log lines, newest first."""
    body = core.Logs(
        **_base(title, (query,), description, common),
        showTime=True,
        wrapLogMessages=True,
        enableLogDetails=True,
        prettifyLogMessage=False,
        extraJson=_extra((query,), common, {"showLogContextToggle": True}, unit="short"),
    )
    return _panel(body, (query,), common, 24, 10)


def row(title: str, needs: frozenset[str] = frozenset()) -> Panel:
    """A heading over the panels that follow."""
    return Panel(body=core.RowPanel(title=title), queries=(), width=24, height=1, needs=needs)


def _step(colour: str, value: float | None) -> dict[str, Any]:
    # Not grafanalib's Threshold: it writes the text "null" for the first value.
    return {"color": colour, "value": value}


def _base(title: str, queries: tuple[Query, ...], description: str, common: Common) -> dict[str, Any]:
    return {
        "title": title,
        "description": " ".join([description, *_empty(queries)]),
        "dataSource": queries[0].datasource.reference(),
        "targets": [_target(ref, query) for ref, query in with_refs(queries)],
        "thresholds": common.get("thresholds", NONE).steps(),
        "interval": f"{MIN_INTERVAL_SECONDS}s",
        # grafanalib's default of 100 points blurs wide panels; Grafana's own is one a pixel.
        "maxDataPoints": None,
    }


def _target(ref: str, query: Query) -> dict[str, Any]:
    # Not grafanalib's Target: its `intervalFactor` 2 halves the resolution, and it leaves `refId` empty.
    common = {
        "refId": ref,
        "datasource": query.datasource.reference(),
        "expr": query.expr,
        "editorMode": "code",
    }
    if query.datasource == LOKI:
        return {**common, "queryType": "range"}
    return {
        **common,
        "legendFormat": query.legend,
        "instant": query.instant,
        "range": not query.instant,
        "format": "table" if query.table else "time_series",
    }


def _empty(queries: tuple[Query, ...]) -> list[str]:
    return [f"Empty when {query.empty_when}." for query in queries if query.empty_when]


def _extra(queries: tuple[Query, ...], common: Common, options: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    # Grafana shows `noValue` instead of "No data" when a panel's queries find nothing.
    reasons = _empty(queries)
    explained = {"noValue": " ".join(reasons)} if reasons else {}
    fields = {**defaults, **explained, "mappings": common.get("mappings", [])}
    return {"options": options, "fieldConfig": {"defaults": fields, "overrides": common.get("overrides", [])}}


def _panel(body: Any, queries: tuple[Query, ...], common: Common, width: int, height: int) -> Panel:
    return Panel(
        body=body,
        queries=queries,
        width=common.get("width", width),
        height=common.get("height", height),
        links=common.get("links", ()),
        needs=common.get("needs", frozenset()) | _sources(queries),
    )


def _sources(queries: tuple[Query, ...]) -> frozenset[str]:
    return frozenset(query.datasource.uid for query in queries if query.datasource != PROMETHEUS)
