"""The services of an environment: which of them run, and each with what it is told of the others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from apps import Process, Profile
from dashboards import Dashboard
from stacks import routing
from stacks.jobs import KUBELET
from stacks.routing import Reach
from stacks.service import (
    PLATFORM,
    ContainerLogs,
    File,
    Ground,
    LogSource,
    PodLogs,
    Service,
    in_url,
    machine_name,
    on_machine,
    replica_name,
)
from stacks.services import (
    alertmanager,
    cadvisor,
    capture,
    collector,
    door,
    grafana,
    jaeger,
    kube_state_metrics,
    loki,
    node_exporter,
    postgres_exporter,
    prometheus,
    redis_exporter,
    thanos,
    workload,
)
from stacks.settings import (
    THANOS,
    Docker,
    DockerHost,
    Door,
    Email,
    PostgresExporter,
    RedisExporter,
    RemoteWrite,
    Settings,
)
from stacks.strict import Refused, nearest

# What runs on each of several machines.
_AGENTS = (cadvisor.NAME, collector.NAME, node_exporter.NAME)
# The one that nobody writes into a URL.
HTTPS_PORT = 443


def ground(settings: Settings, profiles: Sequence[Profile]) -> Ground:
    """How the services of an environment find each other, and people find them."""
    match settings.target:
        case "docker":
            return _of_engine(settings)
        case "kubernetes":
            return _of_cluster(settings, profiles)
        case _:
            return Ground(target="local", port_offset=settings.port_offset)


def _of_cluster(settings: Settings, profiles: Sequence[Profile]) -> Ground:
    """Pages are looked at through a port-forward, unless the way in leads to them."""
    wanted, way_in = settings.kubernetes.namespaces, settings.kubernetes.ingress
    named = {service: profile.place for profile in profiles for service in _of_system(settings, profile)}
    pages = [*_replicas(settings), capture.NAME, grafana.NAME, jaeger.NAME, *named]
    return Ground(
        target="kubernetes",
        port_offset=settings.port_offset,
        namespaces={
            jaeger.NAME: wanted.tracing,
            node_exporter.NAME: wanted.host,
            collector.LOGS: wanted.host,
            **named,
        },
        namespace=wanted.monitoring,
        published=tuple(pages),
        doors={way_in.before: f"https://{way_in.domain}"} if way_in else {},
    )


def _of_system(settings: Settings, profile: Profile) -> list[str]:
    """The names of the processes that are simulated."""
    simulated = profile.workload if settings.systems[profile.system].workload else ()
    return [name for process in simulated for name in (process.service, *_aliases(settings, process))]


def _aliases(settings: Settings, process: Process) -> list[str]:
    """The names that a simulated process has besides its own, but those that the real ones have."""
    return [alias for alias in process.aliases if alias not in taken(settings)]


def taken(settings: Settings) -> frozenset[str]:
    """What a simulation does not stand in for, because the real one is there."""
    cluster = {KUBELET, kube_state_metrics.NAME} if settings.target == "kubernetes" else set()
    return frozenset({*exporters(settings), *cluster})


def _of_engine(settings: Settings) -> Ground:
    wanted = settings.docker.door
    doors = {name: _door_url(wanted) for name in (door.NAME, wanted.before)} if wanted else {}
    published = [name for kind in settings.docker.publish for name in _names_of(settings, kind) if name not in doors]
    return Ground(
        target="docker",
        port_offset=settings.port_offset,
        hosts={
            machine_name(agent, machine): in_url(host.address)
            for machine, host in settings.docker.hosts.items()
            for agent in _AGENTS
        },
        published=(*published, *([door.NAME] if wanted else [])),
        machine=settings.docker.address,
        doors=doors,
    )


def _door_url(wanted: Door) -> str:
    return f"https://{wanted.domain}" + (f":{wanted.port}" if wanted.port != HTTPS_PORT else "")


def _names_of(settings: Settings, kind: str) -> list[str]:
    """The names of the replicas of a service, or its own."""
    return [name for name, of in _replicas(settings).items() if of == kind] or [kind]


def simulated(settings: Settings, profiles: Sequence[Profile]) -> dict[str, Process]:
    """The processes of the simulated systems, by service."""
    return {
        process.service: process
        for profile in profiles
        if settings.systems[profile.system].workload
        for process in profile.workload
    }


def names(settings: Settings, simulated: Mapping[str, Process], missing: Mapping[str, str]) -> frozenset[str]:
    """The services that will run: what logs come from, and what rules and panels may rely on."""
    wanted = {
        **dict.fromkeys(_replicas(settings), True),
        cadvisor.NAME: settings.target == "docker" and settings.docker.container_metrics,
        capture.NAME: settings.capture.enabled,
        collector.NAME: settings.loki.enabled or settings.jaeger.enabled,
        door.NAME: settings.target == "docker" and settings.docker.door is not None,
        grafana.NAME: settings.grafana.enabled and grafana.NAME not in missing,
        jaeger.NAME: settings.jaeger.enabled,
        kube_state_metrics.NAME: settings.target == "kubernetes",
        collector.LOGS: settings.target == "kubernetes" and settings.loki.enabled,
        loki.NAME: settings.loki.enabled,
        node_exporter.NAME: settings.node_exporter.enabled,
        **dict.fromkeys(thanos.NAMES, settings.thanos is not None),
        **dict.fromkeys(exporters(settings), True),
        **dict.fromkeys(simulated, True),
    }
    return frozenset(name for name, runs in wanted.items() if runs)


def _replicas(settings: Settings) -> dict[str, str]:
    """The kind of each service that may have replicas, by its name."""
    counts = {prometheus.NAME: settings.prometheus.replicas, alertmanager.NAME: settings.alertmanager.replicas}
    return {replica_name(kind, n): kind for kind, count in counts.items() for n in range(1, count + 1)}


def exporters(settings: Settings) -> dict[str, PostgresExporter | RedisExporter]:
    """The exporters of servers that the systems use, by service."""
    wanted: dict[str, PostgresExporter | RedisExporter] = {}
    for given in (system.exporters for system in settings.systems.values()):
        wanted |= {postgres_exporter.NAME: given.postgres} if given.postgres else {}
        wanted |= {redis_exporter.NAME: given.redis} if given.redis else {}
    return wanted


def describe(
    settings: Settings,
    ground: Ground,
    profiles: Sequence[Profile],
    simulated: Mapping[str, Process],
    names: frozenset[str],
    to: Reach,
    log_rules: Sequence[File],
    pages: Mapping[str, str],
) -> list[Service]:
    """The services that run, but Prometheus and Grafana, which are told of all the others.

    `pages` are the addresses of dashboards by system.
    """
    servers = exporters(settings)
    described = alertmanager.services(settings, ground, profiles, to, pages if grafana.NAME in names else {})
    if cadvisor.NAME in names:
        described.append(cadvisor.service(ground, settings.docker))
    if capture.NAME in names:
        described.append(capture.service(ground))
    if loki.NAME in names:
        described.append(loki.service(settings, ground, log_rules, alertmanager.addresses(settings, ground)))
    if jaeger.NAME in names:
        described.append(jaeger.service(settings, ground))
    if collector.NAME in names:
        described.append(_collector(settings, ground, profiles, names))
    if collector.LOGS in names:
        described.append(collector.of_nodes(ground, _pods(settings, ground, profiles), _loki_url(ground)))
    if kube_state_metrics.NAME in names:
        described.append(kube_state_metrics.service(ground))
    if node_exporter.NAME in names:
        described.append(node_exporter.service(ground))
    described += _agents(settings, ground, names)
    described += thanos.services(settings, ground)
    for server in servers.values():
        make_exporter = postgres_exporter if isinstance(server, PostgresExporter) else redis_exporter
        described.append(make_exporter.service(ground, server))
    otlp = ground.url(collector.NAME, collector.OTLP_HTTP) if jaeger.NAME in names else None
    return described + [
        workload.service(ground, process, profile, otlp, to.generated, taken(settings))
        for profile in profiles
        for process in profile.workload
        if process.service in simulated
    ]


def reach(settings: Settings, ground: Ground, simulated: Mapping[str, Process]) -> Reach:
    """Where the receivers of the profiles are: services of the systems, simulated or real, and the capture receiver."""
    services = {
        f"{process.service}:{port}": ground.address(process.service, port)
        for process in simulated.values()
        for port in process.ports.values()
    }
    for system in settings.systems.values():
        services |= {f"{name}:{address.rpartition(':')[2]}": address for name, address in system.targets.items()}
    receiver = ground.address(capture.NAME, capture.PORT) if settings.capture.enabled else None
    # What a simulated process and its callers must agree on, and nobody gave.
    generated = {name for process in simulated.values() for name in process.secrets} - {*settings.secrets}
    return routing.reach(settings, services, frozenset(generated), receiver, _mail(settings, ground))


def _mail(settings: Settings, ground: Ground) -> Email | None:
    """The mail server; the capture receiver by its address, which has no TLS."""
    if settings.email is None or not settings.email.captured:
        return settings.email
    return settings.email.model_copy(update={"smarthost": ground.address(capture.NAME, capture.SMTP), "tls": False})


def _agents(settings: Settings, ground: Ground, names: frozenset[str]) -> Iterator[Service]:
    """What watches the other machines: the services that watch the first one, and a collector that sends on to its."""
    own = replace(ground, shared=True)
    for machine, host in _machines(settings).items():
        if cadvisor.NAME in names:
            yield on_machine(cadvisor.service(own, host), own, machine)
        if loki.NAME in names:
            yield on_machine(
                collector.of_machine(own, _printed(settings, host, machine), _otlp(settings)), own, machine
            )
        if node_exporter.NAME in names:
            yield on_machine(node_exporter.service(own), own, machine)


def _machines(settings: Settings) -> Mapping[str, DockerHost]:
    return settings.docker.hosts if settings.target == "docker" else {}


def _otlp(settings: Settings) -> str:
    """Where other machines reach the collector. It takes lines and gives none away, as Loki would."""
    return f"http://{in_url(str(settings.docker.agents_at))}:{collector.OTLP_HTTP + settings.port_offset}"


def _printed(settings: Settings, engine: Docker | DockerHost, machine: str = "") -> ContainerLogs:
    directory = f"{engine.data_root}/containers"
    return ContainerLogs(environment=settings.environment, directory=directory, machine=machine)


def _collector(settings: Settings, ground: Ground, profiles: Sequence[Profile], names: frozenset[str]) -> Service:
    made = collector.service(
        ground,
        _sources(settings, profiles, names),
        _loki_url(ground) if loki.NAME in names else None,
        ground.address(jaeger.NAME, jaeger.OTLP_GRPC) if jaeger.NAME in names else None,
    )
    asked = loki.NAME in names and bool(_machines(settings))
    return replace(made, exposed=("otlp-http",)) if asked else made


def _sources(settings: Settings, profiles: Sequence[Profile], names: frozenset[str]) -> collector.Sources:
    match settings.target:
        case "local":
            return _log_sources(names, _replicas(settings), profiles)
        case "docker":
            return _printed(settings, settings.docker)
        case "kubernetes":
            # Another one on each node reads them.
            return ()


def _pods(settings: Settings, ground: Ground, profiles: Sequence[Profile]) -> PodLogs:
    places = {profile.place: profile.system for profile in profiles}
    return PodLogs(systems={**dict.fromkeys(namespaces(ground), PLATFORM), **found_in(settings, profiles), **places})


def namespaces(ground: Ground) -> list[str]:
    """All in which there are services of the environment, in a cluster."""
    return sorted({ground.namespace, *ground.namespaces.values()})


def found_in(settings: Settings, profiles: Sequence[Profile]) -> dict[str, str]:
    """The system of each namespace in which pods and services may ask to be scraped."""
    first = next(iter(settings.systems))
    return {
        **dict.fromkeys(settings.kubernetes.discover, first),
        **{profile.place: profile.system for profile in profiles if any(job.found == "pods" for job in profile.jobs)},
    }


def doors(settings: Settings, ground: Ground, running: Sequence[Service]) -> list[Service]:
    """The front door, if there is one. Refused if there is no page behind it."""
    wanted = settings.docker.door
    if wanted is None or settings.target != "docker":
        return []
    pages = {service.name: service.port(service.page.port) for service in running if service.page}
    if wanted.before not in pages:
        raise Refused(
            f"watchstack:docker.door.before: {wanted.before!r} has no page in this environment; "
            f"{nearest(wanted.before, list(pages))}"
        )
    return [door.service(ground, wanted, ground.address(wanted.before, pages[wanted.before]))]


def backends(settings: Settings, ground: Ground) -> dict[str, RemoteWrite]:
    """Who gets every sample of Prometheus, by name."""
    own = {THANOS: RemoteWrite(url=thanos.write_url(ground), exemplars=True)} if settings.thanos else {}
    return {**settings.prometheus.remote_write, **own}


def grafana_with(settings: Settings, ground: Ground, boards: Sequence[Dashboard]) -> Service:
    files = [
        File(
            path=f"{grafana.DASHBOARDS}/{board.folder}/{board.uid}.json",
            text=board.text,
            on_change="watched",
        )
        for board in boards
    ]
    sources = grafana.Sources(
        prometheus=ground.url(prometheus.NAME, prometheus.PORT),
        thanos=thanos.query_url(ground) if settings.thanos else None,
        alertmanager=ground.url(alertmanager.NAME, alertmanager.PORT),
        loki=_loki_url(ground) if settings.loki.enabled else None,
        jaeger=ground.url(jaeger.NAME, jaeger.UI) if settings.jaeger.enabled else None,
    )
    return grafana.service(ground, sources, files)


def _loki_url(ground: Ground) -> str:
    return ground.url(loki.NAME, loki.PORT)


def _log_sources(names: Collection[str], kinds: Mapping[str, str], profiles: Sequence[Profile]) -> list[LogSource]:
    """The supervisor keeps what a program prints; an application also writes a file of its own, and that one counts."""
    systems = {process.service: profile.system for profile in profiles for process in profile.workload}
    return [
        LogSource(
            service=kinds.get(name, name),
            instance=name,
            system=systems.get(name, PLATFORM),
            glob=f"../{name}/log/{'app.log' if name in systems else '*.log'}",
        )
        for name in sorted(names)
    ]
