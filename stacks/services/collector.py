"""OpenTelemetry Collector: reads what every service logs, takes OTLP, hands logs to Loki and traces to Jaeger."""

import json
from collections.abc import Sequence
from dataclasses import replace

from stacks.service import (
    ENVIRONMENT,
    KIND,
    NODE,
    SERVICE,
    SYSTEM,
    Access,
    ContainerLogs,
    Endpoint,
    File,
    Ground,
    Host,
    Limits,
    LogSource,
    PodLogs,
    Port,
    Reload,
    Service,
    Volume,
    to_yaml,
)

NAME = "otel-collector"
OTLP_GRPC = 4317
OTLP_HTTP = 4318
METRICS = 8888
HEALTH = 13133
QUEUE = 256 * 2**20
# Where it sees the directory with the engine's log files.
_CONTAINERS = "/containers"
# On each node of a cluster, for what its pods print.
LOGS = "log-collector"
_PODS = "/var/log/pods"
# Log lines: of files, or of containers.
Sources = Sequence[LogSource] | ContainerLogs

# Prometheus, Alertmanager and node_exporter write `time`, Loki and the collector `ts`.
_RFC3339 = "2006-01-02T15:04:05.999999999Z07:00"


def _time(key: str) -> dict[str, object]:
    return {
        "type": "time_parser",
        "if": f"attributes.{key} != nil",
        "parse_from": f"attributes.{key}",
        "layout_type": "gotime",
        "layout": _RFC3339,
        "on_error": "send_quiet",
    }


_OPERATORS: tuple[dict[str, object], ...] = (
    {"type": "json_parser", "if": 'body matches "^{"', "on_error": "send_quiet"},
    _time("time"),
    _time("ts"),
    {
        "type": "severity_parser",
        "if": "attributes.level != nil",
        "parse_from": "attributes.level",
        # Python, syslog and Go have names of their own for what a program does not survive.
        "mapping": {"fatal": ["critical", "crit", "emerg", "panic"]},
    },
    {
        "type": "trace_parser",
        "if": "attributes.trace_id != nil",
        "trace_id": {"parse_from": "attributes.trace_id"},
        "span_id": {"parse_from": "attributes.span_id"},
        "on_error": "send_quiet",
    },
)

_LIMITED: dict[str, object] = {
    "memory_limiter": {"check_interval": "1s", "limit_mib": 256, "spike_limit_mib": 64},
    "batch": {"timeout": "1s"},
}

# A line is of the service that the label `app` of its pod names, or of the container.
_OF_THE_POD = {
    "auth_type": "serviceAccount",
    "filter": {"node_from_env_var": NODE},
    "pod_association": [{"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}],
    "extract": {"metadata": ["k8s.node.name"], "labels": [{"tag_name": "app", "key": "app", "from": "pod"}]},
}
_NAMED = {
    "attributes": [
        {"action": "insert", "key": "app", "from_attribute": "k8s.container.name"},
        {"action": "insert", "key": "service.name", "from_attribute": "app"},
        {"action": "insert", "key": "service.instance.id", "from_attribute": "k8s.pod.name"},
    ]
}

# Lines and spans wait on disk for as long as their store is away, and survive a restart of the collector.
_WAITS = {
    "retry_on_failure": {"max_elapsed_time": "0s"},
    "sending_queue": {"storage": "file_storage", "queue_size": 1000},
}


def service(ground: Ground, sources: Sources, loki: str | None, jaeger: str | None) -> Service:
    """`loki` is the URL of Loki, `jaeger` the host:port of Jaeger's OTLP receiver; at least one of them."""
    return Service(
        name=NAME,
        product="otelcol",
        program="otelcol",
        args=("--config=file:etc/collector.yml",),
        ports=(
            Port(name="otlp-grpc", number=OTLP_GRPC),
            Port(name="otlp-http", number=OTLP_HTTP),
            Port(name="metrics", number=METRICS),
            Port(name="health", number=HEALTH),
        ),
        files=(File(path="etc/collector.yml", text=to_yaml(_config(ground, sources if loki else (), loki, jaeger))),),
        # Read positions and lines that Loki has not taken yet.
        volumes=(Volume(path="data", size=QUEUE),),
        ready=Endpoint(port="health", path="/"),
        # No metric tells of a reload; the start time in the health answer does.
        reload=Reload(at=Endpoint(port="health", path="/"), proof="upSince"),
        metrics=Endpoint(port="metrics", path="/metrics"),
        limits=Limits(memory=512 * 2**20),
        host=_sight(sources) if loki else None,
    )


def of_machine(ground: Ground, printed: ContainerLogs, otlp: str) -> Service:
    """The one that reads what containers of another machine print, and sends it to the one of the first, at `otlp`."""
    return replace(
        service(ground, printed, None, None),
        ports=(Port(name="metrics", number=METRICS), Port(name="health", number=HEALTH)),
        files=(File(path="etc/collector.yml", text=to_yaml(_forwarding(ground, printed, otlp))),),
        # Nobody on other machines needs to reach its health.
        ready=Endpoint(port="metrics", path="/metrics"),
        host=_sight(printed),
        outbound=True,
    )


def of_nodes(ground: Ground, pods: PodLogs, loki: str) -> Service:
    """The one that reads the log files of pods. It keeps nothing: Loki knows a line that comes twice."""
    return Service(
        name=LOGS,
        product="otelcol",
        program="otelcol",
        args=("--config=file:etc/collector.yml",),
        ports=(Port(name="metrics", number=METRICS), Port(name="health", number=HEALTH)),
        files=(File(path="etc/collector.yml", text=to_yaml(_of_pods(ground, pods, loki))),),
        ready=Endpoint(port="health", path="/"),
        reload=Reload(at=Endpoint(port="health", path="/"), proof="upSince"),
        metrics=Endpoint(port="metrics", path="/metrics"),
        limits=Limits(memory=512 * 2**20),
        # The files are root's, and nobody else may list them.
        host=Host(mounts={_PODS: _PODS}, capabilities=("DAC_READ_SEARCH",)),
        per_node=True,
        # Cluster-wide: a node has pods of all namespaces, and is asked for its own alone.
        access=(Access(resources=("pods", "namespaces")), Access(group="apps", resources=("replicasets",))),
    )


def _of_pods(ground: Ground, pods: PodLogs, loki: str) -> dict[str, object]:
    return {
        "extensions": {"health_check": {"endpoint": ground.listen(HEALTH)}},
        "receivers": {"file_log/pods": _pod_logs(pods)},
        "processors": {**_LIMITED, "k8s_attributes": _OF_THE_POD, "resource/named": _NAMED},
        "exporters": {"otlp_http/loki": {"endpoint": f"{loki}/otlp", "retry_on_failure": {"max_elapsed_time": "0s"}}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log/pods"],
                    "processors": ["memory_limiter", "k8s_attributes", "resource/named", "batch"],
                    "exporters": ["otlp_http/loki"],
                }
            },
            "telemetry": _telemetry(ground),
        },
    }


def _forwarding(ground: Ground, printed: ContainerLogs, otlp: str) -> dict[str, object]:
    receivers = _receivers(printed)
    return {
        **_kept(ground, {"logs": _pipeline([*receivers], "otlp_http/first")}),
        "receivers": receivers,
        "exporters": {"otlp_http/first": {"endpoint": otlp, **_WAITS}},
    }


def _sight(sources: Sources) -> Host | None:
    """The engine's log files are root's, and nobody else may list them."""
    if not isinstance(sources, ContainerLogs):
        return None
    return Host(mounts={_CONTAINERS: sources.directory}, capabilities=("DAC_READ_SEARCH",))


def _config(ground: Ground, sources: Sources, loki: str | None, jaeger: str | None) -> dict[str, object]:
    files = _receivers(sources)
    otlp = {
        "grpc": {"endpoint": ground.listen(OTLP_GRPC)},
        "http": {"endpoint": ground.listen(OTLP_HTTP)},
    }
    exporters: dict[str, object] = {}
    pipelines: dict[str, object] = {}
    if loki:
        exporters["otlp_http/loki"] = {"endpoint": f"{loki}/otlp", **_WAITS}
        pipelines["logs"] = _pipeline(["otlp", *files], "otlp_http/loki")
    if jaeger:
        exporters["otlp_grpc/jaeger"] = {"endpoint": jaeger, "tls": {"insecure": True}, **_WAITS}
        pipelines["traces"] = _pipeline(["otlp"], "otlp_grpc/jaeger")
    return {
        **_kept(ground, pipelines),
        "receivers": {"otlp": {"protocols": otlp}, **files},
        "exporters": exporters,
    }


def _kept(ground: Ground, pipelines: dict[str, object]) -> dict[str, object]:
    """What every collector has that keeps on disk what it has read, and not sent yet."""
    return {
        "extensions": {
            "health_check": {"endpoint": ground.listen(HEALTH)},
            "file_storage": {"directory": "data"},
        },
        "processors": _LIMITED,
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": pipelines,
            "telemetry": _telemetry(ground),
        },
    }


def _telemetry(ground: Ground) -> dict[str, object]:
    return {
        "logs": {"encoding": "json", "level": "warn"},
        "metrics": {"readers": [{"pull": {"exporter": {"prometheus": reader(ground, METRICS)}}}]},
    }


def _pipeline(receivers: list[str], exporter: str) -> dict[str, object]:
    return {"receivers": receivers, "processors": ["memory_limiter", "batch"], "exporters": [exporter]}


def _receivers(sources: Sources) -> dict[str, object]:
    if isinstance(sources, ContainerLogs):
        return {"file_log/containers": _container_logs(sources)}
    return {f"file_log/{source.instance}": _file_log(source) for source in sources}


def _container_logs(sources: ContainerLogs) -> dict[str, object]:
    """Lines of the environment's containers, and of those that others gave its label, by the labels beside each."""
    label = 'attributes.attrs["{}"]'.format
    kind = f"{label(KIND)} ?? {label(SERVICE)}"
    resource = {"service.name": kind, "app": kind, "system": f'{label(SYSTEM)} ?? "{sources.environment}"'}
    own = f"attributes.attrs != nil and {label(ENVIRONMENT)} == {json.dumps(sources.environment)}"
    replica = {"if": f"{label(KIND)} != nil and {label(KIND)} != {label(SERVICE)}"}
    return {
        "include": [f"{_CONTAINERS}/*/*-json.log"],
        "start_at": "beginning",
        "storage": "file_storage",
        "include_file_name": False,
        "operators": [
            {"type": "container", "format": "docker", "add_metadata_from_filepath": False},
            {"type": "filter", "expr": f"not ({own})"},
            *(_add(f'resource["{name}"]', value) for name, value in resource.items()),
            *([_add('resource["host.name"]', json.dumps(sources.machine))] if sources.machine else []),
            {**_add('resource["service.instance.id"]', label(SERVICE)), **replica},
            {"type": "remove", "field": "attributes.attrs"},
            _add("body", r'trimSuffix(body, "\n")'),
            *(dict(operator) for operator in _OPERATORS),
        ],
    }


def _pod_logs(pods: PodLogs) -> dict[str, object]:
    """The path of a file says whose it is, and its namespace of which system."""
    namespace = 'resource["k8s.namespace.name"]'
    return {
        "include": [f"{_PODS}/{name}_*/*/*.log" for name in sorted(pods.systems)],
        "start_at": "beginning",
        "include_file_name": False,
        "include_file_path": True,
        "operators": [
            {"type": "container"},
            *(
                {**_add('resource["system"]', json.dumps(system)), "if": f"{namespace} == {json.dumps(name)}"}
                for name, system in sorted(pods.systems.items())
            ),
            *(dict(operator) for operator in _OPERATORS),
        ],
    }


def _add(field: str, expression: str) -> dict[str, object]:
    return {"type": "add", "field": field, "value": f"EXPR({expression})"}


def _file_log(source: LogSource) -> dict[str, object]:
    replica = {"service.instance.id": source.instance} if source.instance != source.service else {}
    return {
        "include": [source.glob],
        "start_at": "beginning",
        "storage": "file_storage",
        "resource": {"service.name": source.service, "app": source.service, "system": source.system, **replica},
        "operators": [dict(operator) for operator in _OPERATORS],
    }


def reader(ground: Ground, number: int) -> dict[str, object]:
    """Own metrics of a program built on the collector, for Prometheus on this port."""
    host, _, port = ground.listen(number).rpartition(":")
    # Names as the collector's documentation gives them, without suffixes that change with the exporter's version.
    plain = {"without_type_suffix": True, "without_units": True, "without_scope_info": True}
    return {"host": host, "port": int(port), **plain}
