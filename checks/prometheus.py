"""promtool on the configuration and every rule file, with its linter as strict as it goes."""

import re
from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan

# What promtool prints of files that are in order.
_FINE = re.compile(r"^(Checking |SUCCESS|FAILED:$)")


# In a rule file. Line and column are those of the rendered file, which with an override is not the one that is written.
_OF_A_RULE = re.compile(r'^(rules/\S+): \d+:\d+: group "[^"]*", rule \d+, "([^"]+)": (.*)$')


def check(plan: Plan, tree: Path) -> list[str]:
    lines = complaints(
        "promtool",
        "check",
        "config",
        "--lint=all",
        "--lint-fatal",
        "etc/prometheus.yml",
        directory=tree / "prometheus",
    )
    return [_placed(plan, line.replace("etc/rules/", "rules/")) for line in lines if not _FINE.match(line)]


def _placed(plan: Plan, line: str) -> str:
    """What promtool says of an alert, with file and line where the alert is written."""
    if found := _OF_A_RULE.match(line):
        file, name, problem = found.groups()
        places = [alert.place for alert in plan.alerts if alert.name == name and f"rules/{alert.file}" == file]
        return f"{' or '.join(places)}: {name}: {problem}" if places else line
    return line
