"""Jaeger: spans that come in, its store and its process."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query
from dashboards.links import dashboard, logs, runbook, runbooks, traces
from dashboards.panels import row, stat, suffix, timeseries
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

NAME = "jaeger"

_OWN = f'{ANY_INSTANCE},job="{NAME}"'
_EACH = "{{instance}}"


def board() -> Board:
    """From spans that come in to what is kept of them."""
    return Board(
        uid=NAME,
        title="Jaeger",
        description="Spans that come in, the store of traces and the process.",
        tags=("platform", "watchstack"),
        links=(
            dashboard("start", "Start"),
            traces("otel-collector"),
            logs("Logs of Jaeger", logql.service(NAME)),
            runbooks(),
        ),
        variables=(ENVIRONMENT, instance(f'job="{NAME}"'), FILTER),
        needs=frozenset({NAME}),
        panels=(*_spans(), *_store(), *_process()),
    )


def _spans() -> tuple[Panel, ...]:
    return (
        row("Spans"),
        stat(
            "Spans a second",
            Query(expr=promql.rate("otelcol_receiver_accepted_spans", _OWN), legend="spans"),
            unit=suffix("spans/s"),
            description="Spans that were taken.",
            height=8,
            width=4,
        ),
        timeseries(
            "Spans in",
            Query(
                expr=promql.rate("otelcol_receiver_accepted_spans", _OWN, ("transport",), RATE),
                legend="{{transport}}",
            ),
            Query(expr=promql.rate("otelcol_receiver_refused_spans", _OWN, (), RATE), legend="refused"),
            unit=suffix("spans/s"),
            description="Spans that came in, and those that were turned away.",
            width=10,
        ),
        timeseries(
            "Spans to the store",
            Query(expr=promql.rate("otelcol_exporter_sent_spans", _OWN, (), RATE), legend="stored"),
            Query(expr=promql.rate("otelcol_exporter_send_failed_spans", _OWN, (), RATE), legend="failed"),
            unit=suffix("spans/s"),
            description="Spans that were stored, and those that could not be.",
            width=10,
            links=(runbook("JaegerStorageErrors"),),
        ),
    )


def _store() -> tuple[Panel, ...]:
    badger = "jaeger_storage_badger"
    return (
        row("Store"),
        timeseries(
            "Store size",
            Query(expr=promql.total(f"{badger}_size_bytes_lsm", _OWN), legend="index"),
            Query(expr=promql.total(f"{badger}_size_bytes_vlog", _OWN), legend="values"),
            unit="bytes",
            description="What the store has on the disk.",
            stacked=True,
        ),
        timeseries(
            "Store writes",
            Query(expr=promql.rate(f"{badger}_write_bytes_user", _OWN, (), RATE), legend="asked for"),
            Query(expr=promql.rate(f"{badger}_write_bytes_vlog", _OWN, (), RATE), legend="written"),
            unit="Bps",
            description="What spans bring, and what of it reaches the disk.",
        ),
    )


def _process() -> tuple[Panel, ...]:
    return (
        row("Process"),
        timeseries(
            "Process CPU",
            Query(expr=promql.rate("otelcol_process_cpu_seconds", _OWN, ("instance",), RATE), legend=_EACH),
            unit=suffix("cores"),
            description="Cores that it keeps busy.",
            width=8,
        ),
        timeseries(
            "Process memory",
            Query(expr=f"otelcol_process_memory_rss{{{_OWN}}}", legend=_EACH),
            unit="bytes",
            description="Resident memory.",
            width=8,
        ),
        timeseries(
            "Batches p95",
            Query(expr=promql.p95("otelcol_processor_batch_batch_send_size", _OWN), legend="spans"),
            unit="short",
            description="95 of 100 batches to the store had fewer spans. A gap is a time without spans.",
            width=8,
        ),
    )
