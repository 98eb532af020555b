"""Network policies of a cluster of one node, as rules of this machine's packet filter.

The bridge between pods knows none. Here every pod that a policy selects gets a chain of what it may receive and one of
what it may send; what no rule of them allows is dropped. As in other networks, a connection that is there stays, the
node reaches its pods, and a service is a detour: ports and addresses are those of the pods behind it. Unlike there, a
new pod is on its own for as long as it takes to look: half a second.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from standins.control_plane import ControlPlane
from standins.machine import run

TABLE = "ws-policies"

_SANDBOXES = "io.containerd.runtime.v2.task/k8s.io"
_ENDED = ("Succeeded", "Failed")

Object = Mapping[str, Any]
Labels = Mapping[str, str]
Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True)
class Pod:
    """One that has an address of its own."""

    address: str
    namespace: str
    labels: Labels = field(default_factory=dict)
    # Protocol and name of a port -> its number.
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """All that policies are about; `namespaces` are the labels of each."""

    policies: Sequence[Object]
    pods: Sequence[Pod]
    namespaces: Mapping[str, Labels]


def ruleset(seen: Seen) -> str:
    """The rules, for `nft`. The same objects give the same text."""
    chains: list[str] = []
    jumps: dict[Direction, list[str]] = {"Ingress": [], "Egress": []}
    for pod in sorted(seen.pods, key=lambda pod: pod.address):
        for direction, lead in jumps.items():
            if selecting := [policy for policy in seen.policies if _selects(policy, pod, direction)]:
                name = f"{direction.lower()}-{pod.address}"
                chains.append(_chain(name, _allowed(selecting, pod, direction, seen)))
                lead.append(f"{pod.address} : jump {name}")
    sent, received = _by("saddr", jumps["Egress"]), _by("daddr", jumps["Ingress"])
    known = "ct state established,related accept"
    hooks = [
        _chain("forwarded", ["type filter hook forward priority filter - 10;", known, *sent, *received]),
        # To the node itself.
        _chain("received", ["type filter hook input priority filter - 10;", known, *sent]),
    ]
    return f"table inet {TABLE} {{\n" + "\n".join([*chains, *hooks]) + "\n}\n"


def _chain(name: str, rules: Sequence[str]) -> str:
    return f"chain {name} {{\n" + "".join(f"  {rule}\n" for rule in rules) + "}"


def _by(address: str, jumps: Sequence[str]) -> list[str]:
    return [f"ip {address} vmap {{ {', '.join(jumps)} }}"] if jumps else []


def _selects(policy: Object, pod: Pod, direction: Direction) -> bool:
    own = policy["metadata"]["namespace"] == pod.namespace
    return own and direction in policy["spec"]["policyTypes"] and matches(policy["spec"]["podSelector"], pod.labels)


def _allowed(policies: Sequence[Object], pod: Pod, direction: Direction, seen: Seen) -> list[str]:
    """What returns to where the other side is asked too, and then the end of the rest."""
    other = "saddr" if direction == "Ingress" else "daddr"
    rules = [f"ip {other} {pod.address} return"]
    for policy in policies:
        for rule in policy["spec"].get(direction.lower(), ()):
            from_or_to = _incoming if direction == "Ingress" else _outgoing
            rules += [
                f"{match} return".strip() for match in from_or_to(rule, policy["metadata"]["namespace"], pod, seen)
            ]
    return [*dict.fromkeys(rules), "counter drop"]


def _incoming(rule: Object, namespace: str, pod: Pod, seen: Seen) -> Iterator[str]:
    for _, match in _peers(rule.get("from"), namespace, "saddr", seen):
        yield from (f"{match} {port}".strip() for port in _ports(rule.get("ports"), pod))


def _outgoing(rule: Object, namespace: str, _: Pod, seen: Seen) -> Iterator[str]:
    for peer, match in _peers(rule.get("to"), namespace, "daddr", seen):
        yield from (f"{match} {port}".strip() for port in _ports(rule.get("ports"), peer))
    named = [port for port in rule.get("ports", ()) if isinstance(port.get("port"), str)]
    if named and not rule.get("to"):
        for each in seen.pods:
            yield from (f"ip daddr {each.address} {port}" for port in _ports(named, each))


def _peers(
    peers: Sequence[Object] | None, namespace: str, address: str, seen: Seen
) -> Iterator[tuple[Pod | None, str]]:
    """Matches of the other side's address, and the pod that has it, if that is one."""
    if not peers:
        yield None, ""
    for peer in peers or ():
        if block := peer.get("ipBlock"):
            if ":" in block["cidr"]:
                continue  # of the other family, of which pods have no addresses here
            out = [f"ip {address} != {{ {', '.join(block['except'])} }}"] if block.get("except") else []
            yield None, " ".join([f"ip {address} {block['cidr']}", *out])
            continue
        spaces = _spaces(peer.get("namespaceSelector"), namespace, seen)
        for pod in seen.pods:
            if pod.namespace in spaces and matches(peer.get("podSelector", {}), pod.labels):
                yield pod, f"ip {address} {pod.address}"


def _spaces(selector: Object | None, own: str, seen: Seen) -> Collection[str]:
    if selector is None:
        return [own]
    return [name for name, labels in seen.namespaces.items() if matches(selector, labels)]


def _ports(ports: Sequence[Object] | None, receiver: Pod | None) -> Iterator[str]:
    """The matches of ports; a name is the number that it has in the pod that receives."""
    if not ports:
        yield ""
    for each in ports or ():
        protocol, port = each.get("protocol", "TCP"), each.get("port")
        if isinstance(port, str):
            port = receiver.ports.get((protocol, port)) if receiver else None
            if port is None:
                continue
        numbers = f"{port}-{each['endPort']}" if "endPort" in each else port
        yield f"meta l4proto {protocol.lower()}" if port is None else f"{protocol.lower()} dport {numbers}"


def matches(selector: Object, labels: Labels) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    operators: dict[str, Callable[[str, Sequence[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    pairs = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", ())
    return pairs and all(operators[each["operator"]](each["key"], each.get("values", ())) for each in expressions)


# From the cluster to the packet filter.


@dataclass
class Enforcer:
    """`networks` is where the plugin that gives addresses keeps them, `state` the state of containerd."""

    there: ControlPlane
    networks: Path
    state: Path
    loaded: str = ""

    def enforce(self) -> None:
        """Load the rules, if they are not those that are loaded."""
        text = ruleset(self._see())
        if text != self.loaded:
            # In one transaction: there is no moment without rules.
            run("nft", "-f", "-", given=f"table inet {TABLE}\ndelete table inet {TABLE}\n{text}")
            self.loaded = text

    def _see(self) -> Seen:
        # Before the pods: of an address that was given in between, the pod is known.
        given = self._given()
        pods = [_pod(each, given) for each in self._list("/api/v1/pods")]
        spaces = self._list("/api/v1/namespaces")
        return Seen(
            self._list("/apis/networking.k8s.io/v1/networkpolicies"),
            [pod for pod in pods if pod],
            {each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in spaces},
        )

    def _list(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.there.ask("GET", path)["items"]
        return items

    def _given(self) -> dict[str, str]:
        """Uid of a pod -> its address, which the API server learns when its containers have long started."""
        found = {}
        for file in self.networks.glob("*.*.*.*"):
            try:
                sandbox = self.state / _SANDBOXES / file.read_text().split()[0] / "config.json"
                found[json.loads(sandbox.read_text())["annotations"]["io.kubernetes.cri.sandbox-uid"]] = file.name
            except FileNotFoundError:
                # It is gone again, or its first process is not there yet.
                continue
        return found


def _pod(each: Object, given: Mapping[str, str]) -> Pod | None:
    address = each["status"].get("podIP") or given.get(each["metadata"]["uid"])
    if address is None or each["spec"].get("hostNetwork") or each["status"]["phase"] in _ENDED:
        return None
    containers = [*each["spec"]["containers"], *each["spec"].get("initContainers", ())]
    ports = [port for container in containers for port in container.get("ports", ())]
    return Pod(
        address,
        each["metadata"]["namespace"],
        each["metadata"].get("labels", {}),
        {(port.get("protocol", "TCP"), port["name"]): port["containerPort"] for port in ports if "name" in port},
    )
