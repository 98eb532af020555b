"""Loki: keeps the logs, in one process, for as long as asked, and evaluates the rules on them."""

from collections.abc import Sequence

from stacks.service import Endpoint, File, Ground, Limits, Port, Service, Volume, to_yaml
from stacks.services.prometheus import external_labels
from stacks.settings import Settings
from stacks.units import size_bytes

NAME = "loki"
PORT = 3100
GRPC = 9095

# The ruler reads a directory for each tenant, and without authentication there is one, called fake.
_TENANTS = "etc/rules"
RULES = f"{_TENANTS}/fake"

# Resource attributes that become stream labels. Everything else is structured metadata, which costs no stream.
STREAM_LABELS = ("app", "k8s.namespace.name", "service.name", "system")


def rule_file(path: str, text: str) -> File:
    """A file of a pack as the ruler reads it: in no directory of its own, and without a restart."""
    return File(path=f"{RULES}/{path.replace('/', '-')}", text=text, on_change="watched")


def service(settings: Settings, ground: Ground, rules: Sequence[File], alertmanagers: Sequence[str]) -> Service:
    """`rules` are files made by `rule_file`, `alertmanagers` the host:port of each."""
    config = {**_config(settings, ground), "ruler": _ruler(settings, alertmanagers)}
    return Service(
        name=NAME,
        product="loki",
        program="loki",
        args=("-config.file=etc/loki.yml",),
        ports=(Port(name="http", number=PORT), Port(name="grpc", number=GRPC)),
        files=(File(path="etc/loki.yml", text=to_yaml(config), on_change="restart"), *rules),
        volumes=(Volume(path="data", size=size_bytes(settings.loki.volume)),),
        ready=Endpoint(port="http", path="/ready"),
        metrics=Endpoint(port="http", path="/metrics"),
        limits=Limits(memory=1024 * 2**20, cpus=2),
    )


def _config(settings: Settings, ground: Ground) -> dict[str, object]:
    host, _, port = ground.listen(PORT).rpartition(":")
    inmemory = {"kvstore": {"store": "inmemory"}}
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_address": host,
            "http_listen_port": int(port),
            "grpc_listen_address": host,
            "grpc_listen_port": ground.bind(GRPC),
            "log_format": "json",
            "log_level": "warn",
        },
        "common": {
            "path_prefix": "data",
            "replication_factor": 1,
            "instance_addr": "127.0.0.1",
            "ring": {**inmemory, "instance_addr": "127.0.0.1"},
            "storage": {"filesystem": {"chunks_directory": "data/chunks", "rules_directory": _TENANTS}},
        },
        # A single process has nobody to wait for: with the defaults it is ready after ten seconds, so after two.
        "frontend": {"scheduler_dns_lookup_period": "1s"},
        "frontend_worker": {"dns_lookup_duration": "1s"},
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}, "wal": {"replay_memory_ceiling": "512MB"}},
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    # Retention works on daily tables only.
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        # Without the compactor's retention, retention_period is a wish: nothing is ever deleted.
        "compactor": {
            "working_directory": "data/compactor",
            "retention_enabled": True,
            "retention_delete_delay": "2h",
            "delete_request_store": "filesystem",
        },
        "limits_config": {
            "retention_period": settings.loki.retention,
            "allow_structured_metadata": True,
            "otlp_config": {
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [{"action": "index_label", "attributes": list(STREAM_LABELS)}],
                }
            },
        },
    }


def _ruler(settings: Settings, alertmanagers: Sequence[str]) -> dict[str, object]:
    return {
        "alertmanager_url": ",".join(f"http://{address}" for address in alertmanagers),
        "enable_alertmanager_v2": True,
        "evaluation_interval": settings.prometheus.evaluation_interval,
        # An edit of the rules is in force without a restart, this much later.
        "poll_interval": "5s",
        "external_labels": external_labels(settings),
    }
