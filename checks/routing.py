"""Every alert reaches somebody by a route of a profile, and every route is there for an alert."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import apps
import rules
from apps import Profile
from apps.routing import Steps
from rules import Alert
from stacks import packs, routes
from stacks.plan import Plan
from stacks.routes import Labels, Node
from stacks.strict import Refused, nearest


def check(plan: Plan, _tree: Path) -> list[str]:
    root = tree(plan)
    problems = [
        *(problem for alert in plan.alerts for problem in _unheard(plan, root, alert)),
        *_twins(plan.alerts),
        *(problem for profile in plan.profiles for problem in _idle(plan, root, profile)),
    ]
    return list(dict.fromkeys(problems))


def tree(plan: Plan) -> Node:
    """The routes of an environment."""
    return routes.tree(plan.profiles, selftest=plan.settings.capture.enabled)


def labelled(plan: Plan, alert: Alert) -> list[Labels]:
    """The labels with which an alert may come."""
    return routes.possible(plan.profiles, {"alertname": alert.name, **alert.labels})


def _unheard(plan: Plan, root: Node, alert: Alert) -> Iterator[str]:
    for labels in labelled(plan, alert) if alert.name != routes.WATCHDOG else ():
        try:
            routes.demand_routed(plan.profiles, labels)
        except Refused as refused:
            yield f"{alert.place}: {alert.name} {refused}"
        else:
            if not any(hop.node.made_of for hop in routes.match(root, labels)):
                yield f"{alert.place}: {alert.name} {_untaken(plan, labels)}"


def _untaken(plan: Plan, labels: Labels) -> str:
    """Why no route takes an alert."""
    profile = next((p for p in plan.profiles if p.system == labels["system"]), plan.profiles[0])
    known = [route.severity for route in profile.routing.routes if route.severity]
    severity = labels.get("severity")
    if known and severity not in known:
        return f"has severity {severity!r}, which nobody routes; routed: {', '.join(dict.fromkeys(known))}"
    told = ", ".join(f"{label}={labels.get(label, '')!r}" for label in ("severity", "component", "team"))
    return f"is taken by no route of apps/{profile.system}.yaml: {told}"


def _twins(alerts: Sequence[Alert]) -> Iterator[str]:
    """Alerts that Alertmanager, and whoever is told, takes for one."""
    first: dict[tuple[object, ...], Alert] = {}
    for alert in alerts:
        twin = first.setdefault((alert.name, *sorted(alert.labels.items())), alert)
        if twin is not alert:
            yield f"{alert.place}: {alert.name} has the name and labels of the alert at {twin.place}; change a label"


def _idle(plan: Plan, root: Node, profile: Profile) -> list[str]:
    """What the routing of a profile has for alerts that are neither in the environment nor among those that ship."""
    alerts = [labels for alert in plan.alerts for labels in labelled(plan, alert)]
    # Packs are read again only where there may be a problem: a profile is also for what this environment leaves out.
    if list(_unmatched(plan, root, profile, alerts)):
        alerts += _shipped(plan, profile)
    where = apps.place(profile.system)
    return [f"{where(('routing', *steps))}: {problem}" for steps, problem in _unmatched(plan, root, profile, alerts)]


def _shipped(plan: Plan, profile: Profile) -> list[Labels]:
    shipped = packs.versions(plan.settings, [profile])
    files = [file for name, major in shipped.items() for file in rules.pack(name, major, {}).files]
    return [{"alertname": alert.name, **alert.labels} for file in files for alert in file.alerts]


def _unmatched(plan: Plan, root: Node, profile: Profile, alerts: Sequence[Labels]) -> Iterator[tuple[Steps, str]]:
    """Routes that take none of the alerts, and names that none of them has."""
    taken = {hop.node.made_of for labels in alerts for hop in routes.match(root, labels)}
    for i, route in enumerate(profile.routing.routes):
        # The platform's alerts go to the first system; a profile cannot know whether it will be that.
        if route.spare or (route.system and profile is not plan.profiles[0]):
            continue
        strange = list(_strange(("routes", i), {"component": route.component, "team": route.team}, alerts))
        if not strange and (profile.system, i) not in taken:
            problem = f"the route to {route.receiver!r} takes no alert; take it out, or say as `spare` why it is there"
            yield ("routes", i), problem
        yield from strange
    for i, inhibition in enumerate(profile.routing.inhibitions):
        for side, which in (("source", inhibition.source), ("target", inhibition.target)):
            named = {"alert": which.alert, "component": which.component, "team": which.team}
            yield from _strange(("inhibitions", i, side), named, alerts)


def _strange(steps: Steps, named: Mapping[str, Sequence[str]], alerts: Sequence[Labels]) -> Iterator[tuple[Steps, str]]:
    """Values of labels, by key of the profile, that no alert has."""
    for key, values in named.items():
        label = "alertname" if key == "alert" else key
        known = sorted({labels[label] for labels in alerts if label in labels}) if values else []
        for value in values:
            if value not in known:
                yield (*steps, key), f"no alert has {label} {value!r}; {nearest(value, known)}"
