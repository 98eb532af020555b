"""Boss Workflow: requests, tasks, database, cache, AI, Discord, limits and error logs of the service."""

from dashboards import logql, promql
from dashboards.board import Board, Override, Panel, Query, Thresholds
from dashboards.datasources import LOKI
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import gauge, not_a_number, piechart, stat, suffix, timeseries
from dashboards.panels import logs as log_lines
from dashboards.variables import FILTER

SYSTEM = "boss-workflow"
JOB = f'job="{SYSTEM}"'


def board() -> Board:
    """The fifteen panels of the service's own specification, then rate limits, Redis and error logs."""
    return Board(
        uid=SYSTEM,
        title="Boss Workflow",
        description="Task workflow service: requests, tasks, database, cache, AI and Discord.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("start", "Start"), system_logs(SYSTEM), traces(SYSTEM), runbooks()),
        variables=(FILTER,),
        panels=(*_requests(), *_tasks(), *_database(), *_services(), *_totals(), *_limits(), _error_logs()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _requests() -> tuple[Panel, ...]:
    return (
        timeseries(
            "HTTP Request Rate",
            Query(expr="sum by (endpoint) (boss:http_requests:rate5m)", legend="{{endpoint}}"),
            unit="reqps",
            description="Requests a second by route template.",
            links=_drill("ApplicationDown"),
        ),
        timeseries(
            "HTTP Request Duration p95",
            Query(expr="boss:http_request_duration_seconds:p95_5m", legend="p95"),
            unit="s",
            description="95 of 100 requests were faster than this. A gap is a time without requests.",
            thresholds=Thresholds(warning=1, critical=2),
            links=_drill("SlowAPIResponses"),
        ),
    )


def _tasks() -> tuple[Panel, ...]:
    return (
        piechart(
            "Tasks by Status",
            Query(expr=f"sum by (status) (tasks_by_status{{{JOB}}})", legend="{{status}}", instant=True),
            unit="short",
            description="Tasks now, by status.",
        ),
        timeseries(
            "Task Creation Rate",
            Query(expr=f"3600 * {promql.rate('tasks_created_total', JOB)}", legend="created"),
            unit=suffix("tasks/h"),
            description="Tasks created, at the pace of the last 5 minutes.",
            width=8,
        ),
        timeseries(
            "Task Completion Rate",
            Query(expr=f"3600 * {promql.rate('tasks_completed_total', JOB)}", legend="completed"),
            unit=suffix("tasks/h"),
            description="Tasks completed, at the pace of the last 5 minutes.",
            width=8,
        ),
    )


def _database() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Database Pool Status",
            Query(expr=f"sum by (state) (db_pool_connections{{{JOB}}})", legend="{{state}}"),
            unit="short",
            description="Connections of the pool by state. More than 5 in overflow: the pool is used up.",
            thresholds=Thresholds(critical=5),
            threshold_lines=False,
            overrides=(Override(series="overflow", threshold_lines=True),),
            links=_drill("DatabasePoolExhaustion"),
        ),
        timeseries(
            "Database Query Duration p95",
            Query(expr="boss:db_query_duration_seconds:p95_5m", legend="{{operation}}"),
            unit="s",
            description="95 of 100 queries were faster than this. A gap is a time without queries.",
            thresholds=Thresholds(warning=0.5, critical=1),
            links=_drill("HighDatabaseLatency"),
        ),
    )


def _services() -> tuple[Panel, ...]:
    return (
        gauge(
            "Cache Hit Rate",
            Query(expr="boss:cache_hits:ratio_rate5m", legend="hits", instant=True),
            unit="percentunit",
            description="Share of cache reads that found a value, over 5 minutes.",
            thresholds=Thresholds(warning=0.7, critical=0.5, below=True),
            mappings=(not_a_number("no reads"),),
            links=_drill("LowCacheHitRate"),
        ),
        timeseries(
            "Error Rate",
            Query(
                expr=f"60 * {promql.rate('errors_total', JOB, ('type', 'severity'))}",
                legend="{{type}} ({{severity}})",
            ),
            unit=suffix("errors/min"),
            description="Errors that the application counted, by type and severity.",
            width=9,
            links=(logs("Error logs", logql.errors(SYSTEM)),),
        ),
        timeseries(
            "AI Request Duration p95",
            Query(expr=promql.p95("ai_request_duration_seconds", JOB, ("operation",)), legend="{{operation}}"),
            unit="s",
            description="95 of 100 AI calls were faster than this. A gap is a time without calls.",
            width=9,
            links=_drill("AIRequestFailures"),
        ),
        timeseries(
            "Discord Messages Sent",
            Query(
                expr=f"60 * {promql.rate('discord_messages_sent_total', JOB, ('channel', 'status'))}",
                legend="{{channel}} {{status}}",
            ),
            unit=suffix("msg/min"),
            description="Messages to Discord by channel and outcome.",
            width=24,
            height=7,
            links=_drill("DiscordSendFailures"),
        ),
    )


def _totals() -> tuple[Panel, ...]:
    return (
        stat(
            "Total Tasks Created",
            Query(expr=promql.increase_over_range("tasks_created_total", JOB), legend="created", instant=True),
            unit="short",
            description="Tasks created in the time shown.",
        ),
        stat(
            "Total Tasks Completed",
            Query(
                expr=promql.increase_over_range("tasks_completed_total", JOB),
                legend="completed",
                instant=True,
            ),
            unit="short",
            description="Tasks completed in the time shown.",
        ),
        stat(
            "DB Query Rate",
            Query(expr=promql.rate("db_queries_total", JOB), legend="queries"),
            unit="ops",
            description="Database queries a second.",
            links=_drill("HighDatabaseLatency"),
        ),
        stat(
            "HTTP Error Rate %",
            Query(expr="boss:http_errors:ratio_rate5m", legend="errors"),
            unit="percentunit",
            description="Share of requests answered with 5xx, over 5 minutes.",
            thresholds=Thresholds(warning=0.01, critical=0.05),
            mappings=(not_a_number("no requests"),),
            links=_drill("HighErrorRate"),
        ),
    )


def _limits() -> tuple[Panel, ...]:
    near = "clients near the limit"
    return (
        timeseries(
            "Rate Limiting",
            Query(
                expr=f"60 * {promql.rate('rate_limit_violations_total', JOB, ('endpoint',))}",
                legend="{{endpoint}}",
                empty_when="no request is rejected",
            ),
            Query(expr=f"sum(rate_limit_near_limit{{{JOB}}})", legend=near),
            unit=suffix("rejected/min"),
            description="Rejected requests by route (left); clients above 80 % of their limit (right).",
            overrides=(Override(series=near, right_axis=True, unit=suffix("clients")),),
        ),
        timeseries(
            "Redis Operation Duration p95",
            Query(
                expr=promql.p95("redis_operation_duration_seconds", JOB, ("operation",)),
                legend="{{operation}}",
            ),
            unit="s",
            description="95 of 100 operations were faster than this. A gap is a time without operations.",
            links=_drill("RedisErrors"),
        ),
    )


def _error_logs() -> Panel:
    return log_lines(
        "Error Logs",
        Query(
            expr=logql.errors(SYSTEM),
            datasource=LOKI,
            empty_when="nothing is logged at level error",
        ),
        description="Lines at level error or critical, newest first.",
        links=(logs("All logs", logql.lines(SYSTEM)),),
    )
