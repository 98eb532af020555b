"""The ports of a local environment are free, or held by that environment itself."""

import socket
from collections import defaultdict
from pathlib import Path

import psutil

from stacks.plan import Plan
from stacks.service import Port, Service
from stacks.targets.home import home
from stacks.targets.supervisor import Supervisor


def check(plan: Plan, _tree: Path) -> list[str]:
    if plan.ground.target != "local":
        return []
    wanted: dict[int, list[str]] = defaultdict(list)
    for service in plan.services:
        for one in service.ports:
            wanted[_bound(plan, service, one)].append(f"{service.name} {one.name}")
    problems = [
        f"port {port} is asked for by {' and '.join(users)}" for port, users in wanted.items() if len(users) > 1
    ]
    taken = {port for port in wanted if not _free(port)}
    foreign = _holders(taken - _held_by_services(plan))
    own = Supervisor(home(plan.settings.environment)).pids() if foreign else set()
    for port, process in sorted(foreign.items()):
        if process is None or process.pid not in own:
            holder = f"pid {process.pid} ({process.name()})" if process else "a process of another user"
            problems.append(
                f"port {port} ({wanted[port][0]}) is taken by {holder}; end it, or set another "
                f"watchstack:port_offset (now {plan.ground.port_offset})"
            )
    return problems


def _held_by_services(plan: Plan) -> set[int]:
    """The ports of services that run: each holds its own, or it would not run."""
    running = Supervisor(home(plan.settings.environment)).programs()
    services = [service for service in plan.services if service.name in running]
    return {_bound(plan, service, port) for service in services for port in service.ports}


def _bound(plan: Plan, service: Service, port: Port) -> int:
    return plan.ground.replica(service.replica).bind(port.number)


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
    if not ports:
        return {}
    connections = psutil.net_connections("tcp")
    listening = (found for found in connections if found.laddr and found.status == psutil.CONN_LISTEN)
    pids = {found.laddr.port: found.pid for found in listening if found.laddr}
    return {port: psutil.Process(pid) if (pid := pids.get(port)) else None for port in ports}
