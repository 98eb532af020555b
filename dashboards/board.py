"""What a dashboard is, as plain data: nothing here knows Grafana's JSON or grafanalib, which `emit` makes of it."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Literal

from dashboards.datasources import PROMETHEUS, Datasource
from dashboards.links import Link
from dashboards.variables import Variable

GREEN, YELLOW, RED, PLAIN = "green", "yellow", "red", "text"
COLUMNS = 24

# By Grafana's names of its panels.
Kind = Literal[
    "timeseries",
    "stat",
    "gauge",
    "bargauge",
    "table",
    "piechart",
    "logs",
    "heatmap",
    "state-timeline",
    "alertlist",
    "dashlist",
    "row",
]
# They show what Grafana knows, or a heading.
WITHOUT_QUERIES = ("alertlist", "dashlist", "row")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where a value turns yellow and red; `below`: small values are the bad ones."""

    warning: float | None = None
    critical: float | None = None
    below: bool = False

    def steps(self, plain: str = PLAIN) -> list[tuple[str, float | None]]:
        """Each colour holds from its value upward, the first from minus infinity, which is None.

        `plain` is the colour where there is no limit.
        """
        if self == NONE:
            return [(plain, None)]
        limits = [(YELLOW, self.warning), (RED, self.critical)]
        given = [(colour, value) for colour, value in limits if value is not None]
        if not self.below:
            return [(GREEN, None), *given]
        colours = [GREEN, *(colour for colour, _ in given)]
        values = [*(value for _, value in given), None]
        return list(zip(colours, values, strict=True))[::-1]


NONE = Thresholds()


@dataclass(frozen=True, kw_only=True)
class ValueText:
    """The text in place of a value; `value` None stands for one that is not a number."""

    value: float | None
    text: str
    colour: str = PLAIN


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: the label or value it shows, and its heading."""

    name: str
    heading: str


@dataclass(frozen=True, kw_only=True)
class Override:
    """What one series, by its legend, or one column, by its heading, has different from the rest of its panel."""

    series: str
    unit: str | None = None
    thresholds: Thresholds | None = None
    threshold_lines: bool = False
    right_axis: bool = False
    coloured: bool = False
    mappings: tuple[ValueText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Query:
    """`legend` names the series; `empty_when` says in words why no result is no fault."""

    expr: str
    legend: str = ""
    instant: bool = False
    datasource: Datasource = PROMETHEUS
    empty_when: str | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel without its place, which follows from its size and the panels before it. A row is its title alone.

    `needs`: components without which the panel would show nothing, and is left out. `alerts` narrows an alert list,
    as `{system="lmmc"}`; `tags` are those of the dashboards that a list of them shows.
    """

    kind: Kind
    title: str
    description: str = ""
    unit: str = ""
    queries: tuple[Query, ...] = ()
    width: int = COLUMNS
    height: int = 1
    thresholds: Thresholds = NONE
    threshold_lines: bool = False
    stacked: bool = False
    minimum: float | None = None
    maximum: float | None = None
    mappings: tuple[ValueText, ...] = ()
    overrides: tuple[Override, ...] = ()
    columns: tuple[Column, ...] = ()
    alerts: str = ""
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    needs: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def name(self) -> str:
        """The title as an address has it: `HTTP Error Rate %` is `http-error-rate`."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def empty_when(self) -> str:
        """Why it may be empty, in sentences, each once; nothing if it may not."""
        reasons = dict.fromkeys(query.empty_when for query in self.queries if query.empty_when)
        return " ".join(f"Empty when {reason}." for reason in reasons)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a panel stands, in units of the grid."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard. Panels stand in reading order; `uid` is the file name with dashes.

    `needs`: components without which the dashboard as a whole is left out.
    """

    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    links: tuple[Link, ...]
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    needs: frozenset[str] = field(default=frozenset(), repr=False)

    def within(self, running: Collection[str]) -> "Board":
        """The board of an environment in which these components run."""
        return replace(
            self,
            links=_working(self.links, running),
            panels=tuple(
                replace(panel, links=_working(panel.links, running))
                for panel in self.panels
                if panel.needs <= {*running}
            ),
        )

    def placed(self) -> list[tuple[Panel, Place]]:
        """Panels left to right; one that no longer fits starts below the tallest of its line."""
        found = []
        x = y = tallest = 0
        for panel in self.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            found.append((panel, Place(x=x, y=y, width=panel.width, height=panel.height)))
            x, tallest = x + panel.width, max(tallest, panel.height)
        return found


@dataclass(frozen=True, kw_only=True)
class PanelQuery:
    """One query of one panel, as data: what to run to know whether the panel shows anything."""

    dashboard: str
    panel: str
    ref: str
    datasource: str
    expr: str
    instant: bool
    empty_when: str | None
    legend: str


def with_refs(queries: Sequence[Query]) -> tuple[tuple[str, Query], ...]:
    """Queries under the letters by which Grafana tells the queries of a panel apart."""
    return tuple(zip(ascii_uppercase[: len(queries)], queries, strict=True))


def _working(links: tuple[Link, ...], running: Collection[str]) -> tuple[Link, ...]:
    return tuple(link for link in links if link.needs <= {*running})
