"""GraphMemory Application Performance: routes, memory, graph and vector operations, error logs."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import logs as log_lines
from dashboards.panels import timeseries
from dashboards.variables import FILTER

SYSTEM = "graphmemory"
API = "graphmemory-api"


def board() -> Board:
    """How fast each kind of work is done."""
    return Board(
        uid="graphmemory-application",
        title="GraphMemory Application Performance",
        description="Requests by route; memory, graph and vector operations; error logs.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("graphmemory-overview", "Overview"), system_logs(SYSTEM), traces(API), runbooks()),
        variables=(FILTER,),
        panels=(*_http(), *_operations(), _error_logs()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _http() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Rate by route",
            Query(expr="graphmemory:http_requests:rate5m", legend="{{route}}"),
            unit="reqps",
            description="Requests a second by route template.",
            links=_drill("GraphMemoryHighErrorRate"),
        ),
        timeseries(
            "p95 by route",
            Query(expr="graphmemory:http_request_seconds:p95_5m", legend="{{route}}"),
            unit="s",
            description="95 of 100 requests were faster than this. A gap is a time without requests.",
            thresholds=Thresholds(warning=0.5, critical=1),
            links=_drill("GraphMemorySlowAPI"),
        ),
    )


def _operations() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Memory operations p95",
            Query(
                expr=promql.p95("graphmemory_memory_operation_duration_seconds", "", ("operation",)),
                legend="{{operation}}",
            ),
            unit="s",
            description="95 of 100 operations were faster than this. A gap is a time without operations.",
            width=8,
            links=_drill("GraphMemoryMemoryOperationErrors"),
        ),
        timeseries(
            "Graph operations",
            Query(
                expr=promql.rate("graphmemory_graph_operations_total", "", ("operation", "status")),
                legend="{{operation}} {{status}}",
            ),
            unit="ops",
            description="Graph operations a second by kind and outcome.",
            width=8,
        ),
        timeseries(
            "Vector search p95",
            Query(expr="graphmemory:vector_search_seconds:p95_5m", legend="{{index}}"),
            unit="s",
            description="95 of 100 searches were faster than this, by index.",
            thresholds=Thresholds(critical=0.5),
            width=8,
            links=_drill("GraphMemoryVectorSearchSlow"),
        ),
    )


def _error_logs() -> Panel:
    return log_lines(
        "Error logs",
        Query(expr=logql.errors(SYSTEM), datasource=LOKI, empty_when="nothing is logged at level error"),
        description="Lines at level error or critical, newest first.",
        links=(logs("All logs", logql.lines(SYSTEM)),),
    )
