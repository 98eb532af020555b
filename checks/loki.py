"""Loki's own verification of its configuration, and lokitool on every file of its rules."""

import json
import re
from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan
from stacks.services import loki
from stacks.units import seconds

_DAY = 24 * 3600

# In a line of lokitool's log. What it prints besides is that it has refused.
_REASON = re.compile(r'level=error .* error=("(?:[^"\\]|\\.)*")')
# The alert that a reason names: where its expression, or one of its templates, does not parse.
_NAMED = re.compile(r"for alert '([^']+)' in group '[^']+'|__alert_(\w+)")


def check(plan: Plan, tree: Path) -> list[str]:
    retention = plan.settings.loki.retention
    if seconds(retention) < _DAY:
        return [f"watchstack:loki.retention: {retention} is too short: Loki deletes by whole days, so at least 24h"]
    directory = tree / loki.NAME
    problems = complaints("loki", "-config.file=etc/loki.yml", "-verify-config", directory=directory)
    # It stops at the first problem, so each file has a run of its own.
    for file in sorted(directory.glob(f"{loki.RULES}/*")):
        problems += _of_rules(plan, str(file.relative_to(directory)), directory)
    return problems


def _of_rules(plan: Plan, file: str, directory: Path) -> list[str]:
    lines = complaints("lokitool", "rules", "check", file, directory=directory)
    reasons = [json.loads(found[1]) for line in lines if (found := _REASON.search(line))]
    return [_placed(plan, file, reason) for reason in reasons] or lines


def _placed(plan: Plan, file: str, reason: str) -> str:
    """What lokitool says, with file and line where the alert is written."""
    named = {name for found in _NAMED.findall(reason) for name in found if name}
    places = [alert.place for alert in plan.alerts if alert.engine == "loki" and alert.name in named]
    return f"{places[0] if places else file}: {reason}"
