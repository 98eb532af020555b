"""Stack health: does the monitoring itself scrape, evaluate, notify, store and have room?"""

from dashboards.board import GREEN, RED, Board, Override, Panel, Query, Thresholds
from dashboards.components import LOKI, NODE
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import bargauge, row, stat, suffix, table, timeseries, value_text
from dashboards.variables import FILTER

ALERTMANAGER = frozenset({"alertmanager"})
COLLECTOR = frozenset({"otel-collector"})

_HALF_FULL = Thresholds(warning=0.5, critical=0.8)


def board() -> Board:
    """The platform's own panels. Those of a component that is switched off are left out."""
    return Board(
        uid="stack-health",
        title="Stack health",
        description="Targets, rules, notifications, storage and logs of the monitoring stack, and its host.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), runbooks()),
        variables=(FILTER,),
        panels=(*_targets(), *_rules(), *_notifications(), *_storage(), *_loki(), *_collector(), *_host()),
    )


def _targets() -> tuple[Panel, ...]:
    state = value_text({1: ("up", GREEN), 0: ("down", RED)})
    return (
        row("Scraping"),
        stat(
            "Targets up",
            Query(expr="avg(up)", legend="up"),
            unit="percentunit",
            description="Share of all targets that the last scrape reached.",
            thresholds=Thresholds(critical=1, below=True),
            height=8,
            links=(runbook("TargetDown"),),
        ),
        table(
            "Targets",
            Query(expr="sort(up)", instant=True),
            unit="short",
            description="Every target and whether the last scrape reached it; those that are down first.",
            columns={"system": "System", "job": "Job", "instance": "Instance", "Value": "State"},
            thresholds=Thresholds(critical=1, below=True),
            overrides=(Override(series="State", mappings=state, coloured=True),),
            width=18,
            links=(runbook("TargetDown"),),
        ),
    )


def _rules() -> tuple[Panel, ...]:
    share = "prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds"
    # `rule_group` is "<file>;<group>".
    named = f'label_replace({share}, "group", "$1", "rule_group", ".*;(.*)")'
    return (
        row("Rules"),
        timeseries(
            "Rule evaluation time / interval",
            Query(expr=f"max by (group) ({named})", legend="{{group}}"),
            unit="percentunit",
            description="Part of its interval that a rule group needs. At 100 % evaluations are missed.",
            thresholds=_HALF_FULL,
            links=(runbook("PrometheusMissedEvaluations"),),
        ),
        timeseries(
            "Rule failures",
            Query(expr="sum(increase(prometheus_rule_evaluation_failures_total[5m]))", legend="failed"),
            Query(expr="sum(increase(prometheus_rule_group_iterations_missed_total[5m]))", legend="missed"),
            unit="short",
            description="Rules that could not be evaluated, and evaluations left out, in 5 minutes.",
            thresholds=Thresholds(critical=1),
            links=(runbook("PrometheusRuleFailures"),),
        ),
    )


def _notifications() -> tuple[Panel, ...]:
    return (
        row("Notifications"),
        timeseries(
            "Alerts sent to Alertmanager",
            Query(expr="60 * sum(rate(prometheus_notifications_sent_total[5m]))", legend="sent"),
            Query(expr="60 * sum(rate(prometheus_notifications_errors_total[5m]))", legend="errors"),
            Query(expr="60 * sum(rate(prometheus_notifications_dropped_total[5m]))", legend="dropped"),
            unit=suffix("alerts/min"),
            description="What Prometheus handed over, and what it could not.",
            links=(runbook("PrometheusNotificationsDropped"),),
        ),
        timeseries(
            "Notifications to receivers",
            Query(expr="60 * sum(rate(alertmanager_notifications_total[5m]))", legend="attempted"),
            Query(
                expr="60 * sum by (integration) (rate(alertmanager_notifications_failed_total[5m])) > 0",
                legend="failed: {{integration}}",
                empty_when="no notification fails",
            ),
            unit=suffix("notifications/min"),
            description="What Alertmanager tried to deliver, and failures by kind of receiver.",
            needs=ALERTMANAGER,
            links=(runbook("AlertmanagerNotificationsFailing"),),
        ),
    )


def _storage() -> tuple[Panel, ...]:
    parts = ("storage_blocks_bytes", "wal_storage_size_bytes", "head_chunks_storage_size_bytes")
    size = " + ".join(f"prometheus_tsdb_{part}" for part in parts)
    return (
        row("Metrics storage"),
        timeseries(
            "Samples ingested",
            Query(
                expr="sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total[5m]))",
                legend="{{instance}}",
            ),
            unit=suffix("samples/s"),
            description="Samples written by scrapes and rules.",
            width=8,
            links=(runbook("PrometheusNotIngesting"),),
        ),
        timeseries(
            "Active series",
            Query(expr="sum by (instance) (prometheus_tsdb_head_series)", legend="{{instance}}"),
            unit="short",
            description="Series in memory. A jump is a label that takes too many values.",
            width=8,
        ),
        timeseries(
            "Storage size",
            Query(expr=f"sum by (instance) ({size})", legend="{{instance}}"),
            Query(
                expr="min(prometheus_tsdb_retention_limit_bytes > 0)",
                legend="limit",
                empty_when="no size limit is set",
            ),
            unit="bytes",
            description="Blocks, write-ahead log and head chunks, and the size at which old blocks go.",
            width=8,
            links=(runbook("PrometheusTSDBFailing"),),
        ),
    )


def _loki() -> tuple[Panel, ...]:
    return (
        row("Logs", needs=LOKI),
        timeseries(
            "Log lines received by Loki",
            Query(expr="sum(rate(loki_distributor_lines_received_total[5m]))", legend="received"),
            Query(
                expr="sum by (reason) (rate(loki_discarded_samples_total[5m]))",
                legend="discarded: {{reason}}",
                empty_when="no line is discarded",
            ),
            unit=suffix("lines/s"),
            description="Lines that Loki took, and those it threw away, by reason.",
            needs=LOKI,
            links=(runbook("LokiLinesDiscarded"),),
        ),
        timeseries(
            "Log bytes received by Loki",
            Query(expr="sum(rate(loki_distributor_bytes_received_total[5m]))", legend="received"),
            unit="Bps",
            description="Size of the lines that Loki took.",
            needs=LOKI,
            links=(runbook("LokiWALDiskFull"),),
        ),
    )


def _collector() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Collector: log records in",
            Query(expr="sum(rate(otelcol_receiver_accepted_log_records[5m]))", legend="accepted"),
            Query(expr="sum(rate(otelcol_receiver_refused_log_records[5m]))", legend="refused"),
            unit=suffix("records/s"),
            description="Records that the collector read or was sent, and those it turned away.",
            width=8,
            needs=COLLECTOR,
            links=(runbook("CollectorRefusing"), runbook("LogsNotArriving")),
        ),
        timeseries(
            "Collector: log records out",
            Query(
                expr="sum by (exporter) (rate(otelcol_exporter_sent_log_records[5m]))",
                legend="sent: {{exporter}}",
            ),
            Query(
                expr="sum by (exporter) (rate(otelcol_exporter_send_failed_log_records[5m]))",
                legend="failed: {{exporter}}",
                empty_when="no record has failed since the collector started",
            ),
            unit=suffix("records/s"),
            description="Records handed on, and those that could not be.",
            width=8,
            needs=COLLECTOR,
            links=(runbook("CollectorExportFailing"),),
        ),
        timeseries(
            "Collector: queue",
            Query(
                expr="max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                legend="{{exporter}}",
            ),
            unit="percentunit",
            description="Part of the sending queue that is used. It fills while the receiver is away.",
            thresholds=_HALF_FULL,
            width=8,
            needs=COLLECTOR,
            links=(runbook("CollectorQueueNearlyFull"),),
        ),
    )


def _host() -> tuple[Panel, ...]:
    memory = "sum by (job) (process_resident_memory_bytes)"
    return (
        row("Host and components"),
        timeseries(
            "CPU used",
            Query(expr="instance:node_cpu:ratio", legend="{{instance}}"),
            unit="percentunit",
            description="Part of all cores that is not idle.",
            thresholds=Thresholds(warning=0.9),
            width=8,
            needs=NODE,
            links=(runbook("NodeCPUHigh"),),
        ),
        timeseries(
            "Memory used",
            Query(expr="instance:node_memory:ratio", legend="{{instance}}"),
            unit="percentunit",
            description="Part of memory that programs cannot have any more.",
            thresholds=Thresholds(warning=0.9),
            width=8,
            needs=NODE,
            links=(runbook("NodeMemoryHigh"),),
        ),
        bargauge(
            "Disk used",
            Query(
                expr="max by (instance, mountpoint) (instance:node_filesystem:ratio)",
                legend="{{instance}} {{mountpoint}}",
                instant=True,
            ),
            unit="percentunit",
            description="Part of each file system that is used.",
            maximum=1,
            thresholds=Thresholds(warning=0.9, critical=0.95),
            needs=NODE,
            links=(runbook("NodeDiskSpaceLow"), runbook("NodeDiskSpaceCritical")),
        ),
        timeseries(
            "Memory of each component",
            # The collector and what is built on it name their memory differently.
            Query(
                expr=f"{memory} or sum by (job) (otelcol_process_memory_rss)",
                legend="{{job}}",
            ),
            unit="bytes",
            description="Resident memory by job.",
            width=24,
        ),
    )
