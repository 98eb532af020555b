"""The Boss Workflow dashboard against the service's specification, metric catalogue and rules."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build
from dashboards import queries as queries_of
from dashboards import render as render_board
from dashboards.board import PanelQuery

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "rules/boss-workflow/v1"
PROFILE = REPOSITORY / "apps/boss-workflow.yaml"

Step = tuple[str, float | None]
Row = tuple[str, str, str, list[Step], str]

NONE: list[Step] = [("text", None)]
JOB = 'job="boss-workflow"'
AI_BUCKETS = "ai_request_duration_seconds_bucket"

# title, type, unit, thresholds, query
SPECIFIED: list[Row] = [
    ("HTTP Request Rate", "timeseries", "reqps", NONE, "sum by (endpoint) (boss:http_requests:rate5m)"),
    (
        "HTTP Request Duration p95",
        "timeseries",
        "s",
        [("green", None), ("yellow", 1), ("red", 2)],
        "boss:http_request_duration_seconds:p95_5m",
    ),
    ("Tasks by Status", "piechart", "short", NONE, f"sum by (status) (tasks_by_status{{{JOB}}})"),
    (
        "Task Creation Rate",
        "timeseries",
        "suffix:tasks/h",
        NONE,
        f"3600 * sum(rate(tasks_created_total{{{JOB}}}[5m]))",
    ),
    (
        "Task Completion Rate",
        "timeseries",
        "suffix:tasks/h",
        NONE,
        f"3600 * sum(rate(tasks_completed_total{{{JOB}}}[5m]))",
    ),
    (
        "Database Pool Status",
        "timeseries",
        "short",
        [("green", None), ("red", 5)],
        f"sum by (state) (db_pool_connections{{{JOB}}})",
    ),
    (
        "Database Query Duration p95",
        "timeseries",
        "s",
        [("green", None), ("yellow", 0.5), ("red", 1)],
        "boss:db_query_duration_seconds:p95_5m",
    ),
    (
        "Cache Hit Rate",
        "gauge",
        "percentunit",
        [("red", None), ("yellow", 0.5), ("green", 0.7)],
        "boss:cache_hits:ratio_rate5m",
    ),
    (
        "Error Rate",
        "timeseries",
        "suffix:errors/min",
        NONE,
        f"60 * sum by (type, severity) (rate(errors_total{{{JOB}}}[5m]))",
    ),
    (
        "AI Request Duration p95",
        "timeseries",
        "s",
        NONE,
        f"histogram_quantile(0.95, sum by (le, operation) (rate({AI_BUCKETS}{{{JOB}}}[5m])))",
    ),
    (
        "Discord Messages Sent",
        "timeseries",
        "suffix:msg/min",
        NONE,
        f"60 * sum by (channel, status) (rate(discord_messages_sent_total{{{JOB}}}[5m]))",
    ),
    ("Total Tasks Created", "stat", "short", NONE, f"sum(increase(tasks_created_total{{{JOB}}}[$__range]))"),
    (
        "Total Tasks Completed",
        "stat",
        "short",
        NONE,
        f"sum(increase(tasks_completed_total{{{JOB}}}[$__range]))",
    ),
    ("DB Query Rate", "stat", "ops", NONE, f"sum(rate(db_queries_total{{{JOB}}}[5m]))"),
    (
        "HTTP Error Rate %",
        "stat",
        "percentunit",
        [("green", None), ("yellow", 0.01), ("red", 0.05)],
        "boss:http_errors:ratio_rate5m",
    ),
]


def render() -> str:
    return render_board(build("boss-workflow"))


def queries() -> tuple[PanelQuery, ...]:
    return queries_of(build("boss-workflow"))


def panels() -> list[dict[str, Any]]:
    return list(json.loads(render())["panels"])


def test_the_title_is_the_one_of_the_specification() -> None:
    assert json.loads(render())["title"] == "Boss Workflow"


@pytest.mark.parametrize(("place", "specified"), list(enumerate(SPECIFIED)), ids=[row[0] for row in SPECIFIED])
def test_a_specified_panel_stands_in_its_place(place: int, specified: Row) -> None:
    panel = panels()[place]
    defaults = panel["fieldConfig"]["defaults"]
    steps = [(step["color"], step["value"]) for step in defaults["thresholds"]["steps"]]
    (target,) = panel["targets"]
    assert (panel["title"], panel["type"], defaults["unit"], steps, target["expr"]) == specified


def test_three_panels_follow_the_fifteen() -> None:
    following = [(panel["title"], panel["type"]) for panel in panels()[15:]]
    assert following == [
        ("Rate Limiting", "timeseries"),
        ("Redis Operation Duration p95", "timeseries"),
        ("Error Logs", "logs"),
    ]


def test_totals_are_read_once_over_the_time_shown() -> None:
    assert {query.panel for query in queries() if "$__range" in query.expr} == {
        "Total Tasks Created",
        "Total Tasks Completed",
    }
    assert all(query.instant for query in queries() if "$__range" in query.expr)


def test_only_the_overflow_series_has_a_line_at_its_limit() -> None:
    field = next(panel for panel in panels() if panel["title"] == "Database Pool Status")["fieldConfig"]
    assert field["defaults"]["custom"]["thresholdsStyle"] == {"mode": "off"}
    assert field["overrides"] == [
        {
            "matcher": {"id": "byName", "options": "overflow"},
            "properties": [{"id": "custom.thresholdsStyle", "value": {"mode": "dashed"}}],
        }
    ]


def test_every_metric_is_in_the_catalogue_or_recorded_by_a_rule() -> None:
    known = catalogue() | {rule["record"] for rule in rules("recording.yml")}
    for query in queries():
        if query.datasource == "prometheus":
            used = metrics(query.expr)
            assert used, query
            assert used <= known, f"{query.panel}: {sorted(used - known)} is neither in {PROFILE} nor recorded"


def catalogue() -> set[str]:
    """Series names of the profile's metrics."""
    names: set[str] = set()
    for metric in yaml.safe_load(PROFILE.read_text())["metrics"]:
        parts = ("_bucket", "_sum", "_count") if metric["type"] == "histogram" else ("",)
        names |= {metric["name"] + part for part in parts}
    return names


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics(expr: str) -> set[str]:
    """Metric names in a query: its names without selectors, ranges, grouping labels and function calls."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", " ", expr)
    return {name for name in re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare) if name not in ("sum", "or", "and")}
