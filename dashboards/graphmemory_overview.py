"""GraphMemory System Overview: is it up, does it answer, and has its host room?"""

from dashboards import logql, promql
from dashboards.board import GREEN, RED, Board, Override, Panel, Query, Thresholds
from dashboards.components import CONTAINERS, NODE
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import not_a_number, stat, suffix, table, timeseries, value_text
from dashboards.variables import FILTER

SYSTEM = "graphmemory"
API = "graphmemory-api"

_NAMED = 'name!=""'


def board() -> Board:
    """Its host and containers are shown where exporters for them run."""
    return Board(
        uid="graphmemory-overview",
        title="GraphMemory System Overview",
        description="Collaborative graph memory: targets, requests, errors, health, host and containers.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(
            dashboard("start", "Start"),
            dashboard("graphmemory-application", "Application"),
            dashboard("graphmemory-database", "Database"),
            dashboard("graphmemory-business", "Business"),
            dashboard("graphmemory-alerts", "Alerts"),
            system_logs(SYSTEM),
            traces(API),
            runbooks(),
        ),
        variables=(FILTER,),
        panels=(*_service(), *_host(), *_containers()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _service() -> tuple[Panel, ...]:
    states = value_text({1: ("healthy", GREEN), 0: ("unhealthy", RED)})
    return (
        stat(
            "Targets up",
            Query(expr="avg(up)", legend="up"),
            unit="percentunit",
            description="Share of all targets that the last scrape reached.",
            thresholds=Thresholds(critical=1, below=True),
            height=8,
            width=4,
            links=(runbook("TargetDown"), runbook("GraphMemoryAPIDown")),
        ),
        timeseries(
            "Request rate",
            Query(expr=promql.total("graphmemory:http_requests:rate5m"), legend="requests"),
            unit="reqps",
            description="Requests a second of the API.",
            width=10,
            links=_drill("GraphMemoryAPIDown"),
        ),
        stat(
            "Error ratio",
            Query(expr="graphmemory:http_errors:ratio_rate5m", legend="errors"),
            unit="percentunit",
            description="Share of requests answered with 5xx, over 5 minutes.",
            thresholds=Thresholds(warning=0.01, critical=0.05),
            mappings=(not_a_number("no requests"),),
            height=8,
            width=4,
            links=_drill("GraphMemoryHighErrorRate"),
        ),
        table(
            "Health checks",
            Query(expr="min by (check) (graphmemory_health_check_status)", instant=True),
            unit="bool",
            description="What the API says of itself and what it needs.",
            columns={"check": "Check", "Value": "State"},
            thresholds=Thresholds(critical=1, below=True),
            overrides=(Override(series="State", mappings=states, coloured=True),),
            width=6,
            links=_drill("GraphMemoryHealthCheckFailing"),
        ),
    )


def _host() -> tuple[Panel, ...]:
    wire, alone = 'device!="lo"', "the host has no network but loopback"
    return (
        timeseries(
            "CPU, memory, disk",
            Query(expr="instance:node_cpu:ratio", legend="CPU {{instance}}"),
            Query(expr="instance:node_memory:ratio", legend="memory {{instance}}"),
            Query(expr="max by (instance) (instance:node_filesystem:ratio)", legend="disk {{instance}}"),
            unit="percentunit",
            description="Used parts of the host: cores, memory, and the fullest file system.",
            thresholds=Thresholds(warning=0.8, critical=0.9),
            needs=NODE,
            links=(runbook("NodeCPUHigh"), runbook("NodeMemoryHigh"), runbook("NodeDiskSpaceLow")),
        ),
        timeseries(
            "Network",
            Query(expr=promql.rate("node_network_receive_bytes_total", wire), legend="received", empty_when=alone),
            Query(expr=f"-{promql.rate('node_network_transmit_bytes_total', wire)}", legend="sent", empty_when=alone),
            unit="Bps",
            description="Traffic of the host: received above the line, sent below it.",
            needs=NODE,
        ),
    )


def _containers() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Container CPU",
            Query(expr=promql.rate("container_cpu_usage_seconds_total", _NAMED, ("name",)), legend="{{name}}"),
            unit=suffix("cores"),
            description="Cores that each container keeps busy.",
            needs=CONTAINERS,
            links=(runbook("ContainerCPUThrottled"),),
        ),
        timeseries(
            "Container memory",
            Query(
                expr=promql.total("container_memory_working_set_bytes", _NAMED, ("name",)),
                legend="{{name}}",
            ),
            unit="bytes",
            description="Memory that each container cannot give back.",
            needs=CONTAINERS,
            links=(runbook("ContainerMemoryNearLimit"),),
        ),
    )
