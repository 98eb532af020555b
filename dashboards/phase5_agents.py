"""Phase 5 Agents Monitoring: tasks, reminders, audit log, WebSockets, events and the agents' error logs."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import logs as log_lines
from dashboards.panels import not_a_number, stat, timeseries
from dashboards.variables import FILTER

SYSTEM = "phase5"
AGENTS = '{app=~"phase5-.+-agent"}'


def board() -> Board:
    """What the agents do with the events."""
    return Board(
        uid="phase5-agents",
        title="Phase 5 Agents Monitoring",
        description="Task operations, reminders, audit log, WebSockets and events of Phase 5.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(
            dashboard("phase5-overview", "Overview"),
            system_logs(SYSTEM),
            traces("phase5-reminder-agent"),
            runbooks(),
        ),
        variables=(FILTER,),
        panels=(*_work(), *_events(), _error_logs()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", f"{AGENTS} | {logql.AT_ERROR}"))


def _work() -> tuple[Panel, ...]:
    failed = 'sum(phase5:reminder_delivery:rate5m{status="failure"}) or vector(0)'
    return (
        timeseries(
            "Task operations",
            Query(expr="phase5:task_operations:rate5m", legend="{{operation}} {{status}}"),
            unit="ops",
            description="Task operations a second by kind and outcome.",
            width=9,
        ),
        timeseries(
            "Reminders",
            Query(expr="phase5:reminder_delivery:rate5m", legend="{{status}}"),
            unit="cps",
            description="Reminders a second by outcome.",
            width=9,
            links=_drill("ReminderDeliveryFailures"),
        ),
        stat(
            "Reminder failures",
            Query(expr=f"({failed}) / sum(phase5:reminder_delivery:rate5m)", legend="failed"),
            unit="percentunit",
            description="Share of reminders that were not delivered, over 5 minutes.",
            thresholds=Thresholds(warning=0.05, critical=0.1),
            mappings=(not_a_number("no reminders"),),
            height=8,
            links=_drill("ReminderDeliveryFailures"),
        ),
    )


def _events() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Audit log writes",
            Query(expr="phase5:audit_log_writes:rate5m", legend="{{status}}"),
            unit="cps",
            description="Writes to the audit log a second, by outcome.",
            width=8,
            links=_drill("AuditLogFailures"),
        ),
        timeseries(
            "WebSocket connections",
            Query(expr="phase5:websocket_connections:current", legend="{{service}}"),
            unit="short",
            description="Open WebSockets by service.",
            width=8,
        ),
        timeseries(
            "Events handled",
            Query(
                expr=promql.rate("events_processed_total", 'namespace="phase5-production"', ("topic", "status")),
                legend="{{topic}} {{status}}",
            ),
            unit="cps",
            description="Kafka events handled a second, by topic and outcome.",
            width=8,
            links=_drill("KafkaConsumerLag"),
        ),
    )


def _error_logs() -> Panel:
    return log_lines(
        "Agent error logs",
        Query(
            expr=f"{AGENTS} | {logql.AT_ERROR}",
            datasource=LOKI,
            empty_when="no agent logs at level error",
        ),
        description="Lines of the agents at level error or critical, newest first.",
        links=(logs("All logs", AGENTS),),
    )
