"""Dashboards as code: one a module, listed here in order.

Importing this package is cheap: grafanalib is imported with the first dashboard that is built.
"""

from importlib import import_module
from pathlib import Path

from dashboards.board import Board, PanelQuery, with_refs
from dashboards.variables import runnable
from toolchain import remember

__all__ = ["Board", "PanelQuery", "build", "names", "queries", "render", "runnable"]

_MODULES = ("boss_workflow", "stack_health")


def names() -> tuple[str, ...]:
    """Names of all dashboards: their uids, and the names of their files."""
    return tuple(module.replace("_", "-") for module in _MODULES)


def build(name: str, without: frozenset[str] = frozenset()) -> Board:
    """The dashboard `name`, for a stack in which the components `without` are switched off.

    ValueError for a name that `names()` does not list.
    """
    if name not in names():
        raise ValueError(f"dashboard {name!r} is not known; use one of {', '.join(names())}")
    module = import_module(f"dashboards.{name.replace('-', '_')}")
    board: Board = module.board()
    return board.without(without)


def render(name: str, without: frozenset[str] = frozenset()) -> str:
    """The JSON file of a dashboard, as Grafana provisions it; errors as `build`."""
    # Besides this package, the pinned grafanalib decides what comes out.
    here = Path(__file__).parent
    place = remember.key(f"dashboard-{name}", [*here.glob("*.py"), here.parent / "requirements.txt"], sorted(without))
    return remember.text(place, lambda: _made(name, without))


def _made(name: str, without: frozenset[str]) -> str:
    from dashboards import emit  # noqa: PLC0415 - imports grafanalib

    return emit.text(build(name, without))


def queries(name: str, without: frozenset[str] = frozenset()) -> tuple[PanelQuery, ...]:
    """Every query of a dashboard, in the order of its panels; errors as `build`."""
    return tuple(
        PanelQuery(
            dashboard=name,
            panel=panel.body.title,
            ref=ref,
            datasource=query.datasource.uid,
            expr=query.expr,
            instant=query.instant,
            empty_when=query.empty_when,
        )
        for panel in build(name, without).panels
        for ref, query in with_refs(panel.queries)
    )
