"""The addresses of a cluster of one node on this machine, and that nothing for them leaves it."""

import contextlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standins.machine import holds, interfaces, run

ADDRESSES = "10.190.0.0/16"
NODE = "10.190.0.1"
PODS = "10.190.1.0/24"
SERVICES = "10.190.128.0/20"
BRIDGE = "ws-pods"

_GATEWAY = "10.190.1.1/24"
_FENCE = "ws-fence"
# Docker lets nothing be forwarded that it does not know.
_FORWARDED = ("FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT")
_BUILT_IN = ("filter", "nat", "mangle", "raw", "security")
# What the kubelet, kube-proxy and the bridge plugin set, and what packets between pods pass the policies by.
_FILTERED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_SYSCTLS = (
    *("kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
    *("vm/overcommit_memory", "vm/panic_on_oom"),
    *("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/all/route_localnet"),
    *("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"),
    *("net/netfilter/nf_conntrack_max", "net/ipv4/vs/conntrack"),
)


@dataclass(frozen=True)
class Before:
    """How this machine was: settings of the kernel, and tables of its packet filter."""

    sysctls: Mapping[str, str]
    tables: tuple[str, ...]

    @classmethod
    def look(cls) -> "Before":
        files = {name: Path("/proc/sys", name) for name in _SYSCTLS}
        return cls({name: file.read_text().strip() for name, file in files.items() if file.exists()}, tuple(_tables()))

    def restore(self) -> None:
        """Everything is taken back that is not as it was; the fence goes last."""
        for name in (*_ports(), BRIDGE):
            if name in interfaces():
                run("ip", "link", "delete", name)
        for table in ("ip kube-proxy", "ip6 kube-proxy", "inet ws-policies"):
            _delete(table)
        if holds("iptables", "-w", "-C", *_FORWARDED):
            run("iptables", "-w", "-D", *_FORWARDED)
        for name, value in self.sysctls.items():
            file = Path("/proc/sys", name)
            if file.read_text().strip() != value:
                file.write_text(value)
        for table in set(_tables()) - set(self.tables):
            if table.split()[1] in _BUILT_IN and _is_empty(table):
                _delete(table)
        if any(str(address) == NODE for address in interfaces()["lo"]):
            run("ip", "address", "delete", f"{NODE}/32", "dev", "lo")
        _delete(f"inet {_FENCE}")


def taken() -> list[str]:
    """Addresses that this machine has, and the cluster wants."""
    here = [address for addresses in interfaces().values() for address in addresses]
    return [str(address) for address in here if address in ipaddress.IPv4Network(ADDRESSES)]


def set_up() -> None:
    """The fence, before there is anything that it keeps."""
    run("nft", "-f", "-", given=_fence())
    run("ip", "address", "add", f"{NODE}/32", "dev", "lo")
    run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    run("ip", "address", "add", _GATEWAY, "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    run("iptables", "-w", "-I", *_FORWARDED)
    # Packets between pods are seen by the packet filter as if they were forwarded.
    _FILTERED.write_text("1")


def _fence() -> str:
    """Neither from pods nor to the cluster's addresses, by any device but its own.

    A service that is unknown, or not known yet, would be looked for elsewhere by the default route, and something there
    may answer. It is asked before the chains of iptables, and what it refuses none of them can accept.
    """
    own = f'{{ "lo", "{BRIDGE}" }}'
    return f"""
        table inet {_FENCE} {{
            chain forwarded {{
                type filter hook forward priority filter - 20;
                ip saddr {ADDRESSES} oifname != {own} counter reject
                ip daddr {ADDRESSES} oifname != {own} counter reject
            }}
            chain sent {{
                type filter hook output priority filter - 20;
                # What a service has led to a pod by now still seems to leave by the default route.
                ip daddr {SERVICES} oifname != {own} counter reject
            }}
            chain leaving {{
                type filter hook postrouting priority filter;
                ip daddr {ADDRESSES} oifname != {own} counter drop
            }}
        }}
    """


def fenced() -> int:
    """How many packets were kept from leaving."""
    listed: list[dict[str, Any]] = json.loads(run("nft", "-j", "list", "table", "inet", _FENCE))["nftables"]
    parts = [part for each in listed for part in each.get("rule", {}).get("expr", ())]
    return sum(int(part["counter"]["packets"]) for part in parts if "counter" in part)


def _ports() -> list[str]:
    """Of the bridge. One goes with its pod, a moment later."""
    with contextlib.suppress(FileNotFoundError):
        return [port.name for port in Path("/sys/class/net", BRIDGE, "brif").iterdir()]
    return []


def _tables() -> Iterator[str]:
    for line in run("nft", "list", "tables").splitlines():
        yield line.removeprefix("table ")


def _delete(table: str) -> None:
    if table in _tables():
        run("nft", "delete", "table", *table.split())


def _is_empty(table: str) -> bool:
    """Only chains of the system, which let everything pass."""
    listed: list[dict[str, Any]] = json.loads(run("nft", "-j", "list", "table", *table.split()))["nftables"]
    chains = [each["chain"] for each in listed if "chain" in each]
    return not any("rule" in each for each in listed) and all(each.get("policy") == "accept" for each in chains)
