"""Start: what fires now, whether everything is scraped, and the way to every other dashboard."""

from dashboards import promql
from dashboards.board import GREEN, RED, Board, Panel, Query, Thresholds
from dashboards.components import OBJECTIVES
from dashboards.links import runbook, runbooks
from dashboards.panels import (
    alert_list,
    dashboard_list,
    stat,
    state_timeline,
    table,
    value_text,
)
from dashboards.variables import FILTER


def board() -> Board:
    """The first page to look at."""
    return Board(
        uid="start",
        title="Start",
        description="What fires now, and the way to every other dashboard.",
        tags=("start", "watchstack"),
        links=(runbooks(),),
        variables=(FILTER,),
        panels=(*_numbers(), *_alerts(), *_ways()),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        _firing("critical", Thresholds(critical=1)),
        _firing("warning", Thresholds(warning=1)),
        stat(
            "Targets down",
            Query(expr="count(up == 0) or vector(0)", legend="down", instant=True),
            unit="short",
            description="Targets that the last scrape did not reach.",
            thresholds=Thresholds(critical=1),
            links=(runbook("TargetDown"),),
        ),
        stat(
            "Smallest error budget",
            Query(
                expr="min(slo:error_budget:remaining_ratio)",
                legend="left",
                instant=True,
                empty_when=promql.NO_BUDGET_YET,
            ),
            unit="percentunit",
            description="What the objective that fares worst has left of its errors.",
            thresholds=Thresholds(warning=0.25, critical=0, below=True),
            needs=OBJECTIVES,
        ),
    )


def _firing(severity: str, thresholds: Thresholds) -> Panel:
    alerts = f'ALERTS{{{promql.FIRING},severity="{severity}"}}'
    return stat(
        f"Firing: {severity}",
        Query(expr=f"count({alerts}) or vector(0)", legend=severity, instant=True),
        unit="short",
        description=f"Alerts of severity {severity} that fire now.",
        thresholds=thresholds,
    )


def _alerts() -> tuple[Panel, ...]:
    return (
        table(
            "Firing now",
            Query(expr=f"ALERTS{{{promql.FIRING}}}", instant=True, empty_when="no alert fires"),
            unit="short",
            description="Every alert that fires, the Watchdog apart.",
            columns={
                "alertname": "Alert",
                "severity": "Severity",
                "system": "System",
                "component": "Component",
                "instance": "Instance",
            },
            width=14,
        ),
        alert_list(
            "Firing and pending",
            description="Alerts of Prometheus with their waiting time, the Watchdog apart; each opens with its labels.",
            alerts='{severity!="none"}',
            width=10,
        ),
    )


def _ways() -> tuple[Panel, ...]:
    return (
        state_timeline(
            "Jobs",
            Query(expr="min by (job) (up)", legend="{{job}}"),
            unit="bool",
            description="Whether every target of a job was reached.",
            thresholds=Thresholds(critical=1, below=True),
            mappings=value_text({1: ("up", GREEN), 0: ("down", RED)}),
            height=10,
            links=(runbook("TargetDown"),),
        ),
        dashboard_list(
            "Dashboards of systems",
            "system",
            description="What is watched.",
            width=6,
            height=10,
        ),
        dashboard_list(
            "Dashboards of the platform",
            "platform",
            description="What it is watched with.",
            width=6,
            height=10,
        ),
    )
