"""promtool on the configuration and every rule file, with its linter as strict as it goes."""

import re
from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan

# What promtool prints of files that are in order.
_FINE = re.compile(r"^(Checking |SUCCESS|FAILED:$)")


def check(_plan: Plan, tree: Path) -> list[str]:
    lines = complaints(
        "promtool",
        "check",
        "config",
        "--lint=all",
        "--lint-fatal",
        "etc/prometheus.yml",
        directory=tree / "prometheus",
    )
    return [line.replace("etc/rules/", "rules/") for line in lines if not _FINE.match(line)]
