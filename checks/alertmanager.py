"""amtool on the routing tree, receivers and templates, in strict matcher mode."""

from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan


def check(_plan: Plan, tree: Path) -> list[str]:
    return complaints(
        "amtool",
        "check-config",
        "--enable-feature=utf8-strict-mode",
        "etc/alertmanager.yml",
        directory=tree / "alertmanager",
    )
