"""Scrape jobs: of the stack's own services, and of the systems that it watches."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from apps import Job, Profile, Target
from stacks.service import PLATFORM, Found, Ground, ScrapeJob, ScrapeTarget, Service
from stacks.services import kube_state_metrics
from stacks.settings import System
from stacks.strict import nearest

# The product of services that are programs of this repository, such as those of a simulated system.
OURS = "python"
# What runs the pods of a node, by whose metrics the cluster is seen.
KUBELET = "kubelet"
KUBELET_PORT = 10250


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What the environment does not get, and why."""

    what: str
    because: str


def own(ground: Ground, services: Iterable[Service]) -> list[ScrapeJob]:
    """A job for each service of the stack that has metrics. Replicas are targets of one job."""
    targets: dict[tuple[str, str, str, Found | None], list[ScrapeTarget]] = defaultdict(list)
    for service in services:
        if service.metrics:
            place = ground.replica(service.replica)
            number = service.port(service.metrics.port)
            called = f"{service.machine or service.name}:{number}"
            target = ScrapeTarget(address=place.address(service.name, number), instance=called)
            program = service.kind if service.product == OURS else service.product
            each: Found | None = "each" if service.per_node and ground.target == "kubernetes" else None
            targets[service.kind, service.metrics.path, program, each].append(target)
    return [
        ScrapeJob(job=kind, system=PLATFORM, targets=tuple(there), path=path, program=program, found=found)
        for (kind, path, program, found), there in targets.items()
    ]


def of_cluster(ground: Ground, taken: Collection[str]) -> list[ScrapeJob]:
    """The jobs of a cluster itself, but those that a system has in its profile."""
    nodes = (_running(ground, KUBELET, KUBELET_PORT),)
    objects = (_running(ground, kube_state_metrics.NAME, kube_state_metrics.PORT),)
    jobs = (
        ScrapeJob(job=KUBELET, system=PLATFORM, targets=nodes, found="nodes", honor_labels=True, program=KUBELET),
        ScrapeJob(
            job=f"{KUBELET}-cadvisor",
            system=PLATFORM,
            targets=nodes,
            path="/metrics/cadvisor",
            found="nodes",
            honor_labels=True,
            program=f"{KUBELET}-cadvisor",
        ),
        ScrapeJob(
            job=kube_state_metrics.NAME,
            system=PLATFORM,
            targets=objects,
            honor_labels=True,
            program=kube_state_metrics.NAME,
        ),
    )
    return [job for job in jobs if job.job not in taken]


def of_system(
    ground: Ground, profile: Profile, wanted: System, running: Mapping[str, str]
) -> tuple[list[ScrapeJob], list[LeftOut]]:
    """The jobs of a system, and those that have nothing to scrape. `running` are the products by service."""
    jobs, left_out = [], []
    for job in profile.jobs:
        if not job.enabled and job.job not in wanted.jobs:
            continue
        found = job.found is not None and ground.target == "kubernetes"
        targets = [target for target in job.targets if found or _given(target, wanted) or target.service in running]
        if targets:
            real = found or any(_given(target, wanted) or running[target.service] != OURS for target in targets)
            scraped = _job(ground, profile, job, targets, wanted)
            jobs.append(scraped if real else replace(scraped, program=None))
        else:
            services = ", ".join(target.service for target in job.targets)
            because = f"watchstack:systems.{profile.system}.targets does not say where {services} is"
            left_out.append(LeftOut(what=f"scrape job {job.job}", because=because))
    return jobs, left_out


def problems(profile: Profile, wanted: System) -> list[str]:
    """What the settings of a system ask for that its profile does not have."""
    prefix = f"watchstack:systems.{profile.system}"
    targets = [target for job in profile.jobs for target in job.targets]
    services = sorted({name for target in targets for name in _names(target)})
    jobs = [job.job for job in profile.jobs if not job.enabled]
    asked = dict.fromkeys(wanted.targets, services) | dict.fromkeys(wanted.jobs, jobs)
    found = [
        f"{prefix}.{'targets' if known is services else 'jobs'}: apps/{profile.system}.yaml has no {name!r}; "
        f"{nearest(name, known)}"
        for name, known in asked.items()
        if name not in known
    ]
    found += [
        f"{prefix}.exporters.{kind}: apps/{profile.system}.yaml names no such exporter"
        for kind, server in (("postgres", wanted.exporters.postgres), ("redis", wanted.exporters.redis))
        if server and kind not in profile.exporters
    ]
    if wanted.workload and not profile.workload:
        found.append(f"{prefix}.workload: apps/{profile.system}.yaml names none; give `targets` instead")
    return found


def _job(ground: Ground, profile: Profile, job: Job, targets: Sequence[Target], wanted: System) -> ScrapeJob:
    urls = [_given(target, wanted) or "" for target in targets]
    return ScrapeJob(
        job=job.job,
        system=profile.system,
        targets=tuple(_target(ground, target, wanted) for target in targets),
        path=job.path,
        interval=job.interval,
        scheme="https" if any(url.startswith("https://") for url in urls) else "http",
        token=wanted.token,
        honor_labels=job.honor_labels,
        program=job.program,
        found=job.found if ground.target == "kubernetes" else None,
    )


def _target(ground: Ground, target: Target, wanted: System) -> ScrapeTarget:
    if (given := _given(target, wanted)) is not None:
        address = given.rpartition("//")[2]
        return ScrapeTarget(address=address, instance=address, labels=target.labels)
    return _running(ground, target.service, target.port, target.labels)


def _given(target: Target, wanted: System) -> str | None:
    """Where the settings say that a target is."""
    return next((wanted.targets[name] for name in _names(target) if name in wanted.targets), None)


def _names(target: Target) -> tuple[str, str]:
    return f"{target.service}:{target.port}", target.service


def _running(ground: Ground, service: str, port: int, labels: dict[str, str] | None = None) -> ScrapeTarget:
    return ScrapeTarget(address=ground.address(service, port), instance=f"{service}:{port}", labels=labels or {})
