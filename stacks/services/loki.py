"""Loki: keeps the logs, in one process, for as long as asked, and evaluates the rules on them."""

from collections.abc import Sequence

from stacks.service import Endpoint, File, Ground, Limits, Port, Service, Volume, to_yaml
from stacks.services import object_storage
from stacks.services.prometheus import external_labels
from stacks.settings import LogBucket, ObjectStorage, Settings
from stacks.units import size_bytes

NAME = "loki"
PORT = 3100
GRPC = 9095

# The ruler reads a directory for each tenant, and without authentication there is one, called fake.
_TENANTS = "etc/rules"
RULES = f"{_TENANTS}/fake"

# Where chunks and index are in the volume, and the first day that may have some.
_CHUNKS = "data/chunks"
_FIRST_DAY = "2024-01-01"

# Resource attributes that become stream labels. Everything else is structured metadata, which costs no stream.
STREAM_LABELS = ("app", "k8s.namespace.name", "service.name", "system")


def rule_file(path: str, text: str) -> File:
    """A file of a pack as the ruler reads it: in no directory of its own, and without a restart."""
    return File(path=f"{RULES}/{path.replace('/', '-')}", text=text, on_change="watched")


def service(settings: Settings, ground: Ground, rules: Sequence[File], alertmanagers: Sequence[str]) -> Service:
    """`rules` are files made by `rule_file`, `alertmanagers` the host:port of each."""
    storage, bucket = settings.object_storage, settings.loki.bucket
    stored = _in_bucket(storage, bucket) if storage and bucket else _in_volume()
    config = {**_config(settings, ground), "ruler": _ruler(settings, alertmanagers), **stored}
    made = Service(
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
    return object_storage.reaching(made, storage) if storage and bucket else made


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
            "storage": {"filesystem": {"chunks_directory": _CHUNKS, "rules_directory": _TENANTS}},
        },
        # A single process has nobody to wait for: with the defaults it is ready after ten seconds, so after two.
        "frontend": {"scheduler_dns_lookup_period": "1s"},
        "frontend_worker": {"dns_lookup_duration": "1s"},
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}, "wal": {"replay_memory_ceiling": "512MB"}},
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


def _in_volume() -> dict[str, object]:
    return {
        "schema_config": {"configs": [_period(_FIRST_DAY, "filesystem")]},
        "compactor": _compactor("filesystem"),
    }


def _in_bucket(storage: ObjectStorage, bucket: LogBucket) -> dict[str, object]:
    """Since a day; what is older is read from the volume still."""
    before = [_period(_FIRST_DAY, "filesystem")] if bucket.since > _FIRST_DAY else []
    stores = {"filesystem": {"dir": _CHUNKS}, "s3": {"bucket_name": bucket.name, **object_storage.client(storage)}}
    return {
        # With this client, which needs no key in its configuration, what stands in `common.storage` does not count.
        "storage_config": {"use_thanos_objstore": True, "object_store": stores},
        "ruler_storage": {"backend": "local", "local": {"directory": _TENANTS}},
        "schema_config": {"configs": [*before, _period(bucket.since, "s3")]},
        "compactor": _compactor("s3"),
    }


def _period(since: str, store: str) -> dict[str, object]:
    # Retention works on daily tables only.
    index = {"prefix": "index_", "period": "24h"}
    return {"from": since, "store": "tsdb", "object_store": store, "schema": "v13", "index": index}


def _compactor(store: str) -> dict[str, object]:
    # Without the compactor's retention, retention_period is a wish: nothing is ever deleted.
    return {
        "working_directory": "data/compactor",
        "retention_enabled": True,
        "retention_delete_delay": "2h",
        "delete_request_store": store,
    }
