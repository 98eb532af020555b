"""Collector: log records and spans that come in and go out, its queues and its process."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import JAEGER, LOKI
from dashboards.links import dashboard, logs, runbook, runbooks
from dashboards.panels import row, suffix, timeseries
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

NAME = "otel-collector"

# In a cluster there is one on each node besides, for logs.
_JOBS = 'job=~".+-collector"'
_OWN = f"{ANY_INSTANCE},{_JOBS}"


def board() -> Board:
    """The way of logs and of traces; each where it is switched on."""
    return Board(
        uid="collector",
        title="Collector",
        description="Log records and spans that come in and go out, queues and process of the collector.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), logs("Logs of the collector", logql.service(NAME)), runbooks()),
        variables=(ENVIRONMENT, instance(_JOBS), FILTER),
        needs=frozenset({NAME}),
        panels=(
            *_pipeline("Logs", "log_records", "records/s", LOKI, "LogsNotArriving"),
            *_pipeline("Traces", "spans", "spans/s", JAEGER, "JaegerStorageErrors"),
            *_queue_and_process(),
        ),
    )


def _pipeline(title: str, items: str, unit: str, needs: frozenset[str], alert: str) -> tuple[Panel, ...]:
    def way(part: str) -> str:
        return f"otelcol_{part}_{items}"

    lost = f"no {items.replace('_', ' ')[:-1]} has failed since the collector started"
    return (
        row(title, needs=needs),
        timeseries(
            f"{title} in",
            Query(expr=promql.rate(way("receiver_accepted"), _OWN, ("receiver",), RATE), legend="{{receiver}}"),
            Query(expr=promql.rate(way("receiver_refused"), _OWN, ("receiver",), RATE), legend="refused: {{receiver}}"),
            unit=suffix(unit),
            description="What was read or sent to it, and what it turned away.",
            needs=needs,
            links=(runbook("CollectorRefusing"), runbook(alert)),
        ),
        timeseries(
            f"{title} out",
            Query(expr=promql.rate(way("exporter_sent"), _OWN, ("exporter",), RATE), legend="{{exporter}}"),
            Query(
                expr=promql.rate(way("exporter_send_failed"), _OWN, ("exporter",), RATE),
                legend="failed: {{exporter}}",
                empty_when=lost,
            ),
            unit=suffix(unit),
            description="What was handed on, and what could not be.",
            needs=needs,
            links=(runbook("CollectorExportFailing"), runbook("CollectorDroppingData")),
        ),
    )


def _queue_and_process() -> tuple[Panel, ...]:
    used = f"otelcol_exporter_queue_size{{{_OWN}}} / otelcol_exporter_queue_capacity{{{_OWN}}}"
    return (
        row("Queues and process"),
        timeseries(
            "Queues",
            Query(expr=f"max by (exporter) ({used})", legend="{{exporter}}"),
            unit="percentunit",
            description="Part of each sending queue that is used. It fills while the receiver is away.",
            thresholds=Thresholds(warning=0.5, critical=0.8),
            links=(runbook("CollectorQueueNearlyFull"),),
        ),
        timeseries(
            "Log files read",
            Query(expr=promql.total("otelcol_fileconsumer_open_files", _OWN), legend="open"),
            unit="short",
            description="Log files that it holds open.",
            needs=LOKI,
        ),
        timeseries(
            "Process CPU",
            Query(expr=promql.rate("otelcol_process_cpu_seconds", _OWN, ("instance",), RATE), legend="{{instance}}"),
            unit=suffix("cores"),
            description="Cores that it keeps busy.",
        ),
        timeseries(
            "Process memory",
            Query(expr=f"otelcol_process_memory_rss{{{_OWN}}}", legend="{{instance}}"),
            unit="bytes",
            description="Resident memory.",
        ),
    )
