"""docs/dashboards.md: every dashboard and every panel."""

import dashboards
from dashboards import Board
from dashboards.board import Panel
from dashboards.changes import digest
from docs import markdown
from docs.markdown import code, codes, table

_INTRODUCTION = """\
Made by `make generate` from the modules below `dashboards/`.

A dashboard or panel is deployed where everything that it needs runs; `./watchstack check` names those that an
environment leaves out. Choose dashboards, leave out or replace a panel, and add your own with
[`watchstack:dashboards`](settings.md#dashboards); the address of a panel is the dashboard and the panel, as
`boss-workflow/http-error-rate`, and `seen` is what a change asks for."""


def page() -> str:
    """The catalogue of dashboards."""
    boards = [dashboards.build(name) for name in dashboards.names()]
    return markdown.page("# Dashboards", _INTRODUCTION, *(part for board in boards for part in _board(board)))


def _board(board: Board) -> list[str]:
    needs = f" Needs {codes(sorted(board.needs))}." if board.needs else ""
    rows = [_row(panel) for panel in board.panels if panel.kind != "row"]
    return [
        f"## {board.uid}",
        f"*{board.title}*: {board.description}{needs}",
        table(("panel", "kind", "unit", "needs", "seen", "shows"), rows),
    ]


def _row(panel: Panel) -> list[str]:
    shows = " ".join(filter(None, [panel.description, panel.empty_when]))
    return [code(panel.name), panel.kind, panel.unit, codes(sorted(panel.needs)), code(digest(panel)), shows]
