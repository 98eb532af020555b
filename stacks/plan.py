"""The Plan: everything an environment will be, as frozen values, before anything is touched."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apps
import rules
from apps import Process, Profile
from catalogue import exposed
from dashboards import Dashboard
from rules import Alert, Pack, Record, RuleFile, own, pack_info, target_missing
from rules.objectives import PACK, Slo
from stacks import boards, fast_forward, inventory, jobs, objectives, routing
from stacks.jobs import LeftOut
from stacks.routing import Reach
from stacks.service import PLATFORM, Endpoint, File, Ground, ScrapeJob, Service
from stacks.services import alertmanager, collector, grafana, jaeger, loki, node_exporter, prometheus
from stacks.settings import Settings
from stacks.strict import Refused, nearest

ROOT = Path(__file__).resolve().parents[1]

COMMON_PACKS = (PLATFORM, "containers", "kubernetes", "logs")
# The product without which Alertmanager's own packages are not asked where alerts go.
ALERTROUTES = "alertroutes"
# What a panel, a link or a rule may need and an environment may lack.
OPTIONAL = frozenset({"cadvisor", grafana.NAME, jaeger.NAME, loki.NAME, collector.NAME, node_exporter.NAME})
# What rules on the agreement between Alertmanagers require.
ALERTMANAGER_PAIRS = "alertmanager-pairs"


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

    def replicas(self, kind: str) -> list[Service]:
        """The running services that do the same as the one of that name, and that one."""
        return [service for service in self.services if service.kind == kind]


def make(settings: Settings, missing: Mapping[str, str]) -> Plan:
    """The Plan of an environment.

    `missing` names the products that cannot be had here, with the reason. Refused where the settings
    ask for what there is not: a system, a pack's version, an alert to override, a secret.
    """
    ground = Ground(target=settings.target, port_offset=settings.port_offset)
    profiles = tuple(routing.chosen(apps.profile(system), settings.receivers) for system in settings.systems)
    simulated = inventory.simulated(settings, profiles)
    names = inventory.names(settings, simulated, missing)
    to = inventory.reach(settings, ground, simulated)
    packs = _packs(settings, profiles)
    reachable = names | _known(settings, simulated)
    files, pruned = _run(packs, reachable)
    files = [fast_forward.rule_file(file, fast_forward.pace(settings)) for file in files]
    log_rules = [loki.rule_file(file.path, file.text) for file in files if file.engine == "loki"]
    slos = objectives.of_systems(settings, profiles, ROOT)
    shown, unseen = boards.of(settings, profiles, reachable | ({boards.OBJECTIVES} if slos else set()))
    pages = _dashboard_pages(ground, shown)
    described = inventory.describe(settings, ground, profiles, simulated, names, to, log_rules, pages)
    if settings.grafana.enabled:
        described.append(inventory.grafana_with(settings, ground, shown))
    running = [service for service in described if service.name in names]
    absent = [service for service in described if service.name not in names]

    scraped, left_out = _jobs(settings, ground, running, profiles)
    files, unscraped = _scraped(files, scraped, profiles)
    pruned |= unscraped
    made = [target_missing.file(scraped, settings.override), pack_info.file(packs)]
    made += objectives.files(settings, slos)
    files += [fast_forward.rule_file(file, fast_forward.pace(settings)) for file in made]
    alertmanagers = alertmanager.addresses(settings, ground)
    running += prometheus.services(settings, ground, scraped, _deployed(files), alertmanagers)
    left_out += [*pruned.values(), *(unseen if settings.grafana.enabled else [])]
    left_out += [_absent(service, missing[service.product], settings.environment) for service in absent]
    if ALERTROUTES in missing:
        left_out.append(LeftOut(what=f"check {ALERTROUTES}", because=missing[ALERTROUTES]))
    left_out += [
        LeftOut(what=f"mail to receiver {name}", because="watchstack:email names no mail server")
        for name in routing.without_mail(profiles, to)
    ]
    left_out += objectives.in_vain(settings, slos)
    plan = Plan(
        settings=settings,
        ground=ground,
        services=_by_name(running),
        absent=_by_name(absent),
        jobs=scraped,
        alerts=tuple(alert for file in files for alert in file.alerts),
        objectives=slos,
        records=tuple(record for file in files for record in file.records),
        pruned=tuple(file for pack in packs for file in pack.files if file.path in pruned),
        dashboards=shown,
        profiles=profiles,
        left_out=tuple(left_out),
    )
    written = [*made, *(file for pack in packs for file in pack.files)]
    _demand(plan, to, sorted({address for file in written for address in file.written}))
    return plan


def _absent(service: Service, reason: str, environment: str) -> LeftOut:
    instead = f"; `./watchstack picture -e {environment}` draws its dashboards" if service.name == grafana.NAME else ""
    return LeftOut(what=f"service {service.name}", because=f"{reason}{instead}")


def _jobs(
    settings: Settings, ground: Ground, running: Sequence[Service], profiles: Sequence[Profile]
) -> tuple[tuple[ScrapeJob, ...], list[LeftOut]]:
    products = {name: service.product for service in running for name in (service.name, *service.aliases)}
    found, left_out = [prometheus.own_job(ground, settings.prometheus.replicas), *jobs.own(ground, running)], []
    for profile in profiles:
        more, without = jobs.of_system(ground, profile, settings.systems[profile.system], products)
        found += more
        left_out += without
    return tuple(sorted(found, key=lambda job: job.job)), left_out


def _dashboard_pages(ground: Ground, shown: Sequence[Dashboard]) -> dict[str, str]:
    """The address of the first dashboard of each system."""
    first = {dashboard.folder: dashboard.uid for dashboard in reversed(shown)}
    return {folder: ground.url(grafana.NAME, grafana.PORT, f"/d/{uid}") for folder, uid in first.items()}


def _known(settings: Settings, simulated: Mapping[str, Process]) -> set[str]:
    """What rules may rely on besides the services that run here.

    It is what simulated processes do in the place of others, the services of real systems by their names in the
    profiles, and that an Alertmanager has peers.
    """
    known = {alias for process in simulated.values() for alias in process.aliases}
    known |= {name.partition(":")[0] for system in settings.systems.values() for name in system.targets}
    return known | ({ALERTMANAGER_PAIRS} if settings.alertmanager.replicas > 1 else set())


def pack_versions(settings: Settings, profiles: Sequence[Profile]) -> dict[str, str]:
    """The packs that the systems and the platform have, and their versions."""
    wanted: dict[str, str] = dict.fromkeys(COMMON_PACKS, "v1") | {str(name): v for name, v in settings.packs.items()}
    for profile in profiles:
        wanted |= dict.fromkeys(profile.packs, settings.systems[profile.system].pack)
    return dict(sorted(wanted.items()))


def _packs(settings: Settings, profiles: Sequence[Profile]) -> list[Pack]:
    wanted = pack_versions(settings, profiles)
    shipped = [rules.pack(name, major, settings.override) for name, major in wanted.items()]
    return [*shipped, *_own_packs(settings, {*wanted, PACK})]


def _own_packs(settings: Settings, taken: set[str]) -> list[Pack]:
    """The packs that the user brings. Refused if one is called as another: overrides go by that name."""
    found = []
    for system, wanted in settings.systems.items():
        for path in wanted.own_packs:
            pack = own.pack(path, system, settings.override, ROOT)
            if pack.name in taken:
                raise Refused(f"{path}/pack.yaml: pack: there is a pack {pack.name!r} already; give it another name")
            taken.add(pack.name)
            found.append(pack)
    return found


def _run(packs: Sequence[Pack], components: frozenset[str]) -> tuple[list[RuleFile], dict[str, LeftOut]]:
    """The rule files whose components all run, and why, by path, the others are left out."""
    files = [file for pack in packs for file in pack.files]
    reasons = {file.path: _not_run({*file.requires} - components) for file in files}
    return _kept(files, reasons)


def _scraped(
    files: Sequence[RuleFile], jobs: Sequence[ScrapeJob], profiles: Sequence[Profile]
) -> tuple[list[RuleFile], dict[str, LeftOut]]:
    """The rule files whose metrics somebody exposes, and why, by path, the others are left out."""
    # Of all that is exposed a plan needs to know only where a file asks for it.
    if not (asking := [file for file in files if file.metrics]):
        return [*files], {}
    scraped = exposed.names(jobs, profiles)
    reasons = {file.path: _not_scraped([name for name in file.metrics if name not in scraped]) for file in asking}
    return _kept(files, reasons)


def _kept(files: Sequence[RuleFile], reasons: Mapping[str, str]) -> tuple[list[RuleFile], dict[str, LeftOut]]:
    left_out = {
        file.path: LeftOut(what=_listed(file.source, [alert.name for alert in file.alerts]), because=because)
        for file in files
        if (because := reasons.get(file.path))
    }
    return [file for file in files if file.path not in left_out], left_out


def _not_run(components: Collection[str]) -> str:
    return f"needs {', '.join(sorted(components))}, which this environment does not run" if components else ""


def _not_scraped(metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
    return f"needs {metrics[0]}{more}, which no scrape job of this environment brings" if metrics else ""


def _listed(what: str, parts: Sequence[str]) -> str:
    return f"{what} ({', '.join(parts)})"


def _deployed(files: Iterable[RuleFile]) -> list[File]:
    """The rule files for Prometheus."""
    mine = (file for file in files if file.engine == "prometheus")
    return [File(path=f"{prometheus.RULES}/{file.path}", text=file.text) for file in mine]


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
    if problems:
        raise Refused("\n".join(problems))
