"""The Docker target: services as containers of an engine, or of several, hardened, their files put in place by loaders.

A service is up to four containers. Loaders put its files and its secrets into volumes, and end. The service itself runs
on, whatever becomes of its files. The settler joins it, waits until it is ready and has taken its files, and ends.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi import Input, Output, ResourceOptions

from stacks import images
from stacks.plan import Plan
from stacks.service import ENVIRONMENT, SERVICE, Endpoint, Service, in_url
from stacks.targets import containers, engine, secrets
from stacks.targets.containers import ANYWHERE, ITSELF, LOADER, LOCKSMITH, PROGRAMS, SETTLER, SHELL

GENERATED = "/generated"

_ROOT = Path(__file__).resolve().parents[2]
_MEGABYTE = 2**20
_STOP_SECONDS = 20
# Of frames: those of Pulumi's SDK, and the one or two that name the resource here.
_TRACED = 8
# The provider has no limit of processes by container: this one, of all processes of a user, ends what forks for ever.
_ULIMITS = [{"name": "nproc", "soft": 4096, "hard": 4096}]
_LOGGED = {
    "log_driver": "json-file",
    "log_opts": {"max-size": "10m", "max-file": "3", "labels": ",".join(containers.LOG_LABELS)},
}


@dataclass(frozen=True, kw_only=True)
class _Site:
    """What all services of an environment stand on that are on one machine, by its engine.

    `machine` is empty for the first, which alone has `generated`. `retries` are labels of containers, by name, that are
    made anew though nothing else has changed.
    """

    plan: Plan
    machine: str
    provider: docker.Provider
    back: docker.Network
    front: docker.Network
    images: Mapping[str, docker.RemoteImage]
    generated: docker.Volume | None
    retries: Mapping[str, str]

    def options(self, parent: pulumi.Resource, *after: pulumi.Resource, **more: Any) -> ResourceOptions:
        """Names are fixed, and volumes have one writer: the old one goes before the new one comes."""
        return ResourceOptions(
            provider=self.provider, parent=parent, depends_on=[*after], delete_before_replace=True, **more
        )

    @property
    def outside(self) -> Input[str]:
        """The machine: as containers of the front network reach it, or another one as the first does."""
        if self.machine:
            return in_url(self.plan.settings.docker.hosts[self.machine].address)
        return self.front.ipam_configs.apply(lambda configs: str(configs[0].gateway or ""))

    def host(self, service: Service) -> Input[str]:
        """Where the service is for who shares its network."""
        return self.outside if service.host and service.host.network else ITSELF


class _Unit(pulumi.ComponentResource):
    """What belongs to a service, below it in the preview."""

    def __init__(self, name: str) -> None:
        super().__init__("watchstack:docker:Service", name)


def deploy(plan: Plan) -> None:
    """Register the resources of an environment. Refused if the engine does not answer, or cannot take it."""
    engine.demand(plan)
    pulumi.export("data", containers.fate(plan))
    with _short_traces():
        _register(plan)


@contextmanager
def _short_traces() -> Iterator[None]:
    """Pulumi puts the stack of each registration into the state: 1.4 kB, most of it the machine's paths."""
    sys.tracebacklimit = _TRACED
    try:
        yield
    finally:
        del sys.tracebacklimit


def _register(plan: Plan) -> None:
    retries = engine.retries(plan)
    sites = {machine: _site(plan, machine, retries) for machine in plan.settings.docker.engines}
    for service in plan.services:
        site, unit = sites[service.machine], _Unit(service.name)
        volumes = _volumes(site, service, unit)
        ended = _loaders(site, service, unit, volumes)
        running = _container(site, service, unit, volumes, ended)
        ended.append(_settler(site, service, unit, volumes, [*ended, running]))
        unit.register_outputs({"settled": Output.all(*map(_succeeded, ended)).apply(all)})


def _site(plan: Plan, machine: str, retries: Mapping[str, str]) -> _Site:
    environment, host = plan.settings.environment, plan.settings.docker.engines[machine]
    provider = docker.Provider(containers.called("engine", machine), host=host, registry_auth=_login(plan))
    options = ResourceOptions(provider=provider, delete_before_replace=True)
    labels = _labels({ENVIRONMENT: environment})

    def network(side: str, *, internal: bool) -> docker.Network:
        own = containers.called(side, machine)
        name = containers.name(environment, own)
        return docker.Network(own, name=name, driver="bridge", internal=internal, labels=labels, opts=options)

    made = containers.name(environment, "generated")
    kept = ResourceOptions(provider=provider, delete_before_replace=True, protect=containers.protected(plan))
    products = containers.products(containers.of_machine(plan, machine))
    return _Site(
        plan=plan,
        machine=machine,
        provider=provider,
        back=network("back", internal=True),
        front=network("front", internal=False),
        images={product: _image(plan, product, machine, options) for product in products},
        generated=None if machine else docker.Volume("generated", name=made, driver="local", labels=labels, opts=kept),
        retries=retries,
    )


def _login(plan: Plan) -> list[docker.ProviderRegistryAuthArgs] | None:
    registry, login = plan.settings.registry, secrets.login(plan)
    if registry is None or not login:
        return None
    host, password = registry.address.partition("/")[0], secrets.hidden(login["password"])
    return [docker.ProviderRegistryAuthArgs(address=host, username=login["username"], password=password)]


def _image(plan: Plan, product: str, machine: str, options: ResourceOptions) -> docker.RemoteImage:
    reference = images.reference(product, plan.settings.registry)
    if product != PROGRAMS:
        own = containers.called(product, machine)
        return docker.RemoteImage(own, name=reference, keep_locally=True, opts=options)
    # Pulled on its own, for a build has no login.
    base = docker.RemoteImage(f"{product}-base", name=reference, keep_locally=True, opts=options)
    built = docker.RemoteImageBuildArgs(
        context=str(_ROOT), dockerfile="workloads/Dockerfile", build_args={"BASE": reference}
    )
    after = ResourceOptions.merge(options, ResourceOptions(depends_on=[base]))
    return docker.RemoteImage(product, name=images.of_programs(), build=built, keep_locally=True, opts=after)


def _volumes(site: _Site, service: Service, unit: _Unit) -> dict[str, docker.Volume]:
    """The volumes of a service by their path in its directory: of its files, its secrets and its data."""
    settings = site.plan.settings
    data = {volume.path for volume in service.volumes}
    return {
        path: docker.Volume(
            f"{service.name}-{path}",
            name=containers.name(settings.environment, f"{service.name}-{path}"),
            driver="local",
            labels=_labels({ENVIRONMENT: settings.environment, SERVICE: service.name}),
            opts=site.options(unit, protect=path in data and containers.protected(site.plan)),
        )
        for path in containers.paths(service)
    }


def _loaders(
    site: _Site, service: Service, unit: _Unit, volumes: Mapping[str, docker.Volume]
) -> list[docker.Container]:
    """What puts files into the volumes. Secrets have one of their own: beside one, the provider hides every upload."""
    made = []
    if service.files or service.volumes:
        texts = containers.bundle("etc", {file.path: file.text for file in service.files})
        kept = [volume.path for volume in service.volumes]
        open_to_read = {path: volume for path, volume in volumes.items() if path != "secrets"}
        uploads = [_upload(service, "etc", texts)] if texts else []
        made.append(_loader(site, service, unit, LOADER, open_to_read, uploads, kept))
    if service.secrets:
        given = secrets.given(site.plan, service)
        known = {path: text for path, text in given.items() if text is not None}
        whole = containers.bundle("secrets", known) if len(known) == len(given) else None
        locked = [_upload(service, "secrets", secrets.hidden(whole))] if given else []
        generated = [f"{secret.secret}={secret.path}" for secret in service.secrets if secret.generated]
        own = {path: volume for path, volume in volumes.items() if path == "secrets"}
        absent = ["uploads[0].content"] if whole is None else []
        made.append(_loader(site, service, unit, LOCKSMITH, own, locked, generated, absent))
    return made


def _loader(
    site: _Site,
    service: Service,
    unit: _Unit,
    part: str,
    volumes: Mapping[str, docker.Volume],
    uploads: Sequence[Mapping[str, Input[str]]],
    words: Sequence[str],
    absent: Sequence[str] = (),
) -> docker.Container:
    """Uploads go into the volumes, so that a secret is in no layer of a container, and in no argument.

    `absent` are properties whose values this machine does not have: of them a preview says nothing.
    """
    mounts = [_mount(volume, containers.directory(service.name, path)) for path, volume in volumes.items()]
    generates = any("=" in word for word in words)
    return _one_shot(
        site,
        service,
        part,
        site.options(unit, ignore_changes=[*absent]),
        entrypoints=["sh", "-c", containers.script("loader.sh"), part],
        command=[containers.user(service), *words],
        user="0:0",
        working_dir=containers.directory(service.name),
        capabilities={"drops": ["ALL"], "adds": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]},
        network_mode="none",
        uploads=uploads,
        volumes=mounts + ([_mount(site.generated, GENERATED)] if generates and site.generated else []),
    )


def _upload(service: Service, volume: str, bundle: Input[str]) -> dict[str, Input[str]]:
    """What a volume shall hold, where the loader finds it."""
    at = containers.directory(service.name, f"{volume}/.bundle")
    return {"file": at, "content": bundle, "permissions": "0400"}


def _container(
    site: _Site,
    service: Service,
    unit: _Unit,
    volumes: Mapping[str, docker.Volume],
    after: Sequence[pulumi.Resource],
) -> docker.Container:
    settings, host = site.plan.settings, service.host
    restart = containers.digest(containers.restarting(service))
    labels = {
        **containers.labels(site.plan, service),
        # A new image shows in the preview by its name, and not by an id that is unknown before it is pulled.
        "watchstack.image": containers.image(site.plan, service),
        **_retry(site, containers.name(settings.environment, service.name)),
        **({"watchstack.restart": restart} if restart else {}),
    }
    props: dict[str, Any] = {
        "name": containers.name(settings.environment, service.name),
        "image": site.images[service.product].image_id,
        "entrypoints": [*images.container(service.product).entrypoint] or None,
        "command": _command(site, service),
        "envs": [f"{name}={value}" for name, value in service.environment],
        "user": containers.user(service),
        "group_adds": [str(group) for group in host.groups] if host else [],
        "working_dir": containers.directory(service.name),
        "read_only": True,
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m"},  # noqa: S108 - the container's own
        "capabilities": {"drops": ["ALL"], "adds": [f"CAP_{name}" for name in host.capabilities] if host else []},
        "security_opts": ["no-new-privileges:true"],
        "devices": [{"host_path": device, "permissions": "r"} for device in host.devices] if host else [],
        "volumes": _mounts(site.plan, service, volumes),
        "labels": _labels(labels),
        "healthcheck": _health(site, service),
        "restart": "unless-stopped",
        "stop_timeout": _STOP_SECONDS,
        "destroy_grace_seconds": _STOP_SECONDS,
        **_limits(service.limits.memory, service.limits.cpus),
        **_network(site, service),
        **_LOGGED,
    }
    options = site.options(unit, *after, replace_on_changes=["healthcheck"])
    running: docker.Container = docker.Container(service.name, opts=options, **props)
    return running


def _settler(
    site: _Site,
    service: Service,
    unit: _Unit,
    volumes: Mapping[str, docker.Volume],
    after: Sequence[docker.Container],
) -> docker.Container:
    """It runs as the service's user, who alone may signal its process. An edit of what is reloaded makes a new one."""
    joined = Output.concat("container:", after[-1].id)
    reload = service.reload
    endpoints = [service.ready, *([reload.at] if reload else [])]
    # The provider takes no empty argument.
    proof = [word for word in (reload.proof, reload.success) if word] if reload else []
    files = containers.digest(containers.reloading(service))
    return _one_shot(
        site,
        service,
        SETTLER,
        site.options(unit, *after),
        labels={"watchstack.reload": files} if files else {},
        entrypoints=["sh", "-c", containers.script("settle.sh"), SETTLER],
        command=[*(_inside(site, service, endpoint) for endpoint in endpoints), *proof],
        user=containers.user(service),
        working_dir=containers.directory(service.name),
        read_only=True,
        capabilities={"drops": ["ALL"]},
        network_mode=joined,
        pid_mode=joined,
        volumes=[_mount(volumes["etc"], containers.directory(service.name, "etc"), read_only=True)] if files else [],
    )


def _one_shot(
    site: _Site,
    service: Service,
    part: str,
    options: ResourceOptions,
    labels: Mapping[str, str] | None = None,
    **more: Any,
) -> docker.Container:
    """A container that does its work and ends."""
    name = containers.name(site.plan.settings.environment, f"{service.name}-{part}")
    labels = {**containers.labels(site.plan, service), containers.PART: part, **(labels or {}), **_retry(site, name)}
    props: dict[str, Any] = {
        "name": name,
        "image": site.images[SHELL].image_id,
        "must_run": False,
        "attach": True,
        "logs": True,
        "restart": "no",
        "security_opts": ["no-new-privileges:true"],
        "labels": _labels(labels),
        **_limits(64 * _MEGABYTE, 0.5),
        **_LOGGED,
        **more,
    }
    ended: docker.Container = docker.Container(f"{service.name}-{part}", opts=options, **props)
    return ended


def _retry(site: _Site, name: str) -> dict[str, str]:
    return {containers.RETRY: site.retries[name]} if name in site.retries else {}


def _succeeded(one: docker.Container) -> Output[bool]:
    """The provider takes a container that ended as a success, whatever it ended with."""

    def demand(ended: Sequence[Any]) -> bool:
        name, code, said = ended
        if code:
            raise pulumi.RunError(f"{name} ended with {code}: {(said or '').strip()}")
        return True

    return Output.all(one.name, one.exit_code, one.container_logs).apply(demand)


def _limits(memory: int, cpus: float) -> dict[str, Any]:
    """No swap beside the memory."""
    megabytes = memory // _MEGABYTE
    return {"memory": megabytes, "memory_swap": megabytes, "cpus": str(float(cpus)), "ulimits": _ULIMITS}


def _network(site: _Site, service: Service) -> dict[str, Any]:
    """The back network for all; the front one, which leads outside, for those that need it or are published."""
    if service.host and service.host.network:
        return {"network_mode": "host"}
    networks: list[dict[str, Any]] = [{"name": site.back.name, "aliases": [service.name, *service.aliases]}]
    openings = site.plan.openings(service)
    if service.outbound or openings:
        networks.append({"name": site.front.name})
    beside = containers.on_the_machine(site.plan) if service.outbound and not service.machine else []
    return {
        "network_mode": "bridge",
        "networks_advanced": networks,
        "hosts": [{"host": other.name, "ip": site.outside} for other in beside],
        "ports": [
            {"internal": one.inside, "external": one.port, "ip": one.address, "protocol": "tcp"} for one in openings
        ],
    }


def _mounts(plan: Plan, service: Service, volumes: Mapping[str, docker.Volume]) -> list[dict[str, Any]]:
    own = [
        _mount(volume, containers.directory(service.name, path), read_only=path in ("etc", "secrets"))
        for path, volume in volumes.items()
    ]
    borrowed = [
        {
            "container_path": containers.directory(owner, path),
            "volume_name": containers.name(plan.settings.environment, f"{owner}-{path}"),
        }
        for owner, path in service.borrows
    ]
    seen = service.host.mounts if service.host else {}
    return own + borrowed + [{"container_path": at, "host_path": of, "read_only": True} for at, of in seen.items()]


def _mount(volume: docker.Volume, path: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"container_path": path, "volume_name": volume.name, "read_only": read_only}


def _command(site: _Site, service: Service) -> list[Input[str]]:
    """On the machine's own network a service listens only where Prometheus reaches the machine."""
    if service.host and service.host.network:
        return [_outside(site, word) for word in containers.command(service)]
    return [*containers.command(service)]


def _outside(site: _Site, word: str) -> Output[str]:
    return Output.from_input(site.outside).apply(lambda host: word.replace(ANYWHERE, host))


def _inside(site: _Site, service: Service, endpoint: Endpoint) -> Output[str]:
    return Output.from_input(site.host(service)).apply(lambda host: containers.inside(service, endpoint, host))


def _health(site: _Site, service: Service) -> dict[str, Any] | None:
    if not images.container(service.product).health:
        return None
    asked = Output.from_input(site.host(service)).apply(lambda host: ["CMD", *containers.health(service, host)])
    return {"tests": asked, "interval": "30s", "timeout": "5s", "start_period": "30s", "retries": 3}


def _labels(labels: Mapping[str, str]) -> list[Any]:
    return [{"label": label, "value": value} for label, value in sorted(labels.items())]
