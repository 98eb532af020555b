"""Every alert reaches somebody: its labels must match a route that is not the last resort."""

from pathlib import Path

from rules import Alert
from stacks import routing
from stacks.plan import Plan
from stacks.strict import Refused


def check(plan: Plan, _tree: Path) -> list[str]:
    return [problem for alert in plan.alerts for problem in _problems(plan, alert)]


def _problems(plan: Plan, alert: Alert) -> list[str]:
    if alert.name == "Watchdog":
        return []
    try:
        receivers = routing.hears(plan.profiles, alert.labels)
    except Refused as refused:
        return [f"{alert.place}: {alert.name} {refused}"]
    if receivers:
        return []
    profile = next((p for p in plan.profiles if p.system == alert.labels["system"]), plan.profiles[0])
    known = ", ".join(route.severity for route in profile.routing.routes if route.severity)
    severity = alert.labels.get("severity")
    return [f"{alert.place}: {alert.name} has severity {severity!r}, which nobody routes; routed: {known}"]
