"""The Plan: everything an environment will be, as frozen values, before anything is touched."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import apps
import dashboards
import rules
from apps import Profile
from rules import Alert, Pack, RuleFile, target_missing
from stacks.service import PLATFORM, Endpoint, File, Ground, LogSource, ScrapeJob, Service
from stacks.services import (
    alertmanager,
    capture,
    collector,
    grafana,
    loki,
    node_exporter,
    prometheus,
    workload,
)
from stacks.settings import Settings
from stacks.strict import Refused, nearest

PLATFORM_DASHBOARDS = ("stack-health",)

# What a panel, a link or a rule may need and an environment may lack.
OPTIONAL = frozenset({"cadvisor", grafana.NAME, "jaeger", loki.NAME, collector.NAME, node_exporter.NAME})


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What the environment does not get, and why."""

    what: str
    because: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`services` holds what runs; `absent` what should and cannot, with its files all the same."""

    settings: Settings
    ground: Ground
    services: tuple[Service, ...]
    absent: tuple[Service, ...]
    jobs: tuple[ScrapeJob, ...]
    alerts: tuple[Alert, ...]
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

    names = _names(settings, profiles, missing)
    lacking = OPTIONAL - names
    described = _describe(settings, ground, profiles, names)
    if settings.grafana.enabled:
        described.append(_grafana(settings, ground, boards, lacking))
    running = [service for service in described if service.name in names]
    absent = [service for service in described if service.name not in names]

    jobs = _jobs(settings, ground, running, profiles)
    packs = _packs(settings, profiles)
    files, left_out = _prune(packs, names)
    files.append(target_missing.file(jobs, settings.override))
    alertmanagers = [ground.address(alertmanager.NAME, alertmanager.PORT)]
    running.append(prometheus.service(settings, ground, jobs, _deployed(files), alertmanagers))
    left_out += [LeftOut(what=f"service {service.name}", because=missing[service.product]) for service in absent]
    plan = Plan(
        settings=settings,
        ground=ground,
        services=_by_name(running),
        absent=_by_name(absent),
        jobs=jobs,
        alerts=tuple(alert for file in files for alert in file.alerts),
        dashboards=boards,
        profiles=profiles,
        left_out=tuple(left_out),
        lacking=lacking,
    )
    _demand(plan, sorted({address for pack in packs for file in pack.files for address in file.written}))
    return plan


def _names(settings: Settings, profiles: Sequence[Profile], missing: Mapping[str, str]) -> frozenset[str]:
    """The services that will run: what logs come from, and what rules and panels may rely on."""
    wanted = {
        prometheus.NAME: True,
        alertmanager.NAME: True,
        capture.NAME: settings.capture.enabled,
        collector.NAME: settings.loki.enabled,
        grafana.NAME: settings.grafana.enabled and grafana.NAME not in missing,
        loki.NAME: settings.loki.enabled,
        node_exporter.NAME: settings.node_exporter.enabled,
        **{profile.system: settings.systems[profile.system].workload for profile in profiles},
    }
    return frozenset(name for name, runs in wanted.items() if runs)


def _describe(settings: Settings, ground: Ground, profiles: Sequence[Profile], names: frozenset[str]) -> list[Service]:
    """The services that run, but Prometheus and Grafana, which are told of all the others."""
    receiver = ground.address(capture.NAME, capture.PORT) if capture.NAME in names else None
    described = [alertmanager.service(settings, ground, profiles, receiver)]
    if capture.NAME in names:
        described.append(capture.service(ground))
    if loki.NAME in names:
        described.append(loki.service(settings, ground))
        described.append(collector.service(ground, _log_sources(names, profiles), _loki_url(ground)))
    if node_exporter.NAME in names:
        described.append(node_exporter.service(ground))
    return described + [
        workload.service(ground, profile.system, profile.workload.program, profile.workload.port)
        for profile in profiles
        if profile.workload and profile.system in names
    ]


def _grafana(settings: Settings, ground: Ground, boards: Sequence[str], lacking: frozenset[str]) -> Service:
    files = [
        File(
            path=f"{grafana.DASHBOARDS}/{name}.json",
            text=dashboards.render(name, lacking),
            on_change="watched",
        )
        for name in boards
    ]
    return grafana.service(
        ground,
        ground.url(prometheus.NAME, prometheus.PORT),
        _loki_url(ground) if settings.loki.enabled else None,
        ground.url(alertmanager.NAME, alertmanager.PORT),
        files,
    )


def _loki_url(ground: Ground) -> str:
    return ground.url(loki.NAME, loki.PORT)


def _log_sources(names: Collection[str], profiles: Sequence[Profile]) -> list[LogSource]:
    systems = {profile.system for profile in profiles}
    return [
        LogSource(service=name, system=name if name in systems else PLATFORM, glob=f"../{name}/log/*.log")
        for name in sorted(names)
    ]


def _jobs(
    settings: Settings, ground: Ground, running: Sequence[Service], profiles: Sequence[Profile]
) -> tuple[ScrapeJob, ...]:
    own = [
        ScrapeJob(
            job=service.name,
            address=ground.address(service.name, port := service.port(service.metrics.port)),
            instance=f"{service.name}:{port}",
            system=PLATFORM,
            path=service.metrics.path,
        )
        for service in running
        if service.metrics
    ]
    applications = [
        ScrapeJob(
            job=job.job,
            address=settings.systems[profile.system].target or ground.address(job.service, job.port),
            instance=settings.systems[profile.system].target or f"{job.service}:{job.port}",
            system=profile.system,
            path=job.path,
            interval=job.interval,
        )
        for profile in profiles
        for job in profile.jobs
    ]
    return tuple(sorted([prometheus.own_job(ground), *own, *applications], key=lambda job: job.job))


def _packs(settings: Settings, profiles: Sequence[Profile]) -> list[Pack]:
    wanted = {PLATFORM: settings.platform_pack}
    for profile in profiles:
        wanted |= dict.fromkeys(profile.packs, settings.systems[profile.system].pack)
    return [rules.pack(name, major, settings.override) for name, major in sorted(wanted.items())]


def _prune(packs: Sequence[Pack], components: frozenset[str]) -> tuple[list[RuleFile], list[LeftOut]]:
    """The rule files whose components all run, and a line for each of the others."""
    kept, left_out = [], []
    for file in (file for pack in packs for file in pack.files):
        lacking = sorted(set(file.requires) - components)
        if lacking:
            names = ", ".join(alert.name for alert in file.alerts)
            because = f"needs {', '.join(lacking)}, which this environment does not run"
            left_out.append(LeftOut(what=f"rules/{file.path} ({names})", because=because))
        else:
            kept.append(file)
    return kept, left_out


def _deployed(files: Iterable[RuleFile]) -> list[File]:
    return [File(path=f"{prometheus.RULES}/{file.path}", text=file.text) for file in files]


def _by_name(services: Iterable[Service]) -> tuple[Service, ...]:
    return tuple(sorted(services, key=lambda service: service.name))


def _demand(plan: Plan, written: Sequence[str]) -> None:
    """Refused if the settings name an alert that is not there, or do not give a secret that is needed."""
    problems = [
        f"watchstack:override.{address}: no such alert; {nearest(address, list(written))}"
        for address in sorted({*plan.settings.override} - {*written})
    ]
    problems += [
        f"watchstack:systems.{profile.system}.workload: apps/{profile.system}.yaml names none; give `target` instead"
        for profile in plan.profiles
        if plan.settings.systems[profile.system].workload and profile.workload is None
    ]
    problems += [
        f"watchstack:secrets.{secret.secret}: missing; {service.name} reads it from {secret.path}. Give it with "
        f"`pulumi config set --secret --path 'watchstack:secrets.{secret.secret}'`, or `file: PATH` in the stack file"
        for service in plan.services
        for secret in service.secrets
        if not secret.generated and secret.secret not in plan.settings.secrets
    ]
    if problems:
        raise Refused("\n".join(problems))
