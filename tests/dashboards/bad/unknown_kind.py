"""A panel of a kind that is no more, and one that asks nothing."""

from typing import Any

from dashboards.board import Board, Panel, Query

OLD: Any = "graph"


def board() -> Board:
    return Board(
        uid="unknown-kind",
        title="Unknown kind",
        description="Nothing that is known.",
        tags=(),
        links=(),
        panels=(
            Panel(kind=OLD, title="Requests", description="Requests.", unit="short", queries=(Query(expr="up"),)),
            Panel(kind="stat", title="Errors", description="Errors.", unit="short"),
        ),
    )
