"""Prometheus: scrapes, series, rules, queries, notifications and storage of the server itself."""

from dashboards import promql
from dashboards.board import GREEN, RED, Board, Panel, Query, Thresholds
from dashboards.components import REMOTE_WRITE
from dashboards.configuration import configuration
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import bargauge, heatmap, row, stat, state_timeline, suffix, timeseries, value_text
from dashboards.process import process
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ANY_JOB, ENVIRONMENT, FILTER, instance, job

SERVER = 'job="prometheus"'

_OWN = f"{ANY_INSTANCE},{SERVER}"
_EACH = "{{instance}}"


def board() -> Board:
    """`job` chooses among what it scrapes, `instance` among the servers."""
    return Board(
        uid="prometheus",
        title="Prometheus",
        description="Scrapes, series, rules, queries, notifications and storage of the server itself.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), dashboard("stack-health", "Stack health"), runbooks()),
        variables=(ENVIRONMENT, job(), instance(SERVER), FILTER),
        panels=(
            *_numbers(),
            *_scrapes(),
            *_series(),
            *_rules(),
            *_queries(),
            *_storage(),
            *_remote_write(),
            *process(_OWN),
        ),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        configuration("prometheus", _OWN, "PrometheusConfigReloadFailed"),
        stat(
            "Series in memory",
            Query(expr=f"sum(prometheus_tsdb_head_series{{{_OWN}}})", legend="series"),
            unit="short",
            description="Series that had a sample in the last hours.",
        ),
        stat(
            "Samples a second",
            Query(expr=promql.rate("prometheus_tsdb_head_samples_appended_total", _OWN), legend="samples"),
            unit=suffix("samples/s"),
            description="Samples written by scrapes and rules.",
            links=(runbook("PrometheusNotIngesting"),),
        ),
        stat(
            "Alertmanagers found",
            Query(expr=f"min(prometheus_notifications_alertmanagers_discovered{{{_OWN}}})", legend="found"),
            unit="short",
            description="Alertmanagers that alerts are sent to.",
            thresholds=Thresholds(critical=1, below=True),
            links=(runbook("PrometheusNoAlertmanager"),),
        ),
    )


def _scrapes() -> tuple[Panel, ...]:
    exceeded = "prometheus_target_scrapes_exceeded"
    return (
        row("Scrapes"),
        state_timeline(
            "Targets over time",
            Query(expr=f"min by (job) (up{{{ANY_JOB}}})", legend="{{job}}"),
            unit="bool",
            description="Whether every target of a job was reached.",
            thresholds=Thresholds(critical=1, below=True),
            mappings=value_text({1: ("up", GREEN), 0: ("down", RED)}),
            height=10,
            links=(runbook("TargetDown"),),
        ),
        timeseries(
            "Scrape duration",
            Query(expr=f"max by (job) (scrape_duration_seconds{{{ANY_JOB}}})", legend="{{job}}"),
            unit="s",
            description="The slowest scrape of each job.",
            height=10,
        ),
        timeseries(
            "Samples by job",
            Query(expr=promql.total("scrape_samples_scraped", ANY_JOB, ("job",)), legend="{{job}}"),
            unit="short",
            description="Samples that a scrape of each job brings.",
        ),
        timeseries(
            "Scrapes over a limit",
            *(
                Query(expr=promql.increase(f"{exceeded}_{limit}_limit_total", _OWN), legend=limit.replace("_", " "))
                for limit in ("sample", "body_size")
            ),
            unit="short",
            description="Scrapes of 5 minutes that were thrown away because they exceeded a limit.",
            thresholds=Thresholds(critical=1),
            links=(runbook("PrometheusScrapeLimitHit"),),
        ),
    )


def _series() -> tuple[Panel, ...]:
    return (
        row("Cardinality"),
        timeseries(
            "Series",
            Query(expr=f"prometheus_tsdb_head_series{{{_OWN}}}", legend=_EACH),
            unit="short",
            description="Series in memory. A jump is a label that takes too many values.",
        ),
        timeseries(
            "Series made and gone",
            Query(expr=promql.rate("prometheus_tsdb_head_series_created_total", _OWN, (), RATE), legend="made"),
            Query(expr=f"-{promql.rate('prometheus_tsdb_head_series_removed_total', _OWN, (), RATE)}", legend="gone"),
            unit=suffix("series/s"),
            description="New series above the line, those that were dropped below it.",
        ),
    )


def _rules() -> tuple[Panel, ...]:
    named = 'label_replace({metric}{{{selector}}}, "group", "$1", "rule_group", ".*;(.*)")'
    last = named.format(metric="prometheus_rule_group_last_duration_seconds", selector=_OWN)
    return (
        row("Rules and notifications"),
        bargauge(
            "Slowest rule groups",
            Query(expr=f"topk(5, max by (group) ({last}))", legend="{{group}}", instant=True),
            unit="s",
            description="Time that the five slowest groups needed.",
            links=(runbook("PrometheusMissedEvaluations"),),
        ),
        timeseries(
            "Rules evaluated",
            Query(expr=promql.rate("prometheus_rule_evaluations_total", _OWN, (), RATE), legend="evaluated"),
            Query(expr=promql.rate("prometheus_rule_evaluation_failures_total", _OWN, (), RATE), legend="failed"),
            unit=suffix("rules/s"),
            description="Rules a second, and those that could not be evaluated.",
            width=8,
            links=(runbook("PrometheusRuleFailures"),),
        ),
        timeseries(
            "Notification queue",
            Query(
                expr=f"max(prometheus_notifications_queue_length{{{_OWN}}}) "
                f"/ max(prometheus_notifications_queue_capacity{{{_OWN}}})",
                legend="used",
            ),
            unit="percentunit",
            description="Part of the queue to Alertmanager that is used. At 100 % alerts are dropped.",
            thresholds=Thresholds(warning=0.5, critical=0.8),
            width=8,
            links=(runbook("PrometheusNotificationsDropped"),),
        ),
    )


def _queries() -> tuple[Panel, ...]:
    engine = "prometheus_engine_query_duration_seconds"
    return (
        row("Queries"),
        timeseries(
            "Engine time p90",
            Query(expr=f'max by (slice) ({engine}{{{_OWN},quantile="0.9"}})', legend="{{slice}}"),
            unit="s",
            description="90 of 100 queries and rules needed less than this for each part of the work.",
            width=8,
        ),
        timeseries(
            "API requests",
            Query(
                expr=f"sum by (code) (rate(prometheus_http_requests_total{{{_OWN}}}[{RATE}]))",
                legend="{{code}}",
            ),
            unit="reqps",
            description="Requests a second by status.",
            width=8,
        ),
        heatmap(
            "API latency",
            Query(
                expr=promql.increase("prometheus_http_request_duration_seconds_bucket", _OWN, ("le",), RATE),
                legend="{{le}}",
            ),
            unit="s",
            description="How requests spread over durations.",
            width=8,
        ),
    )


def _storage() -> tuple[Panel, ...]:
    return (
        row("Storage"),
        timeseries(
            "Storage by part",
            Query(expr=promql.total("prometheus_tsdb_storage_blocks_bytes", _OWN), legend="blocks"),
            Query(expr=promql.total("prometheus_tsdb_wal_storage_size_bytes", _OWN), legend="write-ahead log"),
            Query(expr=promql.total("prometheus_tsdb_head_chunks_storage_size_bytes", _OWN), legend="head chunks"),
            unit="bytes",
            description="What is on the disk.",
            stacked=True,
            width=8,
            links=(runbook("PrometheusTSDBFailing"),),
        ),
        timeseries(
            "Compactions, 1h",
            Query(expr=promql.increase("prometheus_tsdb_compactions_total", _OWN, window="1h"), legend="compactions"),
            Query(expr=promql.increase("prometheus_tsdb_compactions_failed_total", _OWN, window="1h"), legend="failed"),
            unit="short",
            description="Compactions within an hour, and those that failed.",
            width=8,
            links=(runbook("PrometheusTSDBFailing"),),
        ),
        timeseries(
            "Age of the oldest sample",
            Query(expr=f"time() - min(prometheus_tsdb_lowest_timestamp_seconds{{{_OWN}}})", legend="oldest"),
            Query(
                expr=f"max(prometheus_tsdb_retention_limit_seconds{{{_OWN}}} > 0)",
                legend="limit",
                empty_when="samples are kept for ever",
            ),
            unit="s",
            description="How far back there are samples, and how far there may be.",
            width=8,
        ),
    )


def _remote_write() -> tuple[Panel, ...]:
    remote, each = "prometheus_remote_storage", ("instance", "remote_name")
    sent = f"max by ({', '.join(each)}) ({remote}_queue_highest_sent_timestamp_seconds{{{_OWN}}})"
    failed = promql.rate(f"{remote}_samples_failed_total", _OWN, each)
    legend = "{{instance}} to {{remote_name}}"
    return (
        row("Remote write", needs=REMOTE_WRITE),
        timeseries(
            "Age of the last sample sent",
            Query(expr=f"time() - {sent}", legend=legend),
            unit="s",
            description="How old the newest sample is that a backend took. Beyond two hours samples are lost to it.",
            thresholds=Thresholds(critical=120),
            width=8,
            needs=REMOTE_WRITE,
            links=(runbook("PrometheusRemoteWriteBehind"),),
        ),
        timeseries(
            "Samples refused",
            Query(expr=f"{failed} / {promql.rate(f'{remote}_samples_total', _OWN, each)}", legend=legend),
            unit="percentunit",
            description="Share of the samples that a backend has refused for good.",
            thresholds=Thresholds(critical=0.01),
            width=8,
            needs=REMOTE_WRITE,
            links=(runbook("PrometheusRemoteWriteFailing"),),
        ),
        timeseries(
            "Samples sent",
            Query(expr=promql.rate(f"{remote}_samples_total", _OWN, each, RATE), legend=legend),
            Query(
                expr=f"-{promql.rate(f'{remote}_samples_retried_total', _OWN, each, RATE)}",
                legend=f"{legend}, again",
            ),
            unit=suffix("samples/s"),
            description="Samples a second to each backend; below the line those that had to be sent again.",
            width=8,
            needs=REMOTE_WRITE,
        ),
    )
