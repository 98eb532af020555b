"""Loki's own verification of its configuration."""

from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan
from stacks.units import seconds

_DAY = 24 * 3600


def check(plan: Plan, tree: Path) -> list[str]:
    retention = plan.settings.loki.retention
    if seconds(retention) < _DAY:
        return [f"watchstack:loki.retention: {retention} is too short: Loki deletes by whole days, so at least 24h"]
    return complaints("loki", "-config.file=etc/loki.yml", "-verify-config", directory=tree / "loki")
