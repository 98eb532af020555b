"""What Docker Engines say of an environment: its containers, where they are, and what is left of it."""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume

from stacks.plan import Plan
from stacks.service import ENVIRONMENT, Service
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets import containers
from stacks.targets.containers import PART, RETRY
from toolchain.interrupted import Known

_SECONDS = 20
_LINES = 8
_KEY = "watchstack:docker.engine"
# Where no image has anything.
_LOOK = "/watchstack-volume"
_Filters = dict[str, str | list[str] | bool]


def connect(settings: Settings, machine: str = "", seconds: int = _SECONDS) -> docker.DockerClient:
    """A client of the engine of a machine, without a name of the first. Refused if it does not answer in time."""
    key = f"watchstack:docker.hosts.{machine}.engine" if machine else _KEY
    return _client(settings.docker.engines[machine], key, seconds)


def connected(settings: Settings, seconds: int = _SECONDS) -> dict[str, docker.DockerClient]:
    """A client of each engine of an environment, by machine."""
    return {machine: connect(settings, machine, seconds) for machine in settings.docker.engines}


def _client(named: str | None, key: str = _KEY, seconds: int = _SECONDS) -> docker.DockerClient:
    try:
        if named:
            client = docker.DockerClient(base_url=named, timeout=seconds, use_ssh_client=named.startswith("ssh://"))
        else:
            client = docker.from_env(timeout=seconds)
        client.ping()
    except (DockerException, OSError) as problem:
        place = named or "the engine of DOCKER_HOST, or else of this machine,"
        instead = (
            "use `-c watchstack:target=local`, which needs none" if key == _KEY else "take the machine out of `hosts`"
        )
        raise Refused(f"{key}: {place} does not answer: {problem}; start it, name another, or {instead}") from None
    return client


def found(plan: Plan) -> dict[str, Container]:
    """The containers of an environment by name, those that have ended among them."""
    environment, clients = plan.settings.environment, connected(plan.settings).values()
    return {str(one.name): one for client in clients for one in _all(client, environment)}


def running(plan: Plan) -> dict[str, Container]:
    """The containers of the services of an environment, by service; of other machines, of those that answer."""
    there = _running(plan, "")
    for machine in plan.settings.docker.hosts:
        with suppress(Refused):
            there |= _running(plan, machine)
    return there


def _running(plan: Plan, machine: str) -> dict[str, Container]:
    environment = plan.settings.environment
    there = {str(one.name): one for one in _all(connect(plan.settings, machine), environment)}
    names = {one.name: containers.name(environment, one.name) for one in containers.of_machine(plan, machine)}
    return {service: there[name] for service, name in names.items() if name in there}


def demand(plan: Plan) -> None:
    """Refused if a name or a published port of the environment is somebody else's on one of its engines."""
    clients = connected(plan.settings).items()
    problems = [
        f"host {machine}: {problem}" if machine else problem
        for machine, client in clients
        for problem in _taken(plan, machine, client)
    ]
    if problems:
        raise Refused("\n".join(sorted(problems)))


def _taken(plan: Plan, machine: str, client: docker.DockerClient) -> list[str]:
    environment, needed = plan.settings.environment, containers.names(plan, machine)
    # Without a look at each: there may be many, and most are our own.
    everything = client.containers.list(all=True, sparse=True)
    named = [("container", _listed(one), one.attrs["Labels"]) for one in everything]
    named += [("volume", str(one.name), one.attrs.get("Labels") or {}) for one in client.volumes.list()]
    named += [("network", str(one.name), one.attrs.get("Labels") or {}) for one in client.networks.list()]
    problems = [
        f"{kind} {name} is {_whose(labels)}, and environment {environment} needs the name; "
        f"remove it with `docker {kind} rm {name}`, or rename this environment"
        for kind, name, labels in named
        if name in needed[kind] and labels.get(ENVIRONMENT) != environment
    ]
    others = [one for one in everything if one.attrs["Labels"].get(ENVIRONMENT) != environment]
    taken = dict(pair for one in others for pair in _published(one))
    problems += [
        f"port {opening.port} ({service.name}) is published by container {taken[opening.port]}; end it, or set another "
        f"watchstack:port_offset (now {plan.ground.port_offset})"
        for service in containers.of_machine(plan, machine)
        for opening in plan.openings(service)
        if opening.port in taken
    ]
    return problems


def remove_unknown(environment: str, known: Known, since: datetime | None) -> list[str]:
    """Remove what runs that did not end well have left half made, or half removed; returns what it was.

    Only what has the environment's label, is not in its state, and was made by those runs: since then, or by a name
    that they had begun with. Volumes have no true age: of them, those go that have nothing in them.
    """
    return [one for host in known.hosts for one in _remove_from(_client(host), environment, known, since)]


def _remove_from(client: docker.DockerClient, environment: str, known: Known, since: datetime | None) -> list[str]:
    label = _label(environment)
    made: list[Container | Network] = [
        *client.containers.list(all=True, filters=label),
        *client.networks.list(filters=label),
    ]
    gone = [
        one for one in made if one.id in known.unfinished or (one.id not in known.ids and _begun(one, known, since))
    ]
    for one in gone:
        _remove(one)
    # Only now: what is half made may have them mounted.
    empty = [one for one in client.volumes.list(filters=label) if one.id not in known.ids and _empty(client, one)]
    for volume in empty:
        _remove(volume)
    return [_called(one) for one in [*gone, *empty]]


def _remove(one: Container | Network | Volume) -> None:
    """That it is gone already is as good: the provider may be at it still."""
    try:
        if isinstance(one, Container):
            one.stop(timeout=_SECONDS)
            one.remove(force=True, v=True)
        else:
            one.remove()
    except NotFound:
        return
    except APIError as problem:
        raise Refused(f"{_called(one)} was not finished, and cannot be removed: {problem.explanation}") from None


def _called(one: Container | Network | Volume) -> str:
    return f"{type(one).__name__.lower()} {one.name}"


def _begun(one: Container | Network, known: Known, since: datetime | None) -> bool:
    made = datetime.fromisoformat(one.attrs["Created"])
    return one.name in known.begun or (since is not None and made >= since.replace(microsecond=0))


def _empty(client: docker.DockerClient, volume: Volume) -> bool:
    """Whether there is nothing in it, by a container that is never started. Without an image for one: not."""
    image = next(iter(client.images.list()), None)
    if image is None:
        return False
    looking = client.containers.create(image, ["-"], network_mode="none", volumes=[f"{volume.name}:{_LOOK}"])
    try:
        chunks, _ = looking.get_archive(_LOOK)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            return len(archive.getmembers()) == 1
    finally:
        looking.remove(v=True)


def retries(plan: Plan) -> dict[str, str]:
    """The label RETRY of each container that has one, or needs one because it is not as it should be.

    The provider takes a container that failed, and one that never started, for what was asked.
    """
    wanted = {name: one.labels.get(RETRY, "") if _well(one) else one.short_id for name, one in found(plan).items()}
    return {name: label for name, label in wanted.items() if label}


def _well(one: Container) -> bool:
    """Whether it has done its work, if that has an end, or is kept running."""
    state = one.attrs["State"]
    if PART in one.labels:
        return bool(state["Status"] == "exited" and state["ExitCode"] == 0)
    return state["Status"] in ("running", "restarting", "paused")


def failing(environment: str, hosts: Iterable[str | None]) -> list[str]:
    """The services of an environment that do not run, or did not without restarts, each with what it said last."""
    return [problem for host in hosts for problem in _failing(environment, host)]


def _failing(environment: str, host: str | None) -> list[str]:
    try:
        client = _client(host)
    except Refused as refused:
        return [str(refused)]
    services = [(one, _how(one)) for one in _all(client, environment) if PART not in one.labels]
    return [
        f"{one.name} is {how}:\n{one.logs(tail=_LINES).decode(errors='replace')}"
        for one, how in services
        if how != "running"
    ]


def _how(one: Container) -> str:
    """Its status. What ends again and again runs in between, and is seen by its restarts."""
    restarts = one.attrs["RestartCount"]
    return f"{one.status} after {restarts} restart{'s' * (restarts > 1)}" if restarts else str(one.status)


def reached(plan: Plan) -> Plan:
    """The Plan for who asks from the engine's machine: services by the addresses of their containers."""
    return replace(plan, ground=replace(plan.ground, hosts={**plan.ground.hosts, **_hosts(plan)}))


def file(plan: Plan, service: Service, path: str) -> str | None:
    """The text of a file in a service's container; None if there is none."""
    client, name = connect(plan.settings, service.machine), containers.name(plan.settings.environment, service.name)
    try:
        chunks, _ = client.containers.get(name).get_archive(containers.directory(service.name, path))
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        member = archive.extractfile(archive.getmembers()[0])
        return member.read().decode() if member else None


def left(settings: Settings) -> list[str]:
    """What the engines still have with the label of an environment: containers, networks and volumes."""
    return sorted(
        f"{_called(one)} of host {machine}" if machine else _called(one)
        for machine, client in connected(settings).items()
        for one in _labelled(client, _label(settings.environment))
    )


def _labelled(client: docker.DockerClient, label: _Filters) -> Iterator[Container | Network | Volume]:
    yield from client.containers.list(all=True, filters=label)
    yield from client.networks.list(filters=label)
    yield from client.volumes.list(filters=label)


def _hosts(plan: Plan) -> Mapping[str, str]:
    """Of the services on the first machine: those on others are at their addresses."""
    back, front = (containers.name(plan.settings.environment, side) for side in ("back", "front"))
    there = _running(plan, "")
    hosts: dict[str, str] = {}
    for service in containers.of_machine(plan, ""):
        if service.name in there:
            networks = there[service.name].attrs["NetworkSettings"]["Networks"]
            address = networks[back]["IPAddress"] if back in networks else _gateway(plan, front)
            hosts |= dict.fromkeys((service.name, *service.aliases), address)
    return hosts


def _gateway(plan: Plan, network: str) -> str:
    config = connect(plan.settings).networks.get(network).attrs["IPAM"]["Config"]
    return str(config[0]["Gateway"])


def _all(client: docker.DockerClient, environment: str) -> list[Container]:
    return list(client.containers.list(all=True, filters=_label(environment)))


def _label(environment: str) -> _Filters:
    """What only the things of an environment pass."""
    return {"label": f"{ENVIRONMENT}={environment}"}


def _whose(labels: Mapping[str, str]) -> str:
    owner = labels.get(ENVIRONMENT)
    return f"of environment {owner}" if owner else f"without the label {ENVIRONMENT}"


def _listed(one: Container) -> str:
    """The name of a container of a list: those that it has for others follow."""
    return str(one.attrs["Names"][0]).removeprefix("/")


def _published(one: Container) -> Iterator[tuple[int, str]]:
    """The ports of the machine that a container holds or will hold, each with its name."""
    one.reload()
    attrs = one.attrs
    for bindings in (attrs["HostConfig"].get("PortBindings") or {}).values():
        for binding in bindings or ():
            if str(binding.get("HostPort") or "").isdigit():
                yield int(binding["HostPort"]), str(attrs["Name"]).removeprefix("/")
