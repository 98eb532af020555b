"""What runs of an environment, for who looks at it from this machine, whatever its target."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psutil

from stacks.plan import Plan
from stacks.service import SecretFile, Service
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets import not_yet
from stacks.targets.home import home
from stacks.targets.supervisor import Supervisor

if TYPE_CHECKING:
    from docker.models.containers import Container


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process or a container that runs: its id, when it started (seconds since 1970) and its memory in bytes."""

    id: str
    since: float
    memory: int


def reached(plan: Plan) -> Plan:
    """The Plan with every service at the address that this machine reaches it at. Refused where it cannot."""
    match plan.settings.target:
        case "local":
            return plan
        case "docker":
            found: Plan = _engine().reached(plan)
            return found
        case other:
            raise not_yet(other)


def running(plan: Plan) -> Mapping[str, Running]:
    """What runs, by service."""
    if plan.settings.target == "docker":
        return {name: _container(one) for name, one in _engine().running(plan).items() if one.status == "running"}
    pids = Supervisor(home(plan.settings.environment)).programs()
    return {name: _process(psutil.Process(pid)) for name, pid in pids.items()}


@contextmanager
def suspended(plan: Plan, service: str) -> Iterator[None]:
    """It answers nobody for the length of a block: if it ended, it would be started again at once.

    KeyError if it does not run.
    """
    if plan.settings.target == "docker":
        container = _engine().running(plan)[service]
        stop, go_on = container.pause, container.unpause
    else:
        process = psutil.Process(Supervisor(home(plan.settings.environment)).programs()[service])
        stop, go_on = process.suspend, process.resume
    try:
        stop()
        yield
    finally:
        go_on()


def secret(plan: Plan, service: Service, wanted: SecretFile) -> str:
    """What a secret file of a running service holds. Refused if it is not there."""
    if plan.settings.target == "docker":
        text: str | None = _engine().file(plan, service, wanted.path)
    else:
        path = home(plan.settings.environment) / service.name / wanted.path
        text = path.read_text(encoding="utf-8") if path.exists() else None
    if text is None:
        raise Refused(f"{service.name}/{wanted.path}: there is no such file; is the environment up?")
    return text.strip()


def left(settings: Settings) -> list[str]:
    """What is there of an environment that nothing should be of."""
    if settings.target == "docker":
        found: list[str] = _engine().left(settings)
        return found
    place = home(settings.environment)
    pids = [f"process {pid}" for pid in sorted(Supervisor(place).pids())]
    return pids + ([f"directory {place}"] if place.exists() else [])


def _process(process: psutil.Process) -> Running:
    return Running(id=str(process.pid), since=process.create_time(), memory=process.memory_info().rss)


def _container(one: "Container") -> Running:
    since = datetime.fromisoformat(one.attrs["State"]["StartedAt"][:19]).replace(tzinfo=UTC)
    stats: Any = one.stats(stream=False, one_shot=True)
    memory = stats["memory_stats"]
    # The cache of files is the machine's to take back.
    cache = memory.get("stats", {}).get("total_inactive_file", 0)
    return Running(id=one.short_id, since=since.timestamp(), memory=memory.get("usage", 0) - cache)


def _engine() -> ModuleType:
    """Its client is imported by who has an engine."""
    from stacks.targets import engine  # noqa: PLC0415

    return engine
