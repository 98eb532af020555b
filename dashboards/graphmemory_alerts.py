"""GraphMemory Alert Status: what fires, what the bridge made of it, and who was told."""

from dashboards import logql, promql
from dashboards.board import Board, Override, Panel, Query, Thresholds
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import stat, table, timeseries
from dashboards.variables import FILTER

SYSTEM = "graphmemory"
BRIDGE = "graphmemory-bridge"
BRIDGES = frozenset({BRIDGE})
NONE_FIRES = "no alert fires"


def board() -> Board:
    """Alerts as Prometheus has them, and as the bridge does."""
    return Board(
        uid="graphmemory-alerts",
        title="GraphMemory Alert Status",
        description="Firing alerts, correlation groups, escalations and notifications of the alert bridge.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("graphmemory-overview", "Overview"), system_logs(SYSTEM), traces(BRIDGE), runbooks()),
        variables=(FILTER,),
        panels=(*_firing(), *_bridge()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _firing() -> tuple[Panel, ...]:
    alerts = f"ALERTS{{{promql.FIRING}}}"
    return (
        stat(
            "Firing by severity",
            Query(expr=f"sum by (severity) ({alerts})", legend="{{severity}}", instant=True, empty_when=NONE_FIRES),
            unit="short",
            description="Alerts that fire now, the Watchdog apart.",
            overrides=(Override(series="critical", thresholds=Thresholds(critical=1)),),
            height=8,
        ),
        table(
            "Firing alerts",
            Query(expr=alerts, instant=True, empty_when=NONE_FIRES),
            unit="short",
            description="Every alert that fires now, the Watchdog apart.",
            columns={
                "alertname": "Alert",
                "severity": "Severity",
                "system": "System",
                "component": "Component",
                "instance": "Instance",
            },
            width=18,
        ),
    )


def _bridge() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Correlation groups",
            Query(expr=promql.total("graphmemory_alert_correlation_groups", by=("state",)), legend="{{state}}"),
            unit="short",
            needs=BRIDGES,
            description="Groups of alerts of one system and component, by state.",
            width=8,
        ),
        timeseries(
            "Escalations, 1h",
            Query(
                expr=promql.increase("graphmemory_alert_escalations_total", "", ("level",), "1h"),
                legend="level {{level}}",
            ),
            unit="short",
            needs=BRIDGES,
            description="Groups that were told again, to the next level, within an hour.",
            width=8,
        ),
        timeseries(
            "Notifications",
            Query(
                expr=promql.rate("graphmemory_alert_notifications_total", "", ("channel", "status")),
                legend="{{channel}} {{status}}",
            ),
            unit="cps",
            needs=BRIDGES,
            description="Notifications that the bridge sent a second, by channel and outcome.",
            width=8,
            links=_drill("GraphMemoryNotificationsFailing"),
        ),
        stat(
            "Bridge age",
            Query(
                expr="time() - max(graphmemory_alert_bridge_last_success_timestamp_seconds)",
                legend="since the last batch",
            ),
            unit="s",
            needs=BRIDGES,
            description="Since the bridge last handled a batch. The Watchdog reaches it every minute.",
            thresholds=Thresholds(warning=120, critical=300),
            width=24,
            links=_drill("GraphMemoryAlertBridgeDown"),
        ),
    )
