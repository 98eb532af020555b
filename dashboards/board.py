"""What a dashboard is before it becomes JSON. Needs no grafanalib: the panels carry its objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from dashboards.datasources import PROMETHEUS, Datasource
from dashboards.links import Link


@dataclass(frozen=True, kw_only=True)
class Query:
    """`legend` names the series; `empty_when` says in words why no result is no fault."""

    expr: str
    legend: str
    instant: bool = False
    table: bool = False
    datasource: Datasource = PROMETHEUS
    empty_when: str | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`body` is a grafanalib panel, without place, id and links. A row has no queries.

    `needs`: components without which the panel would show nothing, and is left out.
    """

    body: Any
    queries: tuple[Query, ...]
    width: int
    height: int
    links: tuple[Link, ...] = ()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard. Panels stand in reading order; `uid` is the file name with dashes."""

    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    links: tuple[Link, ...]
    panels: tuple[Panel, ...]

    def without(self, components: frozenset[str]) -> "Board":
        """The board of a stack in which `components` are switched off."""
        panels = (panel for panel in self.panels if not panel.needs & components)
        return replace(
            self,
            links=_working(self.links, components),
            panels=tuple(replace(panel, links=_working(panel.links, components)) for panel in panels),
        )


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


def _working(links: tuple[Link, ...], absent: frozenset[str]) -> tuple[Link, ...]:
    return tuple(link for link in links if not link.needs & absent)
