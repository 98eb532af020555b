"""What runs of an environment, for who looks at it from this machine, whatever its target."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psutil

from stacks.plan import Plan
from stacks.service import SecretFile, Service
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets import directory
from stacks.targets.home import home
from stacks.targets.supervisor import Supervisor

if TYPE_CHECKING:
    from docker.models.containers import Container


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process, container or pod that runs: its id, when it started (seconds since 1970), and its memory in bytes.

    None where the cluster does not say how much.
    """

    id: str
    since: float
    memory: int | None


def reached(plan: Plan) -> Plan:
    """The Plan with every service at the address that this machine reaches it at. Refused where it cannot."""
    if plan.settings.target == "local":
        return plan
    found: Plan = _client(plan.settings).reached(plan)
    return found


def settled(plan: Plan) -> None:
    """Wait until what is edited is in force. Refused where it will not be. Elsewhere than in a cluster, `up` waits."""
    if plan.settings.target == "kubernetes":
        _client(plan.settings).settle(plan)


def running(plan: Plan) -> Mapping[str, Running]:
    """What runs, by service."""
    match plan.settings.target:
        case "docker":
            there = _client(plan.settings).running(plan)
            up = {name: one for name, one in there.items() if one.status == "running"}
            # An engine takes a second to say what one uses, however many are asked for at once.
            with ThreadPoolExecutor() as pool:
                return dict(zip(up, pool.map(_container, up.values()), strict=True))
        case "kubernetes":
            pods, memory = _client(plan.settings).used(plan)
            return {name: _pod(one, memory) for name, one in pods.items()}
        case "local":
            pids = Supervisor(home(plan.settings.environment)).programs()
            return {name: _process(psutil.Process(pid)) for name, pid in pids.items()}


def suspended(plan: Plan, service: str) -> AbstractContextManager[None]:
    """It answers nobody for the length of a block: if it ended, it would be started again at once.

    KeyError if it does not run.
    """
    if plan.settings.target == "kubernetes":
        gone: AbstractContextManager[None] = _client(plan.settings).suspended(plan, service)
        return gone
    if plan.settings.target == "docker":
        container = _client(plan.settings).running(plan)[service]
        return _held(container.pause, container.unpause)
    process = psutil.Process(Supervisor(home(plan.settings.environment)).programs()[service])
    return _held(process.suspend, process.resume)


@contextmanager
def _held(stop: Any, go_on: Any) -> Iterator[None]:
    try:
        stop()
        yield
    finally:
        go_on()


def secret(plan: Plan, service: Service, wanted: SecretFile) -> str:
    """What a secret file of a running service holds. Refused if it is not there."""
    if plan.settings.target == "docker":
        text: str | None = _client(plan.settings).file(plan, service, wanted.path)
    elif plan.settings.target == "kubernetes":
        text = _client(plan.settings).secret(plan, service, wanted)
    else:
        path = home(plan.settings.environment) / service.name / wanted.path
        text = path.read_text(encoding="utf-8") if path.exists() else None
    if text is None:
        raise Refused(f"{service.name}/{wanted.path}: there is no such file; is the environment up?")
    return text.strip()


def files(plan: Plan, service: Service, paths: Sequence[str]) -> dict[str, str] | None:
    """The texts of these files of a running service, as far as they are there; on this machine also of any other.

    None in a cluster, whose objects hold the files and are compared as resources.
    """
    if plan.settings.target == "kubernetes":
        return None
    if plan.settings.target == "docker":
        found = {path: _client(plan.settings).file(plan, service, path) for path in paths}
        return {path: text for path, text in found.items() if text is not None}
    there = home(plan.settings.environment) / service.name
    own = {path: (there / path).read_text() for path in paths if (there / path).is_file()}
    return {**directory.configured(there), **own}


def left(settings: Settings) -> list[str]:
    """What is there of an environment that nothing should be of."""
    if settings.target != "local":
        found: list[str] = _client(settings).left(settings)
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


def _pod(one: Any, memory: Mapping[str, int]) -> Running:
    name = one.metadata.name
    return Running(id=name, since=one.status.start_time.timestamp(), memory=memory.get(name))


def _client(settings: Settings) -> ModuleType:
    """Each is imported by who has an engine or a cluster to ask."""
    if settings.target == "docker":
        from stacks.targets import engine  # noqa: PLC0415

        return engine
    from stacks.targets import cluster  # noqa: PLC0415

    return cluster
