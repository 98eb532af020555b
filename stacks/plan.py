"""The Plan: everything an environment will be, as frozen values, before anything is touched."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apps
from apps import Process, Profile
from dashboards import Dashboard
from rules import Alert, Record, RuleFile, pack_info, target_missing
from rules.objectives import Slo
from stacks import boards, fast_forward, inventory, jobs, objectives, packs, routing, sizing
from stacks.jobs import LeftOut
from stacks.routing import Reach
from stacks.service import Endpoint, File, Ground, ScrapeJob, Service
from stacks.services import alertmanager, door, grafana, loki, prometheus, remote_write, thanos
from stacks.settings import Settings
from stacks.strict import Refused, nearest

ROOT = Path(__file__).resolve().parents[1]

# The product without which Alertmanager's own packages are not asked where alerts go.
ALERTROUTES = "alertroutes"
# What rules on the agreement between Alertmanagers require.
ALERTMANAGER_PAIRS = "alertmanager-pairs"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A port of a service in a container, `inside`, and where it is on the machine."""

    inside: int
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`services` holds what runs; `absent` what should and cannot, with its files all the same.

    `pruned` are the rule files that are left out.
    """

    settings: Settings
    ground: Ground
    services: tuple[Service, ...]
    absent: tuple[Service, ...]
    jobs: tuple[ScrapeJob, ...]
    alerts: tuple[Alert, ...]
    objectives: tuple[Slo, ...]
    records: tuple[Record, ...]
    pruned: tuple[RuleFile, ...]
    dashboards: tuple[Dashboard, ...]
    profiles: tuple[Profile, ...]
    left_out: tuple[LeftOut, ...]

    def find(self, name: str) -> Service | None:
        """The running service of that name."""
        return next((service for service in self.services if service.name == name), None)

    def url(self, service: Service, endpoint: Endpoint) -> str:
        ground = self.ground.replica(service.replica)
        return ground.url(service.name, service.port(endpoint.port), endpoint.path)

    @property
    def published(self) -> dict[str, int]:
        """The port of the machine that a service's page is published on, for services in containers, by name."""
        return {
            service.name: self._published_port(service, service.page)
            for service in self.services
            if service.page and service.name in self.ground.published
        }

    def _published_port(self, service: Service, page: Endpoint) -> int:
        if service.name == door.NAME and self.settings.docker.door:
            return self.settings.docker.door.port
        return service.port(page.port) + self.ground.replica(service.replica).port_offset

    def exposed(self, service: Service) -> list[Opening]:
        """The ports of a service that other machines reach, in their private network."""
        docker, machine = self.settings.docker, service.machine
        # The ports of agents are moved already: they share a machine with others.
        address, offset = (docker.hosts[machine].address, 0) if machine else (docker.agents_at, self.ground.port_offset)
        numbers = [service.port(name) for name in service.exposed]
        return [Opening(inside=number, address=str(address), port=number + offset) for number in numbers]

    def openings(self, service: Service) -> list[Opening]:
        """All ports of a service that are published on its machine, that of its page among them."""
        port, address = self.published.get(service.name), self.settings.docker.address
        page = (
            [Opening(inside=service.port(service.page.port), address=address, port=port)]
            if port and service.page
            else []
        )
        return [*page, *self.exposed(service)]

    @property
    def pages(self) -> dict[str, str]:
        """Where a person can look at a service, by name: all of them on this machine, else what is published."""
        shown = [service for service in self.services if not self.ground.contained or service.name in self.published]
        return {
            service.name: self.ground.replica(service.replica).page(
                service.name, service.port(service.page.port), service.page.path
            )
            for service in shown
            if service.page
        }

    def replicas(self, kind: str) -> list[Service]:
        """The running services that do the same as the one of that name, and that one."""
        return [service for service in self.services if service.kind == kind]


def make(settings: Settings, missing: Mapping[str, str]) -> Plan:
    """The Plan of an environment.

    `missing` names the products that cannot be had here, with the reason. Refused where the settings
    ask for what there is not: a system, a pack's version, an alert to override, a secret.
    """
    at = fast_forward.pace(settings)
    profiles = tuple(routing.chosen(apps.profile(system), settings.receivers) for system in settings.systems)
    ground = inventory.ground(settings, profiles)
    simulated = inventory.simulated(settings, profiles)
    names = inventory.names(settings, simulated, missing)
    to = inventory.reach(settings, ground, simulated)
    reachable = names | _known(settings, simulated)

    chosen = packs.of(settings, profiles, ROOT)
    files, pruned = packs.that_run(chosen, reachable)
    slos = objectives.of_systems(settings, profiles, ROOT)
    shown, unseen = boards.of(settings, profiles, reachable | ({boards.OBJECTIVES} if slos else set()))

    log_rules = [loki.rule_file(file.path, fast_forward.rule_file(file, at).text) for file in files if _of_loki(file)]
    pages = _dashboard_pages(ground, shown)
    described = inventory.describe(settings, ground, profiles, simulated, names, to, log_rules, pages)
    if settings.grafana.enabled:
        described.append(inventory.grafana_with(settings, ground, shown))
    running = [service for service in described if service.name in names or service.machine]
    absent = [service for service in described if service not in running]

    scraped, unscraped = _jobs(settings, ground, running, profiles)
    files, without_data = packs.that_have_data(files, scraped, profiles)
    made = [target_missing.file(scraped, settings.override), pack_info.file(chosen)]
    made += objectives.files(settings, slos)
    deployed = [fast_forward.rule_file(file, at) for file in (*files, *made)]
    alertmanagers = alertmanager.addresses(settings, ground)
    backends = inventory.backends(settings, ground)
    running = [thanos.limited(service, sizing.of_jobs(settings, scraped)) for service in running]
    running += prometheus.services(
        settings, ground, scraped, _of_prometheus(deployed), alertmanagers, backends, _sight(settings, profiles)
    )
    running += inventory.doors(settings, ground, running)

    pruned |= without_data
    plan = Plan(
        settings=settings,
        ground=ground,
        services=_by_name(running),
        absent=_by_name(absent),
        jobs=scraped,
        alerts=tuple(alert for file in deployed for alert in file.alerts),
        objectives=slos,
        records=tuple(record for file in deployed for record in file.records),
        pruned=tuple(file for pack in chosen for file in pack.files if file.path in pruned),
        dashboards=shown,
        profiles=profiles,
        left_out=(
            *unscraped,
            *pruned.values(),
            *(unseen if settings.grafana.enabled else ()),
            *_missing(settings, absent, missing),
            *_mail(profiles, to),
            *objectives.in_vain(settings, slos),
        ),
    )
    written = [*made, *(file for pack in chosen for file in pack.files)]
    _demand(plan, to, sorted({address for file in written for address in file.written}))
    return plan


def _missing(settings: Settings, absent: Sequence[Service], missing: Mapping[str, str]) -> Iterator[LeftOut]:
    for service in absent:
        yield _absent(service, missing[service.product], settings.environment)
    if ALERTROUTES in missing:
        yield LeftOut(what=f"check {ALERTROUTES}", because=missing[ALERTROUTES])


def _mail(profiles: Sequence[Profile], to: Reach) -> Iterator[LeftOut]:
    for name in routing.without_mail(profiles, to):
        yield LeftOut(what=f"mail to receiver {name}", because="watchstack:email names no mail server")


def _absent(service: Service, reason: str, environment: str) -> LeftOut:
    instead = f"; `./watchstack picture -e {environment}` draws its dashboards" if service.name == grafana.NAME else ""
    return LeftOut(what=f"service {service.name}", because=f"{reason}{instead}")


def _jobs(
    settings: Settings, ground: Ground, running: Sequence[Service], profiles: Sequence[Profile]
) -> tuple[tuple[ScrapeJob, ...], list[LeftOut]]:
    products = {name: service.product for service in running for name in (service.name, *service.aliases)}
    products |= {jobs.KUBELET: jobs.KUBELET} if ground.target == "kubernetes" else {}
    found, left_out = [prometheus.own_job(ground, settings.prometheus.replicas), *jobs.own(ground, running)], []
    for profile in profiles:
        more, without = jobs.of_system(ground, profile, settings.systems[profile.system], products)
        found += more
        left_out += without
    if ground.target == "kubernetes":
        found += jobs.of_cluster(ground, {job.job for job in found})
    return tuple(sorted(found, key=lambda job: job.job)), left_out


def _dashboard_pages(ground: Ground, shown: Sequence[Dashboard]) -> dict[str, str]:
    """The address of the first dashboard of each system."""
    first = {dashboard.folder: dashboard.uid for dashboard in reversed(shown)}
    return {folder: ground.page(grafana.NAME, grafana.PORT, f"/d/{uid}") for folder, uid in first.items()}


def _sight(settings: Settings, profiles: Sequence[Profile]) -> prometheus.Sight | None:
    if settings.target != "kubernetes":
        return None
    return prometheus.Sight(
        systems=inventory.found_in(settings, profiles),
        hosts=settings.kubernetes.namespaces.host,
        annotated=bool(settings.kubernetes.discover),
        verified=settings.kubernetes.kubelet_verified,
    )


def _known(settings: Settings, simulated: Mapping[str, Process]) -> set[str]:
    """What rules may rely on besides the services that run here.

    It is what simulated processes do in the place of others, the services of real systems by their names in the
    profiles, that an Alertmanager has peers, and that samples are sent elsewhere.
    """
    known = {alias for process in simulated.values() for alias in process.aliases}
    known |= {name.partition(":")[0] for system in settings.systems.values() for name in system.targets}
    known |= {jobs.KUBELET} if settings.target == "kubernetes" else set()
    known |= {ALERTMANAGER_PAIRS} if settings.alertmanager.replicas > 1 else set()
    return known | ({remote_write.NAME} if settings.prometheus.remote_write or settings.thanos else set())


def _of_loki(file: RuleFile) -> bool:
    return file.engine == "loki"


def _of_prometheus(files: Iterable[RuleFile]) -> list[File]:
    return [File(path=f"{prometheus.RULES}/{file.path}", text=file.text) for file in files if not _of_loki(file)]


def _by_name(services: Iterable[Service]) -> tuple[Service, ...]:
    return tuple(sorted(services, key=lambda service: service.name))


def _demand(plan: Plan, to: Reach, written: Sequence[str]) -> None:
    """Refused if the settings name an alert that is not there, or do not give a secret that is needed."""
    problems = [
        f"watchstack:override.{address}: no such alert; {nearest(address, list(written))}"
        for address in sorted({*plan.settings.override} - {*written})
    ]
    for profile in plan.profiles:
        problems += jobs.problems(profile, plan.settings.systems[profile.system])
    problems += routing.unknown(plan.profiles, plan.settings.receivers)
    problems += routing.clashes(plan.profiles)
    problems += routing.unreachable(plan.profiles, to)
    problems += routing.uncaptured(plan.profiles, plan.settings)
    problems += [
        f"watchstack:secrets.{secret.secret}: missing; {service.name} reads it from {secret.path}"
        f"{routing.WHY.get(secret.secret, '')}. Give it with "
        f"`pulumi config set --secret --path 'watchstack:secrets.{secret.secret}'`, or `file: PATH` in the stack file"
        for service in plan.services
        for secret in service.secrets
        if not secret.generated and secret.secret not in plan.settings.secrets
    ]
    registry = plan.settings.registry
    if registry and registry.password and registry.password not in plan.settings.secrets:
        problems.append(f"watchstack:secrets.{registry.password}: missing; watchstack:registry.password names it")
    if problems:
        raise Refused("\n".join(problems))
