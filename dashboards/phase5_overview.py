"""Phase 5 System Overview: requests, errors, response times, resources, pods, alerts and error logs."""

from dashboards import logql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import PODS
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import not_a_number, stat, table, timeseries
from dashboards.variables import FILTER

SYSTEM = "phase5"
BACKEND = "phase5-backend"
APPLICATIONS = 'app=~"phase5-.+"'
CONTAINERS = PODS | {"kubelet"}


def board() -> Board:
    """The services of the system side by side."""
    return Board(
        uid="phase5-overview",
        title="Phase 5 System Overview",
        description="Event-driven task service: requests, errors, response times, resources, pods and alerts.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(
            dashboard("start", "Start"),
            dashboard("phase5-infrastructure", "Infrastructure"),
            dashboard("phase5-agents", "Agents"),
            *_log_queries(),
            traces(BACKEND),
            runbooks(),
        ),
        variables=(FILTER,),
        panels=(*_requests(), *_resources(), *_alerts()),
    )


def _log_queries() -> tuple[Link, ...]:
    """The log queries that the system's document saves."""
    backend = f'{{app="{BACKEND}"}}'
    errors_rate = f"sum(rate({{{APPLICATIONS}}} | {logql.AT_ERROR} [5m]))"
    return (
        system_logs(SYSTEM),
        logs("Backend logs", backend),
        logs("Backend errors", f"{backend} | {logql.AT_ERROR}"),
        logs("One task", f'{backend} | json | taskId="abc-123"'),
        logs("Error rate", errors_rate),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _requests() -> tuple[Panel, ...]:
    limits = Thresholds(warning=0.5, critical=1)
    return (
        timeseries(
            "Request rate",
            Query(expr="phase5:http_requests:rate5m", legend="{{service}}"),
            unit="reqps",
            description="Requests a second by service.",
            width=8,
            links=_drill("HighErrorRate"),
        ),
        timeseries(
            "Error ratio",
            Query(expr="phase5:http_errors:rate5m / phase5:http_requests:rate5m", legend="{{service}}"),
            unit="percentunit",
            description="Share of requests answered with 5xx, by service.",
            thresholds=Thresholds(warning=0.01, critical=0.05),
            mappings=(not_a_number("no requests"),),
            width=8,
            links=_drill("HighErrorRate"),
        ),
        timeseries(
            "Response time p50, p95, p99",
            Query(expr="phase5:http_request_duration:p50", legend="p50 {{service}}"),
            Query(expr="phase5:http_request_duration:p95", legend="p95 {{service}}"),
            Query(expr="phase5:http_request_duration:p99", legend="p99 {{service}}"),
            unit="s",
            description="Response times by service. Buckets end at 5 s, and so does p99.",
            thresholds=limits,
            width=8,
            links=_drill("HighResponseTime"),
        ),
    )


def _resources() -> tuple[Panel, ...]:
    limits = Thresholds(warning=0.7, critical=0.8)
    not_ready = 'kube_pod_status_ready{namespace="phase5-production",condition="true"} == 0'
    return (
        timeseries(
            "CPU of limit",
            Query(expr="phase5:cpu_usage:ratio", legend="{{pod}} {{container}}"),
            unit="percentunit",
            description="Part of its CPU limit that each container uses.",
            thresholds=limits,
            width=9,
            needs=CONTAINERS,
            links=_drill("HighCPUUsage"),
        ),
        timeseries(
            "Memory of limit",
            Query(expr="phase5:memory_usage:ratio", legend="{{pod}} {{container}}"),
            unit="percentunit",
            description="Part of its memory limit that each container uses.",
            thresholds=limits,
            width=9,
            needs=CONTAINERS,
            links=_drill("HighMemoryUsage"),
        ),
        stat(
            "Pods not ready",
            Query(expr=f"count({not_ready}) or vector(0)", legend="not ready"),
            unit="short",
            description="Pods of the system that are not ready.",
            thresholds=Thresholds(critical=1),
            height=8,
            needs=PODS,
            links=_drill("PodDown"),
        ),
    )


def _alerts() -> tuple[Panel, ...]:
    rate = f"sum by (app) (rate({{{APPLICATIONS}}} | {logql.AT_ERROR} [5m]))"
    return (
        table(
            "Firing alerts",
            Query(
                expr=f'ALERTS{{alertstate="firing",system="{SYSTEM}"}}',
                instant=True,
                empty_when="no alert of the system fires",
            ),
            unit="short",
            description="Every alert of the system that fires now.",
            columns={
                "alertname": "Alert",
                "severity": "Severity",
                "component": "Component",
                "service": "Service",
                "pod": "Pod",
            },
        ),
        timeseries(
            "Error log rate",
            Query(expr=rate, legend="{{app}}", datasource=LOKI, empty_when="nothing is logged at level error"),
            unit="cps",
            description="Lines at level error or critical a second, by application.",
            links=(logs("Error logs", logql.errors(SYSTEM)),),
        ),
    )
