"""Dashboards as code: one a module, listed here in order.

Importing this package is cheap: grafanalib is imported with the first dashboard that is built.
"""

import json
from importlib import import_module
from pathlib import Path

from dashboards.board import Board, PanelQuery, with_refs
from dashboards.variables import runnable
from toolchain import remember

__all__ = ["Board", "PanelQuery", "build", "left_out", "names", "queries", "render", "runnable"]

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
    return remember.text(_place("dashboard", name, without), lambda: _made(name, without))


def left_out(name: str, without: frozenset[str]) -> dict[tuple[str, ...], list[str]]:
    """The panels and links of a dashboard that are left out, by the components that they lack; errors as `build`."""
    place = _place("left-out", name, without)
    # JSON has no tuples for keys.
    found = json.loads(remember.text(place, lambda: json.dumps([*_lacking(build(name), without).items()])))
    return {tuple(components): titles for components, titles in found}


def _lacking(board: Board, without: frozenset[str]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], dict[str, None]] = {}
    panels = [(panel.body.title, panel.needs) for panel in board.panels if panel.queries]
    links = [*board.links, *(link for panel in board.panels if not panel.needs & without for link in panel.links)]
    for title, needs in [*panels, *((f"link {link.title}", link.needs) for link in links)]:
        if lacking := tuple(sorted(needs & without)):
            found.setdefault(lacking, {})[title] = None
    return {components: list(titles) for components, titles in found.items()}


def _place(kind: str, name: str, without: frozenset[str]) -> Path:
    # Besides this package, the pinned grafanalib decides what comes out.
    here = Path(__file__).parent
    return remember.key(f"{kind}-{name}", [*here.glob("*.py"), here.parent / "requirements.txt"], sorted(without))


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
            legend=query.legend,
        )
        for panel in build(name, without).panels
        for ref, query in with_refs(panel.queries)
    )
