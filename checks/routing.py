"""Every alert reaches somebody: its labels must match a route that is not the last resort."""

from collections.abc import Mapping
from pathlib import Path

from rules import Alert
from stacks import routing
from stacks.plan import Plan
from stacks.service import PLATFORM
from stacks.strict import Refused


def check(plan: Plan, _tree: Path) -> list[str]:
    return [problem for alert in plan.alerts for problem in _problems(plan, alert)]


def _problems(plan: Plan, alert: Alert) -> list[str]:
    if alert.name == "Watchdog":
        return []
    return [problem for labels in _possible(plan, alert) if (problem := _problem(plan, alert, labels))]


def _possible(plan: Plan, alert: Alert) -> list[Mapping[str, str]]:
    """The labels that it may have. One on logs has the system of the log: it may be any."""
    if alert.engine == "prometheus" or "system" in alert.labels:
        return [alert.labels]
    return [{**alert.labels, "system": system} for system in (PLATFORM, *(p.system for p in plan.profiles))]


def _problem(plan: Plan, alert: Alert, labels: Mapping[str, str]) -> str | None:
    try:
        receivers = routing.hears(plan.profiles, labels)
    except Refused as refused:
        return f"{alert.place}: {alert.name} {refused}"
    if receivers:
        return None
    profile = next((p for p in plan.profiles if p.system == labels["system"]), plan.profiles[0])
    known = ", ".join(route.severity for route in profile.routing.routes if route.severity)
    severity = labels.get("severity")
    return f"{alert.place}: {alert.name} has severity {severity!r}, which nobody routes; routed: {known}"
