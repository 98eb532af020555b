"""Test TDD Project - Main Dashboard: health, database, response times, errors, TDD cycles, host and logs."""

from dashboards import logql, promql
from dashboards.board import GREEN, RED, Board, Override, Panel, Query, Thresholds
from dashboards.components import NODE
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import gauge, stat, table, timeseries, value_text
from dashboards.panels import logs as log_lines
from dashboards.variables import FILTER

SYSTEM = "tdd-project"
APPLICATION = "tdd-app"
JOB = 'job="app-metrics"'


def board() -> Board:
    """The five panels of the system's document on its grid, then host memory, file sizes and logs."""
    return Board(
        uid=SYSTEM,
        title="Test TDD Project - Main Dashboard",
        description="Streamlit application on SQLite that tracks TDD cycles.",
        tags=("streamlit", "tdd", "monitoring", "system", "watchstack"),
        links=(dashboard("start", "Start"), system_logs(SYSTEM), traces(APPLICATION), runbooks()),
        variables=(FILTER,),
        panels=(*_application(), *_cycles(), *_host(), _logs()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _application() -> tuple[Panel, ...]:
    return (
        stat(
            "Application Health",
            Query(expr='up{job="streamlit-app"}', legend="Streamlit"),
            unit="bool",
            description="Whether the last scrape reached the application.",
            thresholds=Thresholds(critical=1, below=True),
            mappings=value_text({1: ("up", GREEN), 0: ("down", RED)}),
            width=12,
            height=8,
            links=_drill("StreamlitDown"),
        ),
        timeseries(
            "Database Connections",
            Query(expr=f"database_connections_active{{{JOB}}}", legend="open"),
            unit="short",
            description="Open connections to SQLite.",
            links=_drill("DatabaseConnectionFailure"),
        ),
        timeseries(
            "Response Times",
            Query(expr="tdd:response_time_seconds:p95_5m", legend="{{handler}}"),
            unit="s",
            description="95 of 100 requests were faster than this. A gap is a time without requests.",
            thresholds=Thresholds(warning=1, critical=2),
            width=24,
            links=_drill("ResponseTimeHigh"),
        ),
    )


def _cycles() -> tuple[Panel, ...]:
    errors = promql.rate("http_requests_total", f'{JOB},status=~"4..|5.."', ("status",))
    seconds = promql.increase("tdd_phase_duration_seconds_sum", "", ("phase",), "24h")
    phases = promql.increase("tdd_phase_duration_seconds_count", "", ("phase",), "24h")
    completed = promql.increase("tdd_phases_completed_total", "", ("phase", "outcome"), "24h")
    return (
        timeseries(
            "Error Rate",
            Query(expr=errors, legend="{{status}}"),
            unit="reqps",
            description="Requests a second that were answered with 4xx or 5xx, by status.",
            links=_drill("HighErrorRate"),
        ),
        table(
            "TDD Metrics",
            Query(expr=f"{seconds} / {phases}", instant=True),
            Query(expr=completed, instant=True),
            unit="s",
            description="Mean time in each phase, and phases completed by outcome, in a day.",
            columns={
                "phase": "Phase",
                "outcome": "Outcome",
                "Value #A": "Mean time",
                "Value #B": "Completed",
            },
            overrides=(Override(series="Completed", unit="short"),),
        ),
    )


def _host() -> tuple[Panel, ...]:
    return (
        gauge(
            "Host Memory",
            Query(expr="tdd:memory_usage:percent", legend="used", instant=True),
            unit="percent",
            description="Part of the host's memory that programs cannot have any more.",
            thresholds=Thresholds(warning=80, critical=90),
            maximum=100,
            width=8,
            needs=NODE,
            links=_drill("MemoryUsageHigh"),
        ),
        timeseries(
            "Database and WAL Size",
            Query(expr="sqlite_database_size_bytes", legend="database"),
            Query(expr="sqlite_wal_size_bytes", legend="write-ahead log"),
            unit="bytes",
            description="Size of the SQLite file and its write-ahead log.",
            width=16,
            needs=frozenset({"sqlite-exporter"}),
            links=_drill("SqliteFailing"),
        ),
    )


def _logs() -> Panel:
    return log_lines(
        "Warning and Error Logs",
        Query(
            expr=f'{logql.lines(SYSTEM)} | level=~"(?i)warning|error|critical"',
            datasource=LOKI,
            empty_when="nothing is logged at level warning or above",
        ),
        description="Lines at level warning, error or critical, newest first.",
        links=(logs("All logs", logql.lines(SYSTEM)),),
    )
