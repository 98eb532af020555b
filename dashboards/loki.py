"""Loki: lines that come in, requests, streams and chunks, the write-ahead log and its own log."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.datasources import LOKI
from dashboards.links import dashboard, logs, runbook, runbooks
from dashboards.panels import logs as log_lines
from dashboards.panels import row, stat, suffix, timeseries
from dashboards.process import process
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

NAME = "loki"

_OWN = f'{ANY_INSTANCE},job="{NAME}"'
_EACH = "{{instance}}"


def board() -> Board:
    """From lines that come in to chunks that are kept."""
    return Board(
        uid=NAME,
        title="Loki",
        description="Lines, requests, streams, chunks, write-ahead log and retention.",
        tags=("platform", "watchstack"),
        links=(
            dashboard("start", "Start"),
            dashboard("logs-explorer", "Logs explorer"),
            logs("Logs of Loki", logql.service(NAME)),
            runbooks(),
        ),
        variables=(ENVIRONMENT, instance(f'job="{NAME}"'), FILTER),
        needs=frozenset({NAME}),
        panels=(*_numbers(), *_writing(), *_requests(), *_storage(), *process(_OWN), _own_log()),
    )


def _numbers() -> tuple[Panel, ...]:
    retention = "loki_compactor_apply_retention_last_successful_run_timestamp_seconds"
    return (
        stat(
            "Lines a second",
            Query(expr=promql.rate("loki_distributor_lines_received_total", _OWN), legend="lines"),
            unit=suffix("lines/s"),
            description="Lines that were taken.",
        ),
        stat(
            "Streams",
            Query(expr=promql.total("loki_ingester_memory_streams", _OWN), legend="streams"),
            unit="short",
            description="Streams in memory. Many are a label that takes too many values.",
        ),
        stat(
            "Lines discarded, 1h",
            Query(
                expr=f"({promql.increase('loki_discarded_samples_total', _OWN, window='1h')}) or vector(0)",
                legend="discarded",
                instant=True,
            ),
            unit="short",
            description="Lines that were thrown away within an hour.",
            thresholds=Thresholds(warning=1),
            links=(runbook("LokiLinesDiscarded"),),
        ),
        stat(
            "Retention last applied",
            Query(
                expr=f"time() - max({retention}{{{_OWN}}} > 0)",
                legend="ago",
                empty_when="it has not run since the start of Loki, which takes some minutes",
            ),
            unit="s",
            description="Since lines that are too old were last removed.",
            thresholds=Thresholds(critical=10800),
            links=(runbook("LokiRetentionStalled"),),
        ),
    )


def _writing() -> tuple[Panel, ...]:
    return (
        row("Writing"),
        timeseries(
            "Lines received",
            Query(expr=promql.rate("loki_distributor_lines_received_total", _OWN, (), RATE), legend="received"),
            Query(
                expr=promql.rate("loki_discarded_samples_total", _OWN, ("reason",), RATE),
                legend="discarded: {{reason}}",
                empty_when="no line is discarded",
            ),
            unit=suffix("lines/s"),
            description="Lines that were taken, and those that were thrown away, by reason.",
            links=(runbook("LokiLinesDiscarded"),),
        ),
        timeseries(
            "Bytes received",
            Query(expr=promql.rate("loki_distributor_bytes_received_total", _OWN, (), RATE), legend="lines"),
            Query(
                expr=promql.rate("loki_distributor_structured_metadata_bytes_received_total", _OWN, (), RATE),
                legend="structured metadata",
            ),
            unit="Bps",
            description="Size of the lines and of what is attached to them.",
        ),
    )


def _requests() -> tuple[Panel, ...]:
    return (
        row("Requests"),
        timeseries(
            "Requests by route",
            Query(expr=promql.rate("loki_request_duration_seconds_count", _OWN, ("route",), RATE), legend="{{route}}"),
            unit="reqps",
            description="Requests a second by route.",
            width=8,
        ),
        timeseries(
            "Requests by status",
            Query(
                expr=promql.rate("loki_request_duration_seconds_count", _OWN, ("status_code",), RATE),
                legend="{{status_code}}",
            ),
            unit="reqps",
            description="Requests a second by status.",
            width=8,
            links=(runbook("LokiRequestErrors"),),
        ),
        timeseries(
            "Request p95",
            Query(expr=promql.p95("loki_request_duration_seconds", _OWN, ("route",)), legend="{{route}}"),
            unit="s",
            description="95 of 100 requests were faster than this, by route.",
            width=8,
        ),
    )


def _storage() -> tuple[Panel, ...]:
    return (
        row("Storage"),
        timeseries(
            "Streams and chunks in memory",
            Query(expr=promql.total("loki_ingester_memory_streams", _OWN), legend="streams"),
            Query(expr=promql.total("loki_ingester_memory_chunks", _OWN), legend="chunks"),
            unit="short",
            description="What has not been written to the store.",
            width=8,
        ),
        timeseries(
            "Write-ahead log",
            Query(expr=promql.rate("loki_ingester_wal_logged_bytes_total", _OWN, (), RATE), legend="written"),
            unit="Bps",
            description="What is kept against a crash.",
            width=8,
            links=(runbook("LokiWALDiskFull"),),
        ),
        timeseries(
            "Flush queue",
            Query(expr=promql.total("loki_ingester_flush_queue_length", _OWN), legend="waiting"),
            Query(expr=promql.increase("loki_ingester_chunks_flush_failures_total", _OWN), legend="failed in 5m"),
            unit="short",
            description="Chunks that wait to be written to the store, and those that could not be.",
            width=8,
        ),
    )


def _own_log() -> Panel:
    return log_lines(
        "Log of Loki",
        Query(expr=logql.service(NAME), datasource=LOKI, empty_when="Loki has nothing to say"),
        description="What Loki says itself, newest first.",
    )
