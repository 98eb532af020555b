"""amtool on the routing tree, receivers and templates, in strict matcher mode."""

from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan

_CONFIG = "etc/alertmanager.yml"
_FAILED = "FAILED: "


def check(_plan: Plan, tree: Path) -> list[str]:
    lines = complaints(
        "amtool",
        "check-config",
        "--enable-feature=utf8-strict-mode",
        _CONFIG,
        directory=tree / "alertmanager",
    )
    # Beside the reason amtool prints its mode and what it found to be in order.
    reasons = [f"{_CONFIG}: {line.partition(_FAILED)[2]}" for line in lines if _FAILED in line]
    return reasons or lines
