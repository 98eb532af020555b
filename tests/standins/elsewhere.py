"""Another machine, as far as its network tells: a network namespace, and a private network of the two."""

import contextlib
import fcntl
import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from standins.machine import MachineFailed, holds, interfaces, run

_LOCK = Path("/run/ws-elsewhere.lock")
_UPLINK = "uplink"


@dataclass(frozen=True)
class Elsewhere:
    """`namespace` is its name, `address` its own in the private network, and `here` that of this machine."""

    namespace: str
    address: str
    here: str

    def command(self, *words: str) -> list[str]:
        """One that has the network of the other machine, and everything else of this one."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *words]


@contextlib.contextmanager
def elsewhere(directory: Path) -> Iterator[Elsewhere]:
    """For the length of a `with`, or as it was left by a process that was killed. The name is that of the directory."""
    name = f"ws-{hashlib.sha256(str(directory.absolute()).encode()).hexdigest()[:8]}"
    _remove(name)
    try:
        yield _wired(name)
    finally:
        _remove(name)


def _wired(name: str) -> Elsewhere:
    """Both ends of the wire up, with addresses chosen before anybody else can choose the same."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        network = _free()
        there = Elsewhere(name, str(network[2]), str(network[1]))
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", _UPLINK, "netns", name)
        run("ip", "address", "add", f"{there.here}/{network.prefixlen}", "dev", name)
    run("ip", "link", "set", name, "up")
    run(*there.command("ip", "address", "add", f"{there.address}/{network.prefixlen}", "dev", _UPLINK))
    for interface in ("lo", _UPLINK):
        run(*there.command("ip", "link", "set", interface, "up"))
    return there


def _free() -> ipaddress.IPv4Network:
    taken = [address for addresses in interfaces().values() for address in addresses]
    for network in ipaddress.IPv4Network("10.251.0.0/16").subnets(new_prefix=30):
        if not any(address in network for address in taken):
            return network
    raise MachineFailed("no free private addresses: every one of 10.251.0.0/16 is used by an interface")


def _remove(name: str) -> None:
    """With the namespace goes the wire, on both ends."""
    if holds("ip", "link", "show", name):
        run("ip", "link", "delete", name)
    if Path("/run/netns", name).exists():
        run("ip", "netns", "delete", name)
