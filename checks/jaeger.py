"""Jaeger's own validation: components, settings and pipelines."""

import re
from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan

# Jaeger logs its version, and what it refuses a second time.
_LOGGED = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")


def check(_plan: Plan, tree: Path) -> list[str]:
    lines = complaints("jaeger", "validate", "--config=file:etc/jaeger.yml", directory=tree / "jaeger")
    return list(dict.fromkeys(line for line in lines if not _LOGGED.match(line)))
