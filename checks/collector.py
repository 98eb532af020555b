"""The collector's own validation: components, settings and pipelines."""

from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan
from stacks.services import collector


def check(plan: Plan, tree: Path) -> list[str]:
    return [problem for one in plan.replicas(collector.NAME) for problem in _complaints(tree / one.name)]


def _complaints(directory: Path) -> list[str]:
    return complaints("otelcol", "validate", "--config=file:etc/collector.yml", directory=directory)
