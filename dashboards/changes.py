"""Changes that an environment makes to shipped panels, without touching their modules."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.datasources import LOKI, PROMETHEUS
from stacks.changes import NewPanel, PanelChange
from stacks.strict import nearest


def digest(panel: Panel) -> str:
    """What a panel is as shipped, in eight characters: a change says which one it was written for."""
    asked = [[query.datasource.uid, query.expr, query.instant] for query in panel.queries]
    deciding = [panel.kind, panel.title, panel.unit, asked, panel.thresholds.steps()]
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:8]


def changed(board: Board, changes: Mapping[str, PanelChange]) -> tuple[Board, list[str]]:
    """The board with the changes to its panels, and a line for each that does not fit."""
    own = {name: change for address, change in changes.items() if (name := _panel(address, board.uid))}
    shipped = {panel.name: panel for panel in board.panels if panel.kind != "row"}
    problems = [_unknown(board, name, list(shipped)) for name in sorted({*own} - {*shipped})]
    problems += [_stale(board, panel, own[name]) for name, panel in shipped.items() if name in own]
    panels = tuple(
        new
        for panel in board.panels
        if (new := _changed(panel, own.get(panel.name) if panel.kind != "row" else None)) is not None
    )
    return replace(board, panels=panels), list(filter(None, problems))


def _panel(address: str, uid: str) -> str:
    """The panel's part of an address in this dashboard."""
    dashboard, _, name = address.partition("/")
    return name if dashboard == uid else ""


def _unknown(board: Board, name: str, names: list[str]) -> str:
    return f"watchstack:dashboards.panels.{board.uid}/{name}: no such panel; {nearest(name, names)}"


def _stale(board: Board, panel: Panel, change: PanelChange) -> str:
    if change.seen == (now := digest(panel)):
        return ""
    was = "missing" if change.seen is None else f"{change.seen!r}: the panel has changed since"
    where = f"watchstack:dashboards.panels.{board.uid}/{panel.name}.seen"
    return f"{where}: {was}; see what it is now in docs/dashboards.md, and give {now!r}"


def _changed(panel: Panel, change: PanelChange | None) -> Panel | None:
    if change is None:
        return panel
    return _replacement(change.replace, panel) if change.replace else None


def _replacement(new: NewPanel, old: Panel) -> Panel:
    source = LOKI if new.logs or new.kind == "logs" else PROMETHEUS
    thresholds = Thresholds(warning=new.warning, critical=new.critical, below=new.below)
    return Panel(
        kind=new.kind,
        title=new.title,
        description=new.description,
        unit=new.unit,
        queries=tuple(
            Query(expr=expr, legend=legend, datasource=source, empty_when=new.empty_when)
            for legend, expr in new.queries.items()
        ),
        width=old.width,
        height=old.height,
        thresholds=thresholds,
        threshold_lines=thresholds != Thresholds() and new.kind == "timeseries",
        minimum=new.minimum,
        maximum=new.maximum,
        links=old.links,
        needs=frozenset({source.uid}) - {PROMETHEUS.uid},
    )
