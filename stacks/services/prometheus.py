"""Prometheus: scrapes the jobs, evaluates the rules, tells every Alertmanager."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stacks import fast_forward, sizing
from stacks.fast_forward import Pace
from stacks.service import (
    PLATFORM,
    Endpoint,
    File,
    Ground,
    Host,
    Limits,
    Port,
    Reload,
    ScrapeJob,
    ScrapeTarget,
    SecretFile,
    Service,
    Volume,
    replica_name,
    replicas,
    to_yaml,
)
from stacks.services import docker_discovery, kubernetes_discovery, remote_write
from stacks.settings import RemoteWrite, Settings
from stacks.units import size_bytes, size_text

NAME = "prometheus"
PORT = 9090
RULES = "etc/rules"
SECRETS = "secrets"

# The external label that tells the samples of replicas apart, and that no alert may have: Alertmanager would take
# the same alert of two of them for two.
REPLICA = "replica"

# A target that goes wrong must not take the server with it.
LIMITS = {
    "body_size_limit": "32MB",
    "sample_limit": 50_000,
    "label_limit": 64,
    "label_name_length_limit": 256,
    "label_value_length_limit": 2048,
    "target_limit": 1000,
}


def own_job(ground: Ground, count: int) -> ScrapeJob:
    """Prometheus watches itself, and its replicas, like any other target."""
    targets = (
        ScrapeTarget(address=place.address(name, PORT), instance=f"{name}:{PORT}")
        for name, place in replicas(ground, NAME, count)
    )
    return ScrapeJob(job=NAME, system=PLATFORM, targets=tuple(targets), program=NAME)


def external_labels(settings: Settings) -> dict[str, str]:
    """What joins every alert and sample that leaves the environment, unless it has such a label itself."""
    return {"cluster": settings.environment, "environment": settings.environment, **settings.external_labels}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What Prometheus finds in a cluster: in which namespaces, by the system of each, and where the stack's own are."""

    systems: Mapping[str, str]
    hosts: str
    annotated: bool
    verified: bool


def services(
    settings: Settings,
    ground: Ground,
    jobs: Sequence[ScrapeJob],
    rules: Sequence[File],
    alertmanagers: Sequence[str],
    backends: Mapping[str, RemoteWrite],
    sight: Sight | None,
) -> list[Service]:
    """The replicas, each of which does everything.

    `rules` are the rule files below `etc/rules`, `alertmanagers` the host:port of each, `backends` who else gets the
    samples, `sight` is there in a cluster.
    """
    return [
        _service(settings, ground.replica(number), number, jobs, rules, alertmanagers, backends, sight)
        for number in range(1, settings.prometheus.replicas + 1)
    ]


def _service(
    settings: Settings,
    ground: Ground,
    replica: int,
    jobs: Sequence[ScrapeJob],
    rules: Sequence[File],
    alertmanagers: Sequence[str],
    backends: Mapping[str, RemoteWrite],
    sight: Sight | None,
) -> Service:
    name, load = replica_name(NAME, replica), sizing.of_jobs(settings, jobs)
    tokens = {job.token for job in jobs if job.token} | remote_write.credentials(backends)
    return Service(
        name=name,
        replica=replica,
        product="prometheus",
        program="prometheus",
        args=(
            "--config.file=etc/prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={ground.listen(PORT)}",
            f"--web.external-url={ground.page(name, PORT)}",
            "--enable-feature=exemplar-storage",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        files=(
            File(
                path="etc/prometheus.yml",
                text=to_yaml(_config(settings, name, jobs, rules, alertmanagers, backends, sight)),
            ),
            *rules,
        ),
        secrets=tuple(SecretFile(path=_secret(token), secret=token) for token in sorted(tokens)),
        volumes=(Volume(path="data", size=size_bytes(settings.prometheus.volume)),),
        ready=Endpoint(port="http", path="/-/ready"),
        reload=Reload(
            at=Endpoint(port="http", path="/metrics"),
            proof="prometheus_config_last_reload_success_timestamp_seconds",
            success="prometheus_config_last_reload_successful",
        ),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
        limits=Limits(memory=sizing.memory(load), cpus=sizing.processors(load)),
        outbound=True,
        host=_socket(settings),
        access=kubernetes_discovery.access(sorted(sight.systems), sight.hosts) if sight else (),
    )


def _config(
    settings: Settings,
    name: str,
    jobs: Sequence[ScrapeJob],
    rules: Sequence[File],
    alertmanagers: Sequence[str],
    backends: Mapping[str, RemoteWrite],
    sight: Sight | None,
) -> dict[str, object]:
    wanted = settings.prometheus
    several = wanted.replicas > 1
    labels = {**external_labels(settings), **({REPLICA: name} if several else {})}
    alerting: dict[str, object] = {"alertmanagers": [{"static_configs": [{"targets": sorted(alertmanagers)}]}]}
    if several:
        alerting["alert_relabel_configs"] = [{"action": "labeldrop", "regex": REPLICA}]
    sent = {"remote_write": remote_write.config(backends, f"../{SECRETS}")} if backends else {}
    return {
        "global": {
            "scrape_interval": wanted.scrape_interval,
            "evaluation_interval": wanted.evaluation_interval,
            # Prometheus expands $NAME in external labels; ours are meant as they stand.
            "external_labels": {label: value.replace("$", "$$") for label, value in labels.items()},
        },
        "storage": {"tsdb": {"retention": {"time": wanted.retention, "size": size_text(sizing.room(wanted.volume))}}},
        "rule_files": [file.path.removeprefix("etc/") for file in rules],
        "alerting": alerting,
        "scrape_configs": [
            *(_scrape(job, fast_forward.pace(settings), sight) for job in jobs),
            *_discovered(settings),
            *({**job, **LIMITS} for job in _annotated(sight, jobs)),
        ],
        **sent,
    }


def _annotated(sight: Sight | None, jobs: Sequence[ScrapeJob]) -> list[dict[str, object]]:
    return kubernetes_discovery.annotated(sight.systems, jobs) if sight and sight.annotated else []


def _socket(settings: Settings) -> Host | None:
    if not _discovers(settings):
        return None
    wanted = settings.docker
    return Host(mounts={docker_discovery.SOCKET: wanted.socket}, groups=(wanted.socket_group,))


def _discovers(settings: Settings) -> bool:
    return settings.target == "docker" and settings.docker.discover


def _discovered(settings: Settings) -> list[dict[str, object]]:
    return [{**docker_discovery.job(settings.environment), **LIMITS}] if _discovers(settings) else []


def _scrape(job: ScrapeJob, at: Pace, sight: Sight | None) -> dict[str, object]:
    own: dict[str, object] = {
        "scheme": job.scheme if job.scheme != "http" else None,
        "scrape_interval": at.interval(job.interval) if job.interval else None,
        "honor_labels": job.honor_labels or None,
        # Prometheus resolves it from the directory of its configuration file.
        "authorization": {"credentials_file": f"../{_secret(job.token)}"} if job.token else None,
    }
    return {
        "job_name": job.job,
        "metrics_path": job.path,
        **_targets(job, sight),
        **{key: value for key, value in own.items() if value is not None},
        **LIMITS,
    }


def _targets(job: ScrapeJob, sight: Sight | None) -> dict[str, object]:
    if sight and job.found:
        return kubernetes_discovery.targets(job, sight.systems, sight.hosts, verified=sight.verified)
    return {
        "static_configs": [
            {
                "targets": [target.address],
                "labels": {**target.labels, "instance": target.instance, "system": job.system},
            }
            for target in job.targets
        ]
    }


def _secret(name: str) -> str:
    return f"{SECRETS}/{name}"
