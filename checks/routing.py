"""Every alert reaches somebody: its labels must match a route that is not the last resort."""

from pathlib import Path

from rules import Alert
from stacks.plan import Plan
from stacks.service import PLATFORM


def check(plan: Plan, _tree: Path) -> list[str]:
    return [problem for alert in plan.alerts for problem in _problems(plan, alert)]


def _problems(plan: Plan, alert: Alert) -> list[str]:
    if alert.name == "Watchdog":
        return []
    receivers = {profile.system: profile.routing.receivers for profile in plan.profiles}
    receivers[PLATFORM] = plan.profiles[0].routing.receivers
    system, severity = alert.labels.get("system"), alert.labels.get("severity")
    if system not in receivers:
        known = ", ".join(sorted(receivers))
        return [f"{alert.place}: {alert.name} has system {system!r}, which nobody routes; routed: {known}"]
    routed = [receiver.severity for receiver in receivers[system]]
    if severity not in routed:
        known = ", ".join(routed)
        return [f"{alert.place}: {alert.name} has severity {severity!r}, which nobody routes; routed: {known}"]
    return []
