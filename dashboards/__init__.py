"""Dashboards as code: one a module, listed here in order.

Importing this package is cheap: grafanalib is imported with the first dashboard that is not remembered.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from dashboards.board import Board, PanelQuery, with_refs
from dashboards.variables import runnable
from toolchain import remember

__all__ = ["Board", "Dashboard", "PanelQuery", "build", "names", "queries", "render", "runnable"]

_HERE = Path(__file__).parent
_MODULES = (
    "alertmanager",
    "boss_workflow",
    "collector",
    "containers",
    "graphmemory_alerts",
    "graphmemory_application",
    "graphmemory_business",
    "graphmemory_database",
    "graphmemory_overview",
    "hosts",
    "jaeger",
    "kubernetes_workloads",
    "lmmc",
    "lmmc_internals",
    "logs_explorer",
    "loki",
    "objectives",
    "phase5_agents",
    "phase5_infrastructure",
    "phase5_overview",
    "prometheus",
    "stack_health",
    "start",
    "tdd_project",
    "thanos",
)
# What decides on the JSON of a board, besides the board itself: these and the pinned grafanalib.
_DECIDING = (
    *(_HERE / f"{module}.py" for module in ("board", "datasources", "emit", "links", "variables")),
    _HERE.parent / "requirements.txt",
)


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard as it is deployed. `place` is the file it is written in; one that came as JSON has no board."""

    uid: str
    title: str
    folder: str
    place: str
    text: str
    queries: tuple[PanelQuery, ...]
    board: Board | None


def names() -> tuple[str, ...]:
    """Names of all dashboards: their uids, and the names of their files."""
    return tuple(module.replace("_", "-") for module in _MODULES)


def build(name: str) -> Board:
    """The dashboard `name`, whole. ValueError for a name that `names()` does not list."""
    if name not in names():
        raise ValueError(f"dashboard {name!r} is not known; use one of {', '.join(names())}")
    board: Board = import_module(f"dashboards.{name.replace('-', '_')}").board()
    return board


def render(board: Board) -> str:
    """The JSON file of a dashboard, as Grafana provisions it."""
    place = remember.key(f"dashboard-{board.uid}", _DECIDING, [repr(board)])
    return remember.text(place, lambda: _made(board))


def _made(board: Board) -> str:
    from dashboards import emit  # noqa: PLC0415 - imports grafanalib

    return emit.text(board)


def queries(board: Board) -> tuple[PanelQuery, ...]:
    """Every query of a dashboard, in the order of its panels."""
    return tuple(
        PanelQuery(
            dashboard=board.uid,
            panel=panel.title,
            ref=ref,
            datasource=query.datasource.uid,
            expr=query.expr,
            instant=query.instant,
            empty_when=query.empty_when,
            legend=query.legend,
        )
        for panel in board.panels
        for ref, query in with_refs(panel.queries)
    )
