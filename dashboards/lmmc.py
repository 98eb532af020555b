"""LMMC System Overview: requests, errors, tasks, tokens, patterns and WebSockets of the task memory server."""

from dashboards import logql, promql
from dashboards.board import Board, Override, Panel, Query, Thresholds
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import bargauge, gauge, not_a_number, stat, suffix, timeseries
from dashboards.variables import FILTER

SYSTEM = "lmmc"
SERVER = "lmmc-server"


def board() -> Board:
    """The six panels of the system's document."""
    return Board(
        uid=SYSTEM,
        title="LMMC System Overview",
        description="Task memory server: requests, tasks, AI tokens, patterns and WebSockets.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(
            dashboard("start", "Start"),
            dashboard("lmmc-internals", "Internals"),
            system_logs(SYSTEM),
            traces(SERVER),
            runbooks(),
        ),
        variables=(FILTER,),
        panels=(*_requests(), *_tasks(), *_patterns()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _requests() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Request Rate",
            Query(expr=promql.rate("lmmc_http_requests_total", "", ("method",)), legend="{{method}}"),
            unit="reqps",
            description="Requests a second by method.",
            width=18,
            links=_drill("LMMCServerDown"),
        ),
        stat(
            "Error Rate",
            Query(expr="lmmc:http_errors:ratio_rate5m", legend="errors"),
            unit="percentunit",
            description="Share of requests answered with 5xx, over 5 minutes.",
            thresholds=Thresholds(warning=0.01, critical=0.05),
            mappings=(not_a_number("no requests"),),
            height=8,
            links=_drill("HighErrorRate"),
        ),
    )


def _tasks() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Active Tasks by Repository",
            Query(
                expr=promql.total("lmmc_active_tasks", by=("repository", "status")),
                legend="{{repository}} {{status}}",
            ),
            unit="short",
            description="Tasks that are not completed, as the store has them at the scrape.",
            links=(runbook("TaskCollectorFailing"),),
        ),
        bargauge(
            "AI Token Usage",
            Query(
                expr=promql.increase("lmmc_ai_tokens_used_total", "", ("model",), "1h"),
                legend="{{model}}",
                instant=True,
            ),
            unit=suffix("tokens/h"),
            description="Tokens of prompts and completions in the last hour, by model.",
            width=12,
            links=(runbook("HighAIAPILatency"),),
        ),
    )


def _patterns() -> tuple[Panel, ...]:
    p95, median = "p95 of 5 minutes", "median of an hour"
    limits = Thresholds(warning=0.7, critical=0.6, below=True)
    return (
        gauge(
            "Pattern Detection Confidence",
            Query(expr=promql.p95("lmmc_pattern_confidence"), legend=p95, instant=True),
            Query(expr="lmmc:pattern_confidence:p50_1h", legend=median, instant=True),
            unit="percentunit",
            description="Confidence of detected patterns. The alert judges the median of an hour.",
            overrides=(Override(series=median, thresholds=limits),),
            mappings=(not_a_number("no patterns"),),
            width=18,
            links=_drill("LowPatternConfidence"),
        ),
        stat(
            "WebSocket Connections",
            Query(expr=promql.total("lmmc_websocket_connections_active"), legend="open"),
            unit="short",
            description="Open WebSockets.",
            height=8,
        ),
    )
