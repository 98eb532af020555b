"""A module whose board cannot be made."""

from dashboards.board import Board

LIMITS = {"warning": 1}


def board() -> Board:
    raise KeyError(LIMITS["critical"])
