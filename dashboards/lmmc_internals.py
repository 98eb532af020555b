"""LMMC Internals: latencies, Qdrant, AI calls, messages, task age and command line runs."""

from dashboards import logql, promql
from dashboards.board import GREEN, RED, Board, Panel, Query, Thresholds
from dashboards.components import OBJECTIVES
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import heatmap, row, stat, state_timeline, suffix, table, timeseries, value_text
from dashboards.panels import logs as log_lines
from dashboards.variables import FILTER

SYSTEM = "lmmc"
SERVER = "lmmc-server"
CLI = frozenset({"lmmc-cli"})


def board() -> Board:
    """What to look at when the overview shows that something is wrong."""
    return Board(
        uid="lmmc-internals",
        title="LMMC Internals",
        description="Latencies, Qdrant, AI calls, messages, task age and command line runs of LMMC.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard(SYSTEM, "Overview"), system_logs(SYSTEM), traces(SERVER), runbooks()),
        variables=(FILTER,),
        panels=(*_http(), *_ai(), *_qdrant(), *_tasks(), *_cli(), *_state()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _http() -> tuple[Panel, ...]:
    return (
        row("HTTP and WebSockets"),
        timeseries(
            "HTTP p95 by endpoint",
            Query(expr=promql.p95("lmmc_http_duration_seconds", "", ("endpoint",)), legend="{{endpoint}}"),
            unit="s",
            description="95 of 100 requests were faster than this. A gap is a time without requests.",
            thresholds=Thresholds(critical=0.5),
            width=8,
        ),
        heatmap(
            "HTTP latency",
            Query(
                expr=promql.increase("lmmc_http_duration_seconds_bucket", "", ("le",), promql.RATE),
                legend="{{le}}",
            ),
            unit="s",
            description="How requests spread over durations.",
            width=8,
        ),
        timeseries(
            "WebSocket messages",
            Query(
                expr=promql.rate("lmmc_websocket_messages_total", "", ("direction", "type")),
                legend="{{direction}} {{type}}",
            ),
            unit=suffix("msg/s"),
            description="Messages a second by direction and type.",
            width=8,
        ),
    )


def _ai() -> tuple[Panel, ...]:
    return (
        row("AI and patterns"),
        timeseries(
            "AI p95 by model",
            Query(expr="lmmc:ai_response_seconds:p95_5m", legend="{{model}}"),
            unit="s",
            description="95 of 100 AI calls were faster than this. A gap is a time without calls.",
            thresholds=Thresholds(critical=30),
            width=8,
            links=_drill("HighAIAPILatency"),
        ),
        timeseries(
            "AI calls by outcome",
            Query(
                expr=promql.rate("lmmc_ai_requests_total", "", ("model", "status")),
                legend="{{model}} {{status}}",
            ),
            unit="cps",
            description="AI calls a second by model and outcome.",
            width=8,
        ),
        timeseries(
            "Patterns detected",
            Query(expr=f"60 * {promql.rate('lmmc_patterns_detected_total', '', ('type',))}", legend="{{type}}"),
            unit=suffix("patterns/min"),
            description="Patterns found a minute, by type.",
            width=8,
            links=_drill("LowPatternConfidence"),
        ),
    )


def _qdrant() -> tuple[Panel, ...]:
    return (
        row("Qdrant"),
        timeseries(
            "Qdrant operations",
            Query(
                expr=promql.rate("lmmc_qdrant_operations_total", "", ("operation", "status")),
                legend="{{operation}} {{status}}",
            ),
            unit="ops",
            description="Operations a second by kind and outcome.",
            links=_drill("QdrantConnectionFailure"),
        ),
        timeseries(
            "Qdrant p95",
            Query(expr=promql.p95("lmmc_qdrant_latency_seconds", "", ("operation",)), legend="{{operation}}"),
            unit="s",
            description="95 of 100 operations were faster than this.",
            links=_drill("QdrantDown"),
        ),
    )


def _tasks() -> tuple[Panel, ...]:
    return (
        row("Tasks"),
        timeseries(
            "Task age",
            Query(expr="max by (percentile) (lmmc_task_age_days)", legend="p{{percentile}}"),
            unit="d",
            description="Age of the tasks that are not completed. Gone while the store cannot be read.",
            links=_drill("TaskCollectorFailing"),
        ),
        timeseries(
            "Tasks created",
            Query(expr=f"3600 * {promql.rate('lmmc_tasks_total', '', ('repository',))}", legend="{{repository}}"),
            unit=suffix("tasks/h"),
            description="Tasks created, at the pace of the last 5 minutes.",
        ),
    )


def _cli() -> tuple[Panel, ...]:
    since = "time() - max by (command) (lmmc_cli_last_run_timestamp_seconds > 0)"
    return (
        row("Command line", needs=CLI),
        timeseries(
            "CLI runs",
            Query(
                expr=f"60 * {promql.rate('lmmc_cli_commands_total', '', ('command', 'status'))}",
                legend="{{command}} {{status}}",
            ),
            unit=suffix("runs/min"),
            description="Runs of the command line program by command and outcome.",
            needs=CLI,
        ),
        table(
            "CLI last runs",
            Query(expr=since, instant=True),
            unit="s",
            description="How long ago each command was last run.",
            columns={"command": "Command", "Value": "Ago"},
            needs=CLI,
        ),
    )


def _state() -> tuple[Panel, ...]:
    states = value_text({1: ("healthy", GREEN), 0: ("unhealthy", RED)})
    return (
        row("State"),
        state_timeline(
            "Health checks",
            Query(expr="min by (check) (lmmc_health_check_status)", legend="{{check}}"),
            unit="bool",
            description="What the server says of itself and what it needs.",
            thresholds=Thresholds(critical=1, below=True),
            mappings=states,
            width=18,
            links=_drill("LMMCServerDown"),
        ),
        stat(
            "Error budget left",
            Query(
                expr=f'slo:error_budget:remaining_ratio{{system="{SYSTEM}"}}',
                legend="{{slo}}",
                instant=True,
                empty_when=promql.NO_BUDGET_YET,
            ),
            unit="percentunit",
            description="What is left of the errors that the objectives allow in their window.",
            thresholds=Thresholds(warning=0.25, critical=0, below=True),
            height=8,
            needs=OBJECTIVES,
            links=(dashboard("objectives", "Objectives"),),
        ),
        log_lines(
            "Error Logs",
            Query(expr=logql.errors(SYSTEM), datasource=LOKI, empty_when="nothing is logged at level error"),
            description="Lines at level error or critical, newest first.",
            links=(logs("All logs", logql.lines(SYSTEM)),),
        ),
    )
