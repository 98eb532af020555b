"""docs/environments/<environment>.md: what an environment watches, who hears of what, and what it leaves out."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import rules
from apps.routing import Interval, Receiver, Span, Told
from docs import markdown
from docs.markdown import code, codes, table
from rules import Alert, Threshold
from stacks import inventory, packs, routes, routing
from stacks.changes import Override
from stacks.plan import Plan
from stacks.routes import Node

_INTRODUCTION = """\
Made by `make generate` from `stacks/env/Pulumi.{name}.yaml`, as on a machine that has every product."""

_ROUTES = """\
An alert goes to the first route that it matches, at each level, and on to the next where a route says so. What takes an
alert and has no route inside that does, tells its own receiver."""

_LAST = "{receiver} is the last resort, and hears of what no route knows."


def page(plan: Plan) -> str:
    """The catalogue page of an environment."""
    name = plan.settings.environment
    return markdown.page(
        f"# {name}",
        _INTRODUCTION.format(name=name),
        _facts(plan),
        "## Alerts",
        *_alerts(plan),
        *_section("Changed alerts", ("alert", "change", "because"), _overrides(plan)),
        *_section("Objectives", ("objective", "of", "window", "is"), _objectives(plan)),
        *_section("Receivers", ("receiver", "told by", "secrets"), _receivers(plan)),
        "## Routes",
        _ROUTES,
        _LAST.format(receiver=code(routes.default_receiver(plan.profiles))),
        "\n".join(_routes(plan, _tree(plan))),
        *_section("Times", ("interval", "is"), map(_interval, _intervals(plan))),
        "## Inhibitions",
        "\n".join(_inhibitions(plan)),
        *_section("Left out", ("what", "because"), ([each.what, each.because] for each in plan.left_out)),
    )


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    found = list(rows)
    return [f"## {title}", table(head, found) if found else "None."]


def _facts(plan: Plan) -> str:
    settings = plan.settings
    rows = [
        ["target", code(settings.target)],
        ["lifecycle", code(settings.lifecycle)],
        ["systems", ", ".join(f"[{p.system}](../systems/{p.system}.md) ({p.title})" for p in plan.profiles)],
        ["[dashboards](../dashboards.md)", codes(dashboard.uid for dashboard in plan.dashboards)],
    ]
    return table(("setting", "value"), rows)


def _alerts(plan: Plan) -> list[str]:
    """A table for each system, in the order of the stack file; the platform's last."""
    thresholds = _thresholds(plan)
    by_system: dict[str, list[Alert]] = {}
    for alert in plan.alerts:
        by_system.setdefault(alert.labels.get("system", "any system"), []).append(alert)
    order = [*(profile.system for profile in plan.profiles), *sorted(by_system)]
    head = ("alert", "severity", "for", "threshold", "heard by", "says")
    return [
        part
        for system in dict.fromkeys(order)
        if system in by_system
        for part in (
            f"### {system}",
            table(head, (_alert(plan, alert, thresholds) for alert in by_system[system])),
        )
    ]


def _alert(plan: Plan, alert: Alert, thresholds: Mapping[str, Threshold]) -> list[str]:
    runbook = alert.annotations["runbook_url"].rpartition("/")[2]
    return [
        f"[{alert.name}](../runbooks/{runbook}.md)",
        code(alert.labels["severity"]),
        code(alert.wait),
        _threshold(plan.settings.override.get(alert.address), thresholds.get(alert.address)),
        codes(heard(plan, alert)),
        alert.annotations["summary"],
    ]


def heard(plan: Plan, alert: Alert) -> list[str]:
    """The receivers that hear of an alert, those that are there to tell nobody left out."""
    root, labels = _tree(plan), {"alertname": alert.name, **alert.labels}
    hops = [hop for each in routes.possible(plan.profiles, labels) for hop in routes.match(root, each)]
    return list(dict.fromkeys(hop.node.receiver for hop in hops if hop.node.receiver != routes.DELIVERED))


def _thresholds(plan: Plan) -> dict[str, Threshold]:
    versions = packs.versions(plan.settings, plan.profiles)
    return {
        f"{name}/{alert}": threshold
        for name, major in versions.items()
        for alert, threshold in rules.manifest(rules.DIRECTORY / name / major).thresholds.items()
    }


def _threshold(override: Override | None, threshold: Threshold | None) -> str:
    if threshold is None:
        return ""
    changed = override.threshold if override else None
    return f"{threshold.value if changed is None else changed:g} {threshold.unit}"


def _overrides(plan: Plan) -> Iterator[list[str]]:
    for address, override in sorted(plan.settings.override.items()):
        changes = override.model_dump(by_alias=True, exclude={"because", "seen"}, exclude_defaults=True)
        yield [
            code(address),
            ", ".join(f"{key} {code(_plain(value))}" for key, value in changes.items()),
            override.because,
        ]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _objectives(plan: Plan) -> list[list[str]]:
    return [
        [code(each.slo), f"{each.objective:.4g}", code(each.window), each.description]
        for profile in plan.profiles
        for each in profile.objectives
    ]


def _receivers(plan: Plan) -> list[list[str]]:
    told = {receiver.name: receiver for profile in plan.profiles for receiver in profile.routing.receivers}
    to = inventory.reach(plan.settings, plan.ground, inventory.simulated(plan.settings, plan.profiles))
    return [
        [code(name), ", ".join(_ways(receiver)), codes(sorted(routing.secrets_of(receiver, to)))]
        for name, receiver in told.items()
    ]


def _ways(receiver: Receiver) -> list[str]:
    ways = {way: getattr(receiver, way) for way in Told.model_fields}
    return [way if how.resolved else f"{way}, but not when it is over" for way, how in ways.items() if how]


def _tree(plan: Plan) -> Node:
    return routes.tree(plan.profiles, selftest=False)


def _routes(plan: Plan, node: Node, depth: int = 0) -> list[str]:
    """The tree below a node, as a list."""
    return [
        line
        for child in node.children
        for line in (f"{'  ' * depth}- {_node(plan, child)}", *_routes(plan, child, depth + 1))
    ]


def _node(plan: Plan, node: Node) -> str:
    matched = codes(str(matcher) for matcher in node.matchers) or "everything"
    told = "nobody: it has been told" if node.receiver == routes.DELIVERED else code(node.receiver)
    more = [f"{key} {code(value)}" for key, value in sorted(node.settings.items()) if isinstance(value, str)]
    more += [f"{key} {codes(value)}" for key, value in sorted(node.settings.items()) if isinstance(value, list)]
    return f"{matched}: {'; '.join([told, *more, *(['and on'] if node.goes_on else []), *_spare(plan, node)])}"


def _spare(plan: Plan, node: Node) -> list[str]:
    if node.made_of is None:
        return []
    system, position = node.made_of
    profile = next(profile for profile in plan.profiles if profile.system == system)
    reason = profile.routing.routes[position].spare
    return [reason] if reason else []


def _intervals(plan: Plan) -> list[Interval]:
    return [interval for profile in plan.profiles for interval in profile.routing.intervals]


def _interval(interval: Interval) -> list[str]:
    return [code(interval.name), "; or ".join(map(_span, interval.spans))]


def _span(span: Span) -> str:
    parts = [*([codes(span.weekdays)] if span.weekdays else []), *([codes(span.months)] if span.months else [])]
    parts += [codes(span.times)] if span.times else []
    return f"{', '.join(parts)} ({span.location})"


def _inhibitions(plan: Plan) -> list[str]:
    """A list, not a table: a bar in a table cannot be shown as it is."""
    made: Any = routing.inhibit_rules(plan.profiles)
    # That tests silence nobody holds for all of them.
    sources = {rule["name"]: [one for one in rule["source_matchers"] if one != routing.REAL] for rule in made}
    reasons = {each.name: f"; {each.because}" for p in plan.profiles for each in p.routing.inhibitions}
    return [
        f"- {code(rule['name'])}: while {codes(sources[rule['name']])} fires, nobody is told of "
        f"{codes(rule['target_matchers'])} with the same {codes(rule['equal'])}{reasons.get(rule['name'], '')}"
        for rule in made
    ]
