"""House panels: only types that Grafana 13 loads, with everything that has to be said about them."""

from typing import TypedDict, Unpack

from dashboards.board import (
    COLUMNS,
    NONE,
    PLAIN,
    Column,
    Override,
    Panel,
    Query,
    Thresholds,
    ValueText,
)
from dashboards.datasources import PROMETHEUS
from dashboards.links import Link


class Common(TypedDict, total=False):
    """What every house panel takes besides its own arguments; sizes in grid units."""

    width: int
    height: int
    thresholds: Thresholds
    links: tuple[Link, ...]
    needs: frozenset[str]
    overrides: tuple[Override, ...]
    mappings: tuple[ValueText, ...]


def suffix(unit: str) -> str:
    """Grafana's form of a unit of our own; it puts the space between number and unit itself."""
    return f"suffix:{unit}"


def value_text(texts: dict[float, tuple[str, str]]) -> tuple[ValueText, ...]:
    """What to show for each value, as (text, colour)."""
    return tuple(ValueText(value=value, text=text, colour=colour) for value, (text, colour) in texts.items())


def not_a_number(text: str) -> ValueText:
    """What to show for a ratio or quantile of nothing, which is NaN."""
    return ValueText(value=None, text=text, colour=PLAIN)


def timeseries(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    threshold_lines: bool = True,
    stacked: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    **common: Unpack[Common],
) -> Panel:
    """Lines over time. `threshold_lines=False` where an override draws them, for one series."""
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        threshold_lines=threshold_lines and common.get("thresholds", NONE) != NONE,
        stacked=stacked,
        minimum=minimum,
        maximum=maximum,
        **_common(queries, common, 12, 8),
    )


def stat(title: str, *queries: Query, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """One large number, coloured by thresholds, with its course behind it unless the query is instant."""
    return Panel(
        kind="stat", title=title, description=description, unit=unit, queries=queries, **_common(queries, common, 6, 4)
    )


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
    return Panel(
        kind="gauge",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        minimum=minimum,
        maximum=maximum,
        **_common(queries, common, 6, 8),
    )


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
    return Panel(
        kind="bargauge",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        minimum=minimum,
        maximum=maximum,
        **_common(queries, common, 8, 8),
    )


def table(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    columns: dict[str, str],
    **common: Unpack[Common],
) -> Panel:
    """A row a series. `columns`: labels to show, in order, and their headings; others are hidden.

    The value of a query is called `Value`; of several, `Value #A` and so on, in the row with the same labels.
    """
    return Panel(
        kind="table",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        columns=tuple(Column(name=name, heading=heading) for name, heading in columns.items()),
        **_common(queries, common, 12, 8),
    )


def piechart(title: str, *queries: Query, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """Shares of a whole, with value and percentage in the legend."""
    return Panel(
        kind="piechart",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        **_common(queries, common, 8, 8),
    )


def heatmap(title: str, query: Query, *, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """How observations spread over the buckets of a histogram, over time; `query` keeps the label `le`."""
    return Panel(
        kind="heatmap",
        title=title,
        description=description,
        unit=unit,
        queries=(query,),
        **_common((query,), common, 12, 8),
    )


def state_timeline(title: str, *queries: Query, unit: str, description: str, **common: Unpack[Common]) -> Panel:
    """A band a series over time, coloured by `mappings` or thresholds."""
    return Panel(
        kind="state-timeline",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        **_common(queries, common, 12, 8),
    )


def logs(title: str, query: Query, *, description: str, **common: Unpack[Common]) -> Panel:
    """Log lines, newest first."""
    return Panel(
        kind="logs",
        title=title,
        description=description,
        unit="short",
        queries=(query,),
        **_common((query,), common, COLUMNS, 10),
    )


def alert_list(title: str, *, description: str, alerts: str = "", **common: Unpack[Common]) -> Panel:
    """The alerts of Prometheus that fire or are pending; `alerts` narrows them by label, as `{system="lmmc"}`."""
    return Panel(
        kind="alertlist",
        title=title,
        description=description,
        unit="short",
        alerts=alerts,
        **_common((), common, 12, 8),
    )


def dashboard_list(title: str, *tags: str, description: str, **common: Unpack[Common]) -> Panel:
    """Links to the dashboards that carry these tags, whichever there are."""
    return Panel(
        kind="dashlist",
        title=title,
        description=description,
        unit="short",
        tags=tags,
        **_common((), common, 12, 8),
    )


def row(title: str, needs: frozenset[str] = frozenset()) -> Panel:
    """A heading over the panels that follow."""
    return Panel(kind="row", title=title, needs=needs)


def _common(queries: tuple[Query, ...], common: Common, width: int, height: int) -> Common:
    sources = {query.datasource.uid for query in queries if query.datasource != PROMETHEUS}
    return {"width": width, "height": height, **common, "needs": common.get("needs", frozenset()) | sources}
