"""The tree of Alertmanager's routes that the profiles make, and which of them take an alert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apps import Profile
from apps.routing import Route
from stacks.service import PLATFORM
from stacks.strict import Refused
from stacks.units import seconds

HEARTBEAT = "heartbeat"
SELFTEST = "selftest"
SELFTEST_LABEL = "watchstack_selftest"
# On test notifications of ./watchstack fire.
DRILL_LABEL = "watchstack_drill"
# A receiver that tells nobody, for alerts that another route has delivered.
DELIVERED = "delivered"
WATCHDOG = "Watchdog"

_BEAT = {"group_wait": "0s", "group_interval": "30s", "repeat_interval": "1m"}
_USUAL = {
    "group_by": ["system", "alertname"],
    "group_wait": "30s",
    "group_interval": "5m",
    "repeat_interval": "4h",
}

Labels = Mapping[str, str]
Config = dict[str, object]


@dataclass(frozen=True)
class Matcher:
    """Takes alerts whose label has one of the values, or, with `others`, any but these. No label is an empty one."""

    label: str
    values: tuple[str, ...]
    others: bool = False

    def takes(self, labels: Labels) -> bool:
        return (labels.get(self.label, "") in self.values) != self.others

    def __str__(self) -> str:
        sign = ("!=" if self.others else "=") if len(self.values) == 1 else ("!~" if self.others else "=~")
        return f'{self.label}{sign}"{"|".join(self.values)}"'


@dataclass(frozen=True, kw_only=True)
class Node:
    """A route of Alertmanager. `made_of`: the system in whose profile it stands, and its position there."""

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    goes_on: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    children: tuple["Node", ...] = ()
    made_of: tuple[str, int] | None = None


@dataclass(frozen=True)
class Hop:
    """A node that takes an alert, and the way to it: the position at each level of the tree."""

    path: tuple[int, ...]
    node: Node


def tree(profiles: Sequence[Profile], *, selftest: bool) -> Node:
    """Who hears of the alerts of these systems; those of the platform go where the first system's go."""
    default = default_receiver(profiles)
    shared = [_everything(profile, i) for profile in profiles for i in _positions(profile, everything=True)]
    return Node(
        receiver=default,
        settings=_USUAL,
        children=(
            *([_selftest()] if selftest else []),
            *shared,
            Node(receiver=HEARTBEAT, matchers=(Matcher("alertname", (WATCHDOG,)),), settings=_BEAT),
            *(_system(profile, default, also_platform=profile is profiles[0]) for profile in profiles),
        ),
    )


def match(node: Node, labels: Labels, path: tuple[int, ...] = ()) -> list[Hop]:
    """The nodes that take an alert, as Alertmanager finds them: into each child that matches, until one does not go on.

    A node whose children do not take an alert takes it itself.
    """
    if not all(matcher.takes(labels) for matcher in node.matchers):
        return []
    found: list[Hop] = []
    for i, child in enumerate(node.children):
        inside = match(child, labels, (*path, i))
        found += inside
        if inside and not child.goes_on:
            break
    return found or [Hop(path, node)]


def hears(profiles: Sequence[Profile], labels: Labels) -> list[str]:
    """The receivers that an alert with these labels reaches by a route of a profile, and not as the last resort.

    Refused if its system is none of the profiles'.
    """
    demand_routed(profiles, labels)
    return [hop.node.receiver for hop in match(tree(profiles, selftest=False), labels) if hop.node.made_of]


def slowest(profiles: Sequence[Profile], labels: Labels) -> float:
    """Seconds until the last of those who hear of such an alert is told, also where its group is there already."""
    root = tree(profiles, selftest=False)
    waits = [_waits(root, hop.path, key) for hop in match(root, labels) for key in ("group_wait", "group_interval")]
    return max(map(seconds, waits))


def _waits(node: Node, path: Sequence[int], key: str) -> str:
    """A setting of the route at this path, its own or the one of the nearest above it."""
    found = str(node.settings.get(key, ""))
    for step in path:
        node = node.children[step]
        found = str(node.settings.get(key, found))
    return found


def demand_routed(profiles: Sequence[Profile], labels: Labels) -> None:
    """Refused if the system of an alert is none of the profiles'."""
    systems = sorted({PLATFORM, *(profile.system for profile in profiles)})
    if (system := labels.get("system", "")) not in systems:
        raise Refused(f"has system {system!r}, which nobody routes; routed: {', '.join(systems)}")


def possible(profiles: Sequence[Profile], labels: Labels) -> list[Labels]:
    """The labels with which an alert may come: where its series or log lines say the system, any that there is."""
    systems = (PLATFORM, *(profile.system for profile in profiles))
    return [labels] if "system" in labels else [{**labels, "system": system} for system in systems]


def default_receiver(profiles: Sequence[Profile]) -> str:
    """The last resort: who is told of what no route knows."""
    return f"{profiles[0].system}-default"


def shortest_interval(profiles: Sequence[Profile]) -> float:
    """Seconds between two notifications of the group that has them most often."""
    own = [profile.routing.group_interval for profile in profiles]
    own += [route.group_interval or _BEAT["group_interval"] for p in profiles for route in p.routing.routes]
    return min(map(seconds, (_BEAT["group_interval"], *own)))


def nodes(node: Node) -> list[Node]:
    """A node, and all below it."""
    return [node, *(below for child in node.children for below in nodes(child))]


def render(node: Node) -> Config:
    """The node as Alertmanager reads it."""
    own: Config = {"receiver": node.receiver, **node.settings}
    if node.matchers:
        own["matchers"] = [str(matcher) for matcher in node.matchers]
    if node.goes_on:
        own["continue"] = True
    if node.children:
        own["routes"] = [render(child) for child in node.children]
    return own


def _positions(profile: Profile, *, everything: bool) -> list[int]:
    return [i for i, route in enumerate(profile.routing.routes) if route.everything is everything]


def _selftest() -> Node:
    return Node(
        receiver=SELFTEST,
        matchers=(Matcher(SELFTEST_LABEL, ("",), others=True),),
        settings={"group_by": [SELFTEST_LABEL], "group_wait": "0s", "group_interval": "5s"},
    )


def _everything(profile: Profile, position: int) -> Node:
    """Before all others: every alert of every system. The Watchdog comes often enough to be missed."""
    route, place = profile.routing.routes[position], (profile.system, position)
    watchdog = Matcher("alertname", (WATCHDOG,))
    beat = Node(receiver=route.receiver, matchers=(watchdog,), settings=_BEAT, made_of=place)
    return _node(route, place, (beat,))


def _system(profile: Profile, default: str, *, also_platform: bool) -> Node:
    routing = profile.routing
    systems = (profile.system, PLATFORM) if also_platform else (profile.system,)
    delivered = any(route.everything for route in routing.routes)
    return Node(
        receiver=DELIVERED if delivered else default,
        matchers=(Matcher("system", systems),),
        settings={
            "group_by": list(routing.group_by),
            "group_wait": routing.group_wait,
            "group_interval": routing.group_interval,
            "repeat_interval": routing.repeat_interval,
        },
        children=tuple(_node(routing.routes[i], (profile.system, i)) for i in _positions(profile, everything=False)),
    )


def _node(route: Route, place: tuple[str, int], children: tuple[Node, ...] = ()) -> Node:
    matched = {
        "severity": (route.severity,) if route.severity else (),
        "component": route.component,
        "team": route.team,
        "system": (route.system,) if route.system else (),
    }
    settings = {
        "group_by": list(route.group_by or ()),
        "group_wait": route.group_wait,
        "group_interval": route.group_interval,
        "repeat_interval": route.repeat_interval,
        "mute_time_intervals": list(route.mute_during),
        "active_time_intervals": list(route.active_during),
    }
    return Node(
        receiver=route.receiver,
        matchers=tuple(Matcher(label, values) for label, values in matched.items() if values),
        goes_on=route.goes_on,
        settings={key: value for key, value in settings.items() if value},
        children=children,
        made_of=place,
    )
