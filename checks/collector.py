"""The collector's own validation: components, settings and pipelines."""

from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan


def check(_plan: Plan, tree: Path) -> list[str]:
    return complaints("otelcol", "validate", "--config=file:etc/collector.yml", directory=tree / "otel-collector")
