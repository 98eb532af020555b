"""What a picture needs of a dashboard, read from Grafana's classic model: what is drawn is what Grafana is given."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards import classic
from dashboards.board import Place

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A query of a panel; the dashboard's own variables stand at All."""

    ref: str
    expr: str
    legend: str
    instant: bool
    source: str
    heatmap: bool


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel with its place on the grid; `fields` and `options` are as Grafana writes them."""

    number: int
    kind: str
    title: str
    description: str
    place: Place
    targets: tuple[Target, ...]
    links: tuple[tuple[str, str], ...]
    fields: Json
    options: Json
    transformations: tuple[Json, ...]

    @property
    def empty_when(self) -> str:
        """Why it may be empty, as its author says it; nothing if it may not."""
        said = str(self.fields.get("defaults", {}).get("noValue", ""))
        return "" if said == "No data" else said

    def field(self, name: str) -> Json:
        """The options of the series or column of that name: the panel's own, and over them what it has different."""
        merged = dict(self.fields.get("defaults", {}))
        for override in self.fields.get("overrides", []):
            if _matches(override["matcher"], name):
                for changed in override["properties"]:
                    merged = _with(merged, changed["id"].split("."), changed["value"])
        return merged


@dataclass(frozen=True, kw_only=True)
class Page:
    """A dashboard as it is drawn."""

    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    variables: tuple[str, ...]
    panels: tuple[Panel, ...]

    @property
    def rows(self) -> int:
        """How many units of the grid it is high."""
        return max((panel.place.y + panel.place.height for panel in self.panels), default=0)


@dataclass(frozen=True, kw_only=True)
class Index:
    """All dashboards of the environment, and which of them have their page beside this one."""

    pages: tuple[Page, ...] = ()
    drawn: frozenset[str] = frozenset()

    def path(self, url: str) -> str | None:
        """Where a link leads: `/d/UID` to the page of that dashboard, if there is one; others as they are."""
        if not url.startswith("/d/"):
            return url
        uid = url.removeprefix("/d/").partition("?")[0].partition("/")[0]
        return f"{uid}.html" if uid in self.drawn else None


def read(text: str) -> Page:
    """The dashboard in a file of the classic model. Panels of a collapsed row are not shown, as in Grafana."""
    model: Json = json.loads(text)
    listed = [item for item in model.get("panels", []) if isinstance(item, dict)]
    chosen = [item for item in model.get("templating", {}).get("list", []) if item.get("type") in ("query", "custom")]
    return Page(
        uid=str(model["uid"]),
        title=str(model.get("title", "")),
        description=str(model.get("description") or ""),
        tags=tuple(model.get("tags", [])),
        links=_links(model.get("links", [])),
        variables=tuple(str(variable.get("label") or variable["name"]) for variable in chosen),
        panels=tuple(_panel(model, number, item) for number, item in enumerate(listed, 1)),
    )


def _panel(model: Json, number: int, panel: Json) -> Panel:
    grid = panel.get("gridPos", {})
    place = Place(x=grid.get("x", 0), y=grid.get("y", 0), width=grid.get("w", 24), height=grid.get("h", 1))
    return Panel(
        number=number,
        kind=str(panel["type"]),
        title=str(panel.get("title", "")),
        description=str(panel.get("description") or ""),
        place=place,
        targets=tuple(_targets(model, panel)),
        links=_links(panel.get("links", [])),
        fields=panel.get("fieldConfig", {}),
        options=panel.get("options", {}),
        transformations=tuple(panel.get("transformations", [])),
    )


def _targets(model: Json, panel: Json) -> Iterator[Target]:
    for target in classic.targets(panel):
        if target.get("hide"):
            continue
        yield Target(
            ref=str(target.get("refId", "")),
            expr=classic.without_variables(model, str(target["expr"])),
            legend=str(target.get("legendFormat", "")),
            instant=bool(target.get("instant", False)),
            source=classic.source(target) or classic.source(panel) or "prometheus",
            heatmap=target.get("format") == "heatmap",
        )


def _links(links: Sequence[Json]) -> tuple[tuple[str, str], ...]:
    """Those that lead somewhere without Grafana: pages elsewhere, and other dashboards."""
    found = ((str(link.get("title", "")), str(link.get("url", ""))) for link in links)
    return tuple((title, url) for title, url in found if url.startswith(("https://", "http://", "/d/")))


def _matches(matcher: Json, name: str) -> bool:
    if matcher.get("id") == "byName":
        return bool(matcher.get("options") == name)
    if matcher.get("id") == "byRegexp":
        return re.search(str(matcher.get("options")).strip("/"), name) is not None
    return False


def _with(field: Json, path: Sequence[str], value: Any) -> Json:
    first, *rest = path
    return {**field, first: _with(field.get(first, {}), rest, value) if rest else value}
