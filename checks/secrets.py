"""Secrets that come from files are there, and hold something."""

from pathlib import Path

from stacks.plan import Plan


def check(plan: Plan, _tree: Path) -> list[str]:
    return [
        f"watchstack:secrets.{name}.file: {secret.file}: {problem}; write the value there, readable by you alone"
        for name, secret in sorted(plan.settings.secrets.items())
        if secret.file is not None and (problem := _problem(Path(secret.file).expanduser()))
    ]


def _problem(path: Path) -> str | None:
    if not path.is_file():
        return "no such file"
    return None if path.read_text().strip() else "the file is empty"
