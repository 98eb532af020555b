"""A module that makes something else."""


def board() -> dict[str, str]:
    return {"title": "Not a board"}
