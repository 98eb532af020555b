"""Jaeger: keeps the traces, in one process with Badger on its own disk, for as long as asked."""

from stacks.service import Endpoint, File, Ground, Limits, Port, Reload, Service, Volume, to_yaml
from stacks.services.collector import reader
from stacks.settings import Settings
from stacks.units import seconds, size_bytes

NAME = "jaeger"
UI = 16686
QUERY_GRPC = 16685
# Beside the collector's 4317, 8888 and 13133, because on one machine they share the addresses.
OTLP_GRPC = 4327
METRICS = 8889
HEALTH = 13134


def service(settings: Settings, ground: Ground) -> Service:
    return Service(
        name=NAME,
        product="jaeger",
        program="jaeger",
        args=("--config=file:etc/jaeger.yml",),
        ports=(
            Port(name="ui", number=UI),
            Port(name="query-grpc", number=QUERY_GRPC),
            Port(name="otlp-grpc", number=OTLP_GRPC),
            Port(name="metrics", number=METRICS),
            Port(name="health", number=HEALTH),
        ),
        files=(File(path="etc/jaeger.yml", text=to_yaml(_config(settings, ground))),),
        volumes=(Volume(path="data", size=size_bytes(settings.jaeger.volume)),),
        ready=Endpoint(port="health", path="/status"),
        # No metric tells of a reload; the start time in the health answer does.
        reload=Reload(at=Endpoint(port="health", path="/status"), proof="start_time"),
        metrics=Endpoint(port="metrics", path="/metrics"),
        page=Endpoint(port="ui", path="/"),
        limits=Limits(memory=1024 * 2**20, cpus=2),
    )


def _config(settings: Settings, ground: Ground) -> dict[str, object]:
    return {
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": ground.listen(HEALTH)}},
            "jaeger_query": {
                "storage": {"traces": "badger"},
                "http": {"endpoint": ground.listen(UI)},
                "grpc": {"endpoint": ground.listen(QUERY_GRPC)},
                # Traces of Jaeger itself would go to the default address of OTLP, whoever listens there.
                "enable_tracing": False,
            },
            "jaeger_storage": {"backends": {"badger": {"badger": _badger(settings)}}},
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": ground.listen(OTLP_GRPC)}}}},
        "processors": {
            # Refused spans wait in the collector.
            "memory_limiter": {"check_interval": "1s", "limit_mib": 512, "spike_limit_mib": 128},
            "batch": {"timeout": "1s"},
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "badger"}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["jaeger_storage_exporter"],
                }
            },
            "telemetry": {
                "logs": {"encoding": "json", "level": "warn"},
                "metrics": {"readers": [{"pull": {"exporter": {"prometheus": reader(ground, METRICS)}}}]},
            },
        },
    }


def _badger(settings: Settings) -> dict[str, object]:
    return {
        "directories": {"keys": "data/keys", "values": "data/values"},
        "ephemeral": False,
        # Go has no unit above the hour.
        "ttl": {"spans": f"{seconds(settings.jaeger.retention):.0f}s"},
    }
