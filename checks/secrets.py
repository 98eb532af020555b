"""Secrets that come from files hold something. That the files are there is asked of who deploys alone."""

from collections.abc import Iterator
from pathlib import Path

from stacks.plan import Plan
from stacks.targets.secrets import held

_REMEDY = "write the value there, readable by you alone"


def check(plan: Plan, _tree: Path) -> list[str]:
    return [f"{key}: the file is empty; {_REMEDY}" for key, text in _files(plan) if text == ""]


def absent(plan: Plan) -> list[str]:
    """The files that an update needs, and this machine does not have. Who reviews has none of them."""
    return [f"{key}: no such file that you may read; {_REMEDY}" for key, text in _files(plan) if text is None]


def warnings(plan: Plan) -> list[str]:
    """What a preview shows as unknown, and an update refuses."""
    return [f"{line}: `up` refuses without it" for line in absent(plan)]


def _files(plan: Plan) -> Iterator[tuple[str, str | None]]:
    """The key and the path of each, with what it holds."""
    for name, secret in sorted(plan.settings.secrets.items()):
        if secret.file is not None:
            yield f"watchstack:secrets.{name}.file: {secret.file}", held(secret.file)
