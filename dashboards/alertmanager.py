"""Alertmanager: alerts, notifications by kind of receiver, silences and its own state."""

from dashboards import promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.configuration import configuration
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import row, stat, suffix, table, timeseries
from dashboards.process import process
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

NAME = "alertmanager"

_OWN = f'{ANY_INSTANCE},job="{NAME}"'
_EACH = "{{instance}}"
_KINDS = ("integration",)


def board() -> Board:
    """From alerts that come in to notifications that go out."""
    return Board(
        uid=NAME,
        title="Alertmanager",
        description="Alerts, notifications by kind of receiver, silences and its own state.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), dashboard("stack-health", "Stack health"), runbooks()),
        variables=(ENVIRONMENT, instance(f'job="{NAME}"'), FILTER),
        needs=frozenset({NAME}),
        panels=(*_numbers(), *_alerts(), *_notifications(), *process(_OWN)),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        configuration("alertmanager", _OWN, "AlertmanagerConfigReloadFailed"),
        stat(
            "Configurations",
            Query(expr=f'count(count_values("hash", alertmanager_config_hash{{{_OWN}}}))', legend="different"),
            unit="short",
            description="Different configurations among the Alertmanagers; more than one is a mistake.",
            thresholds=Thresholds(critical=2),
            links=(runbook("AlertmanagerConfigDiffers"),),
        ),
        stat(
            "Silences in force",
            Query(expr=f'max(alertmanager_silences{{{_OWN},state="active"}})', legend="silences"),
            unit="short",
            description="Silences that hold back notifications now.",
            thresholds=Thresholds(warning=1),
        ),
        stat(
            "Failed notifications, 1h",
            Query(
                expr=promql.increase("alertmanager_notifications_failed_total", _OWN, window="1h"),
                legend="failed",
                instant=True,
            ),
            unit="short",
            description="Notifications that could not be delivered within an hour.",
            thresholds=Thresholds(critical=1),
            links=(runbook("AlertmanagerNotificationsFailing"),),
        ),
    )


def _alerts() -> tuple[Panel, ...]:
    return (
        row("Alerts"),
        table(
            "Alerts that fire",
            Query(expr=f"ALERTS{{{promql.FIRING}}}", instant=True, empty_when="no alert fires"),
            unit="short",
            description="Every alert that Prometheus sends, the Watchdog apart.",
            columns={
                "alertname": "Alert",
                "severity": "Severity",
                "system": "System",
                "component": "Component",
                "instance": "Instance",
            },
        ),
        timeseries(
            "Alerts by state",
            Query(expr=promql.total("alertmanager_alerts", _OWN, ("state",)), legend="{{state}}"),
            Query(expr=promql.total("alertmanager_dispatcher_aggregation_groups", _OWN), legend="groups"),
            unit="short",
            description="Alerts that are told, or held back by a silence or another alert; and their groups.",
        ),
        timeseries(
            "Alerts received",
            Query(
                expr=promql.rate("alertmanager_alerts_received_total", _OWN, ("status",), RATE),
                legend="{{status}}",
            ),
            Query(expr=promql.rate("alertmanager_alerts_invalid_total", _OWN, (), RATE), legend="invalid"),
            unit=suffix("alerts/s"),
            description="Alerts a second that came in, firing and resolved, and those that were refused.",
        ),
        timeseries(
            "Silences",
            Query(expr=f"max by (state) (alertmanager_silences{{{_OWN}}})", legend="{{state}}"),
            unit="short",
            description="Silences by state.",
        ),
    )


def _notifications() -> tuple[Panel, ...]:
    sent = "alertmanager_notifications_total"
    failed = "alertmanager_notifications_failed_total"
    latency = "alertmanager_notification_latency_seconds"
    # Alertmanager counts for every kind of receiver that there is.
    used = f"sum by (integration) ({sent}{{{_OWN}}}) > 0"
    return (
        row("Notifications"),
        timeseries(
            "Notifications by receiver",
            Query(
                expr=f"60 * {promql.rate(sent, _OWN, _KINDS)} and on (integration) {used}",
                legend="{{integration}}",
                empty_when="nobody has been told anything since the start of Alertmanager",
            ),
            unit="cpm",
            description="Notifications a minute by kind of receiver, the failed ones too.",
            width=8,
        ),
        timeseries(
            "Notifications that failed",
            Query(
                expr=f"60 * {promql.rate(failed, _OWN, (*_KINDS, 'reason'))} > 0",
                legend="{{integration}} {{reason}}",
                empty_when="no notification fails",
            ),
            unit="cpm",
            description="Failures a minute by kind of receiver and reason.",
            thresholds=Thresholds(critical=1),
            width=8,
            links=(runbook("AlertmanagerNotificationsFailing"),),
        ),
        timeseries(
            "Delivery p95",
            Query(expr=promql.p95(latency, _OWN, _KINDS), legend="{{integration}}"),
            unit="s",
            description="95 of 100 notifications were delivered faster. A gap is a time without notifications.",
            width=8,
        ),
    )
