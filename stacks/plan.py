"""The Plan: everything an environment will be, as frozen values, before anything is touched."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import apps
import dashboards
import rules
from apps import Profile
from catalogue import exposed
from rules import Alert, Pack, Record, RuleFile, pack_info, target_missing
from stacks import inventory, jobs, routing
from stacks.jobs import LeftOut
from stacks.routing import Reach
from stacks.service import PLATFORM, Endpoint, File, Ground, ScrapeJob, Service
from stacks.services import alertmanager, collector, grafana, jaeger, loki, node_exporter, prometheus
from stacks.settings import Settings
from stacks.strict import Refused, nearest

COMMON_PACKS = (PLATFORM, "containers", "kubernetes")
PLATFORM_DASHBOARDS = ("stack-health",)

# What a panel, a link or a rule may need and an environment may lack.
OPTIONAL = frozenset({"cadvisor", grafana.NAME, jaeger.NAME, loki.NAME, collector.NAME, node_exporter.NAME})


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
    records: tuple[Record, ...]
    pruned: tuple[RuleFile, ...]
    dashboards: tuple[str, ...]
    profiles: tuple[Profile, ...]
    left_out: tuple[LeftOut, ...]
    lacking: frozenset[str]

    def find(self, name: str) -> Service | None:
        """The running service of that name."""
        return next((service for service in self.services if service.name == name), None)

    def url(self, service: Service, endpoint: Endpoint) -> str:
        return self.ground.url(service.name, service.port(endpoint.port), endpoint.path)


def make(settings: Settings, missing: Mapping[str, str]) -> Plan:
    """The Plan of an environment.

    `missing` names the products that cannot be had here, with the reason. Refused where the settings
    ask for what there is not: a system, a pack's version, an alert to override, a secret.
    """
    ground = Ground(target=settings.target, port_offset=settings.port_offset)
    profiles = tuple(apps.profile(system) for system in settings.systems)
    boards = tuple(sorted({*PLATFORM_DASHBOARDS, *(name for profile in profiles for name in profile.dashboards)}))

    simulated = inventory.simulated(settings, profiles)
    names = inventory.names(settings, simulated, missing)
    lacking = OPTIONAL - names
    to = inventory.reach(settings, ground, simulated)
    described = inventory.describe(settings, ground, profiles, simulated, names, to)
    if settings.grafana.enabled:
        described.append(inventory.grafana_with(settings, ground, boards, lacking))
    running = [service for service in described if service.name in names]
    absent = [service for service in described if service.name not in names]

    scraped, left_out = _jobs(settings, ground, running, profiles)
    packs = _packs(settings, profiles)
    reachable = names | {name for service in running for name in service.aliases} | _given(settings)
    files, pruned = _prune(packs, reachable, scraped, profiles)
    files += [target_missing.file(scraped, settings.override), pack_info.file(packs)]
    alertmanagers = [ground.address(alertmanager.NAME, alertmanager.PORT)]
    running.append(prometheus.service(settings, ground, scraped, _deployed(files), alertmanagers))
    left_out += pruned.values()
    left_out += _panels(settings, boards, lacking)
    left_out += [LeftOut(what=f"service {service.name}", because=missing[service.product]) for service in absent]
    left_out += [
        LeftOut(what=f"mail to receiver {name}", because="watchstack:email names no mail server")
        for name in routing.without_mail(profiles, to)
    ]
    plan = Plan(
        settings=settings,
        ground=ground,
        services=_by_name(running),
        absent=_by_name(absent),
        jobs=scraped,
        alerts=tuple(alert for file in files for alert in file.alerts),
        records=tuple(record for file in files for record in file.records),
        pruned=tuple(file for pack in packs for file in pack.files if file.path in pruned),
        dashboards=boards,
        profiles=profiles,
        left_out=tuple(left_out),
        lacking=lacking,
    )
    _demand(plan, to, sorted({address for pack in packs for file in pack.files for address in file.written}))
    return plan


def _jobs(
    settings: Settings, ground: Ground, running: Sequence[Service], profiles: Sequence[Profile]
) -> tuple[tuple[ScrapeJob, ...], list[LeftOut]]:
    products = {name: service.product for service in running for name in (service.name, *service.aliases)}
    found, left_out = [prometheus.own_job(ground), *jobs.own(ground, running)], []
    for profile in profiles:
        more, without = jobs.of_system(ground, profile, settings.systems[profile.system], products)
        found += more
        left_out += without
    return tuple(sorted(found, key=lambda job: job.job)), left_out


def _given(settings: Settings) -> set[str]:
    """The services of real systems, by their names in the profiles."""
    return {name.partition(":")[0] for system in settings.systems.values() for name in system.targets}


def _packs(settings: Settings, profiles: Sequence[Profile]) -> list[Pack]:
    wanted: dict[str, str] = dict.fromkeys(COMMON_PACKS, "v1") | {str(name): v for name, v in settings.packs.items()}
    for profile in profiles:
        wanted |= dict.fromkeys(profile.packs, settings.systems[profile.system].pack)
    return [rules.pack(name, major, settings.override) for name, major in sorted(wanted.items())]


def _prune(
    packs: Sequence[Pack], components: frozenset[str], jobs: Sequence[ScrapeJob], profiles: Sequence[Profile]
) -> tuple[list[RuleFile], dict[str, LeftOut]]:
    """The rule files whose components run and whose metrics somebody exposes, and why, by path, the others are out."""
    files = [file for pack in packs for file in pack.files]
    reasons = {file.path: _not_run({*file.requires} - components) for file in files}
    # Of all that is exposed a plan needs to know only where a file asks for it.
    if asking := [file for file in files if file.metrics and not reasons[file.path]]:
        scraped = exposed.names(jobs, profiles)
        reasons |= {file.path: _not_scraped([name for name in file.metrics if name not in scraped]) for file in asking}
    left_out = {
        file.path: LeftOut(what=_listed(f"rules/{file.path}", [alert.name for alert in file.alerts]), because=because)
        for file in files
        if (because := reasons[file.path])
    }
    return [file for file in files if file.path not in left_out], left_out


def _not_run(components: Collection[str]) -> str:
    return f"needs {', '.join(sorted(components))}, which this environment does not run" if components else ""


def _not_scraped(metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
    return f"needs {metrics[0]}{more}, which no scrape job of this environment brings" if metrics else ""


def _listed(what: str, parts: Sequence[str]) -> str:
    return f"{what} ({', '.join(parts)})"


def _panels(settings: Settings, boards: Sequence[str], lacking: frozenset[str]) -> list[LeftOut]:
    """A line for the panels and links of each dashboard that lack the same components."""
    if not settings.grafana.enabled:
        return []
    return [
        LeftOut(what=_listed(f"dashboards/{board}", titles), because=_not_run(needs))
        for board in boards
        for needs, titles in dashboards.left_out(board, lacking).items()
    ]


def _deployed(files: Iterable[RuleFile]) -> list[File]:
    return [File(path=f"{prometheus.RULES}/{file.path}", text=file.text) for file in files]


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
    problems += routing.unreachable(plan.profiles, to)
    problems += [
        f"watchstack:secrets.{secret.secret}: missing; {service.name} reads it from {secret.path}. Give it with "
        f"`pulumi config set --secret --path 'watchstack:secrets.{secret.secret}'`, or `file: PATH` in the stack file"
        for service in plan.services
        for secret in service.secrets
        if not secret.generated and secret.secret not in plan.settings.secrets
    ]
    if problems:
        raise Refused("\n".join(problems))
