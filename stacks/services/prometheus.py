"""Prometheus: scrapes the jobs, evaluates the rules, tells every Alertmanager."""

from collections.abc import Sequence

from stacks import fast_forward
from stacks.fast_forward import Pace
from stacks.service import (
    PLATFORM,
    Endpoint,
    File,
    Ground,
    Port,
    Reload,
    ScrapeJob,
    ScrapeTarget,
    SecretFile,
    Service,
    Volume,
    to_yaml,
)
from stacks.settings import Settings
from stacks.units import size_bytes, size_text

NAME = "prometheus"
PORT = 9090
RULES = "etc/rules"

# The write-ahead log and the block being made count for nothing in retention.size, so a fifth is left to them.
SAMPLES_SHARE = 0.8

# A target that goes wrong must not take the server with it.
LIMITS = {
    "body_size_limit": "32MB",
    "sample_limit": 50_000,
    "label_limit": 64,
    "label_name_length_limit": 256,
    "label_value_length_limit": 2048,
    "target_limit": 1000,
}


def own_job(ground: Ground) -> ScrapeJob:
    """Prometheus watches itself like any other target."""
    target = ScrapeTarget(address=ground.address(NAME, PORT), instance=f"{NAME}:{PORT}")
    return ScrapeJob(job=NAME, system=PLATFORM, targets=(target,))


def service(
    settings: Settings,
    ground: Ground,
    jobs: Sequence[ScrapeJob],
    rules: Sequence[File],
    alertmanagers: Sequence[str],
) -> Service:
    """`rules` are the rule files below `etc/rules`, `alertmanagers` the host:port of each."""
    tokens = sorted({job.token for job in jobs if job.token})
    return Service(
        name=NAME,
        product="prometheus",
        program="prometheus",
        args=(
            "--config.file=etc/prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={ground.listen(PORT)}",
            f"--web.external-url={ground.url(NAME, PORT)}",
            "--enable-feature=exemplar-storage",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        files=(
            File(path="etc/prometheus.yml", text=to_yaml(_config(settings, jobs, rules, alertmanagers))),
            *rules,
        ),
        secrets=tuple(SecretFile(path=_secret(name), secret=name) for name in tokens),
        volumes=(Volume(path="data", size=size_bytes(settings.prometheus.volume)),),
        ready=Endpoint(port="http", path="/-/ready"),
        reload=Reload(
            at=Endpoint(port="http", path="/metrics"),
            proof="prometheus_config_last_reload_success_timestamp_seconds",
            success="prometheus_config_last_reload_successful",
        ),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
    )


def _config(
    settings: Settings, jobs: Sequence[ScrapeJob], rules: Sequence[File], alertmanagers: Sequence[str]
) -> dict[str, object]:
    wanted = settings.prometheus
    return {
        "global": {
            "scrape_interval": wanted.scrape_interval,
            "evaluation_interval": wanted.evaluation_interval,
            # Prometheus expands $NAME in external labels; ours are meant as they stand.
            "external_labels": {name: value.replace("$", "$$") for name, value in external_labels(settings).items()},
        },
        "storage": {"tsdb": {"retention": {"time": wanted.retention, "size": sample_bytes(wanted.volume)}}},
        "rule_files": [file.path.removeprefix("etc/") for file in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": sorted(alertmanagers)}]}]},
        "scrape_configs": [_scrape(job, fast_forward.pace(settings)) for job in jobs],
    }


def external_labels(settings: Settings) -> dict[str, str]:
    """What joins every alert and sample that leaves this Prometheus, unless it has such a label itself."""
    return {"cluster": settings.environment, "environment": settings.environment, **settings.external_labels}


def sample_bytes(volume: str) -> str:
    """The share of the volume that samples may fill, in whole megabytes."""
    return size_text(int(size_bytes(volume) * SAMPLES_SHARE) // 2**20 * 2**20)


def _scrape(job: ScrapeJob, at: Pace) -> dict[str, object]:
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
        "static_configs": [
            {
                "targets": [target.address],
                "labels": {**target.labels, "instance": target.instance, "system": job.system},
            }
            for target in job.targets
        ],
        **{key: value for key, value in own.items() if value is not None},
        **LIMITS,
    }


def _secret(name: str) -> str:
    return f"secrets/{name}"
