"""The ports of a local environment are free, or held by that environment itself."""

import socket
from collections import defaultdict
from pathlib import Path

import psutil

from stacks.plan import Plan
from stacks.targets.home import home
from stacks.targets.supervisor import Supervisor


def check(plan: Plan, _tree: Path) -> list[str]:
    wanted: dict[int, list[str]] = defaultdict(list)
    for service in plan.services:
        for one in service.ports:
            wanted[plan.ground.bind(one.number)].append(f"{service.name} {one.name}")
    problems = [
        f"port {port} is asked for by {' and '.join(users)}" for port, users in wanted.items() if len(users) > 1
    ]
    taken = {port for port in wanted if plan.settings.target == "local" and not _free(port)}
    own = Supervisor(home(plan.settings.environment)).pids() if taken else set()
    for port, process in sorted(_holders(taken).items()):
        if process is None or process.pid not in own:
            holder = f"pid {process.pid} ({process.name()})" if process else "a process of another user"
            problems.append(
                f"port {port} ({wanted[port][0]}) is taken by {holder}; end it, or set another watchstack:port_offset "
                f"(now {plan.ground.port_offset})"
            )
    return problems


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection in TIME_WAIT does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holders(ports: set[int]) -> dict[int, psutil.Process | None]:
    found: dict[int, psutil.Process | None] = dict.fromkeys(ports)
    if not ports:
        return found
    for connection in psutil.net_connections("tcp"):
        port = connection.laddr.port if connection.laddr else None
        if port in ports and connection.status == psutil.CONN_LISTEN and connection.pid:
            found[port] = psutil.Process(connection.pid)
    return found
