"""Containers: what each uses of processor, memory, disk and network, and how near it is to its limits."""

from dashboards import promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import CADVISOR, CONTAINERS
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import bargauge, row, stat, suffix, timeseries
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

_NAMED = f'{ANY_INSTANCE},name!=""'
_EACH = "{{name}}"
_BY = ("name",)


def board() -> Board:
    """As cAdvisor sees them."""
    return Board(
        uid="containers",
        title="Containers",
        description="Processor, memory, disk and network of each container, and its limits.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), runbooks()),
        variables=(ENVIRONMENT, instance(f'job="{CADVISOR}"'), FILTER),
        needs=CONTAINERS,
        panels=(*_numbers(), *_use(), *_limits(), *_traffic()),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        stat(
            "Containers",
            Query(expr=f"count(container_last_seen{{{_NAMED}}})", legend="running", instant=True),
            unit="short",
            description="Containers that cAdvisor reports.",
            width=8,
            links=(runbook("ContainerMetricsMissing"),),
        ),
        stat(
            "Restarts, 15m",
            Query(expr=f"sum(changes(container_start_time_seconds{{{_NAMED}}}[15m]))", legend="restarts", instant=True),
            unit="short",
            description="Starts of containers in 15 minutes.",
            thresholds=Thresholds(warning=1, critical=3),
            width=8,
            links=(runbook("ContainerRestarting"),),
        ),
        stat(
            "Killed for memory, 1h",
            Query(
                expr=promql.increase("container_oom_events_total", _NAMED, window="1h"), legend="killed", instant=True
            ),
            unit="short",
            description="Processes that were killed at the memory limit of their container.",
            thresholds=Thresholds(critical=1),
            width=8,
            links=(runbook("ContainerOOMKilled"),),
        ),
    )


def _use() -> tuple[Panel, ...]:
    return (
        row("Use"),
        timeseries(
            "Container CPU",
            Query(expr=promql.rate("container_cpu_usage_seconds_total", _NAMED, _BY, RATE), legend=_EACH),
            unit=suffix("cores"),
            description="Cores that each container keeps busy.",
        ),
        timeseries(
            "Container memory",
            Query(expr=promql.total("container_memory_working_set_bytes", _NAMED, _BY), legend=_EACH),
            unit="bytes",
            description="Memory that each container cannot give back.",
        ),
    )


def _limits() -> tuple[Panel, ...]:
    throttled = promql.rate("container_cpu_cfs_throttled_periods_total", _NAMED, _BY, RATE)
    periods = promql.rate("container_cpu_cfs_periods_total", _NAMED, _BY, RATE)
    limit = f"max by (name) (container_spec_memory_limit_bytes{{{_NAMED}}} > 0)"
    return (
        row("Limits"),
        timeseries(
            "CPU held back",
            Query(expr=f"{throttled} / {periods}", legend=_EACH, empty_when="no container has a CPU limit"),
            unit="percentunit",
            description="Share of the periods in which a container had used up its CPU limit.",
            thresholds=Thresholds(warning=0.25),
            links=(runbook("ContainerCPUThrottled"),),
        ),
        bargauge(
            "Memory of limit",
            Query(
                expr=f"max by (name) (container_memory_working_set_bytes{{{_NAMED}}}) / {limit}",
                legend=_EACH,
                instant=True,
                empty_when="no container has a memory limit",
            ),
            unit="percentunit",
            description="Part of its memory limit that each container uses.",
            maximum=1,
            thresholds=Thresholds(warning=0.8, critical=0.9),
            width=12,
            links=(runbook("ContainerMemoryNearLimit"),),
        ),
    )


def _traffic() -> tuple[Panel, ...]:
    return (
        row("Network and disk"),
        timeseries(
            "Container network",
            Query(expr=promql.rate("container_network_receive_bytes_total", _NAMED, _BY, RATE), legend=f"in {_EACH}"),
            Query(
                expr=f"-{promql.rate('container_network_transmit_bytes_total', _NAMED, _BY, RATE)}",
                legend=f"out {_EACH}",
            ),
            unit="Bps",
            description="Received above the line, sent below it.",
        ),
        timeseries(
            "Container file systems",
            Query(expr=promql.total("container_fs_usage_bytes", _NAMED, _BY), legend=_EACH),
            unit="bytes",
            description="What each container has written to its own layer.",
            links=(runbook("ContainerDiskUsageHigh"),),
        ),
    )
