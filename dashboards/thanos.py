"""Thanos: samples that come in, blocks that go to the bucket, and queries over both."""

from dashboards import logql, promql
from dashboards.board import GREEN, RED, Board, Panel, Query, Thresholds
from dashboards.links import dashboard, logs, runbook, runbooks
from dashboards.panels import row, stat, state_timeline, suffix, timeseries, value_text
from dashboards.process import process
from dashboards.promql import RATE
from dashboards.variables import ANY_ENVIRONMENT, ENVIRONMENT, FILTER

RECEIVE, QUERY, STORE, COMPACT = (f"thanos-{part}" for part in ("receive", "query", "store", "compact"))

_ALL = f'{ANY_ENVIRONMENT},job=~"thanos-.*"'


def board() -> Board:
    """From samples that come in to what is asked for."""
    return Board(
        uid="thanos",
        title="Thanos",
        description="Samples that come in, blocks that go to the bucket, and queries over both.",
        tags=("platform", "watchstack"),
        links=(
            dashboard("start", "Start"),
            dashboard("prometheus", "Prometheus"),
            logs("Logs of the receiver", logql.service(RECEIVE)),
            runbooks(),
        ),
        variables=(ENVIRONMENT, FILTER),
        needs=frozenset({RECEIVE}),
        panels=(*_numbers(), *_receiver(), *_bucket(), *_queries(), *process(_ALL)),
    )


def _of(job: str) -> str:
    return f'{ANY_ENVIRONMENT},job="{job}"'


def _numbers() -> tuple[Panel, ...]:
    uploaded = f"thanos_objstore_bucket_last_successful_upload_time{{{_of(RECEIVE)}}}"
    return (
        state_timeline(
            "Parts over time",
            Query(expr=f"min by (job) (up{{{_ALL}}})", legend="{{job}}"),
            unit="bool",
            description="Whether each part was reached.",
            thresholds=Thresholds(critical=1, below=True),
            mappings=value_text({1: ("up", GREEN), 0: ("down", RED)}),
            width=12,
            height=6,
            links=(runbook("ThanosDown"),),
        ),
        stat(
            "Since the last upload",
            Query(
                expr=f"time() - max({uploaded} > 0)",
                legend="since",
                empty_when="the receiver has brought no block to the bucket since it was started",
            ),
            unit="s",
            description="Time since the receiver brought a block to the bucket. It makes one every two hours.",
            width=4,
            height=6,
            links=(runbook("ThanosUploadFailing"),),
        ),
        stat(
            "Blocks in the bucket",
            Query(expr=promql.total("thanos_bucket_store_blocks_loaded", _of(STORE)), legend="blocks"),
            unit="short",
            description="Blocks that the store answers from.",
            width=4,
            height=6,
        ),
        stat(
            "Compactor",
            Query(expr=f"max(thanos_compact_halted{{{_of(COMPACT)}}})", legend="halted"),
            unit="bool",
            description="Whether the compactor works, or has given up.",
            thresholds=Thresholds(critical=1),
            mappings=value_text({0: ("works", GREEN), 1: ("halted", RED)}),
            width=4,
            height=6,
            links=(runbook("ThanosCompactHalted"),),
        ),
    )


def _receiver() -> tuple[Panel, ...]:
    received = f'{_of(RECEIVE)},handler="receive"'
    return (
        row("Receiver"),
        timeseries(
            "Samples received",
            Query(
                expr=promql.rate("prometheus_tsdb_head_samples_appended_total", _of(RECEIVE), ("instance",), RATE),
                legend="{{instance}}",
            ),
            unit=suffix("samples/s"),
            description="Samples a second of all replicas of Prometheus.",
            width=8,
        ),
        timeseries(
            "Requests of Prometheus",
            Query(expr=promql.rate("http_requests_total", received, ("code",), RATE), legend="{{code}}"),
            unit="reqps",
            description="Requests with samples, by the status they were answered with.",
            width=8,
            links=(runbook("PrometheusRemoteWriteFailing"),),
        ),
        timeseries(
            "Series in the receiver",
            Query(expr=promql.total("prometheus_tsdb_head_series", _of(RECEIVE), ("instance",)), legend="{{instance}}"),
            unit="short",
            description="Series in its memory: those of each replica count.",
            width=8,
        ),
    )


def _bucket() -> tuple[Panel, ...]:
    operations = "thanos_objstore_bucket_operation"
    failed = promql.rate(f"{operations}_failures_total", _ALL, ("job",))
    return (
        row("Bucket"),
        timeseries(
            "Uploads, 1h",
            Query(expr=promql.increase("thanos_shipper_uploads_total", _of(RECEIVE), window="1h"), legend="blocks"),
            Query(
                expr=promql.increase("thanos_shipper_upload_failures_total", _of(RECEIVE), window="1h"),
                legend="failed",
            ),
            unit="short",
            description="Blocks that the receiver brought to the bucket within an hour, and tries that failed.",
            width=8,
            links=(runbook("ThanosUploadFailing"),),
        ),
        timeseries(
            "Bucket operations",
            Query(expr=promql.rate(f"{operations}s_total", _ALL, ("operation",), RATE), legend="{{operation}}"),
            unit="ops",
            description="Operations on the bucket by kind.",
            width=8,
        ),
        timeseries(
            "Bucket operations failed",
            Query(expr=f"{failed} / {promql.rate(f'{operations}s_total', _ALL, ('job',))}", legend="{{job}}"),
            unit="percentunit",
            description="Share of the operations of each part that failed.",
            thresholds=Thresholds(critical=0.05),
            width=8,
            links=(runbook("ThanosBucketFailing"),),
        ),
    )


def _queries() -> tuple[Panel, ...]:
    asked = f'{_of(QUERY)},handler=~"query|query_range"'
    seconds = promql.rate("http_request_duration_seconds_bucket", asked, ("le", "handler"), RATE)
    return (
        row("Queries"),
        timeseries(
            "Queries asked",
            Query(
                expr=promql.rate("http_requests_total", asked, ("code",), RATE),
                legend="{{code}}",
                empty_when="nobody has asked anything since the querier started",
            ),
            unit="reqps",
            description="Queries a second by status.",
        ),
        timeseries(
            "Query time p90",
            Query(
                expr=f"histogram_quantile(0.9, {seconds})", legend="{{handler}}", empty_when="nobody asks for anything"
            ),
            unit="s",
            description="90 of 100 queries were answered in less.",
        ),
    )
