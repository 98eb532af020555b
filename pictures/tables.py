"""The rows and columns of a table, from series, by the transformations that Grafana's file names."""

from collections.abc import Sequence
from dataclasses import dataclass

from pictures.data import Series
from pictures.model import Json, Panel

Cell = float | str | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings, and rows with a cell for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(panel: Panel, series: Sequence[Series]) -> Table:
    """A row a series; with `merge` one for all series with the same labels, with a value column a query."""
    rows = _merged(series) if len({each.ref for each in series}) > 1 or len(panel.targets) > 1 else _plain(series)
    organize: Json = next((step["options"] for step in panel.transformations if step["id"] == "organize"), {})
    names = _shown(rows, organize)
    titles = organize.get("renameByName", {})
    return Table(
        columns=tuple(titles.get(name) or name for name in names),
        rows=tuple(tuple(row.get(name) for name in names) for row in rows),
    )


def _plain(series: Sequence[Series]) -> list[dict[str, Cell]]:
    return [{**each.labels, "Value": each.last} for each in series]


def _merged(series: Sequence[Series]) -> list[dict[str, Cell]]:
    """As Grafana's `merge`: rows that agree in what all queries have become one, unless they differ in the rest."""
    shared = _shared(series)
    rows: dict[tuple[str | None, ...], list[dict[str, Cell]]] = {}
    for each in series:
        row: dict[str, Cell] = {**each.labels, f"Value #{each.ref}": each.last}
        alike = rows.setdefault(tuple(each.labels.get(name) for name in shared), [])
        fitting = [other for other in alike if all(other.get(name, cell) == cell for name, cell in row.items())]
        for other in fitting:
            other.update(row)
        if not fitting:
            alike.append(row)
    return [row for alike in rows.values() for row in alike]


def _shared(series: Sequence[Series]) -> list[str]:
    """The labels that the answer to every query has."""
    labels: dict[str, set[str]] = {}
    for each in series:
        labels.setdefault(each.ref, set()).update(each.labels)
    return sorted(set.intersection(*labels.values())) if labels else []


def _shown(rows: Sequence[dict[str, Cell]], organize: Json) -> list[str]:
    """The columns that are not hidden, in the order that is asked for."""
    found = list(dict.fromkeys(name for row in rows for name in row))
    if included := {name for name, shown in organize.get("includeByName", {}).items() if shown}:
        found = [name for name in organize["includeByName"] if name in included]
    found = [name for name in found if not organize.get("excludeByName", {}).get(name)]
    order: dict[str, int] = organize.get("indexByName", {})
    return sorted(found, key=lambda name: order.get(name, len(order)))
