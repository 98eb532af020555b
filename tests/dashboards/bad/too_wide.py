"""A panel wider than the grid, without a unit, beside one of the same title."""

from dashboards.board import Board, Query
from dashboards.panels import timeseries


def board() -> Board:
    return Board(
        uid="too-wide",
        title="Too wide",
        description="Nothing that fits.",
        tags=(),
        links=(),
        panels=(
            timeseries("Requests", Query(expr="up", legend="up"), unit="", description="Requests.", width=30),
            timeseries("Requests", Query(expr="up", legend="up"), unit="short", description="Requests."),
        ),
    )
