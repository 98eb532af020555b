"""`./watchstack status`: what runs, where, in which version."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import httpx
import typer
from rich.table import Table

from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals, say_pace, waiting
from stacks.plan import Plan
from stacks.service import Service
from stacks.targets import live
from stacks.targets.live import Running
from toolchain import programs
from toolchain.versions import table


@dataclass(frozen=True, kw_only=True)
class State:
    service: str
    ready: bool
    url: str
    page: bool
    version: str
    id: str | None
    up_seconds: int | None
    resident_mb: int | None


def status(environment: Environment = "local", config: Config = None, json: AsJson = False) -> None:
    """Show each service with its URL, version, process or container, and memory. Exit 1 if one is not ready."""
    with refusals(as_json=json), waiting("asking the services", quiet=json):
        planned = make_plan(environment, config)
        live.settled(planned)
        made = live.reached(planned)
    with waiting("asking the services", quiet=json), ThreadPoolExecutor() as pool:
        running = live.running(made)
        states = list(pool.map(lambda service: _state(made, service, running.get(service.name)), made.services))
    if json:
        left_out = [asdict(left_out) for left_out in made.left_out]
        services = [asdict(state) for state in states]
        about = {"environment": environment, "fast_forward": made.settings.fast_forward}
        answer({**about, "services": services, "left_out": left_out})
    else:
        _print(made, states)
    if not all(state.ready for state in states):
        raise typer.Exit(1)


def _state(plan: Plan, service: Service, running: Running | None) -> State:
    return State(
        service=service.name,
        ready=_answers(plan.url(service, service.ready)),
        url=plan.url(service, service.page or service.metrics or service.ready),
        page=service.page is not None,
        version=_version(plan, service),
        id=running.id if running else None,
        up_seconds=int(time.time() - running.since) if running else None,
        resident_mb=running.memory >> 20 if running and running.memory is not None else None,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, follow_redirects=True).is_success
    except httpx.HTTPError:
        return False


def _version(plan: Plan, service: Service) -> str:
    if service.product == "python":
        return "watchstack"
    if plan.ground.contained:
        return table()[service.product].version
    found = programs.find(service.product)
    return found.version if isinstance(found, programs.Installed) else "-"


def _print(plan: Plan, states: list[State]) -> None:
    table = Table("service", "state", "URL", "version", "id", "up", "memory", title=plan.settings.environment)
    for state in states:
        table.add_row(
            state.service,
            "[green]ready" if state.ready else "[red]down",
            state.url,
            state.version,
            state.id or "-",
            "-" if state.up_seconds is None else f"{state.up_seconds} s",
            "-" if state.resident_mb is None else f"{state.resident_mb} MB",
        )
    for service in plan.absent:
        table.add_row(service.name, "[yellow]absent", "-", "-", "-", "-", "-")
    console.print(table)
    say_pace(plan)
    for left_out in plan.left_out:
        console.print(f"[dim]left out: {left_out.what}: {left_out.because}", soft_wrap=True, markup=True)
