"""A dashboard with a panel of every kind, and a Prometheus and a Loki that answer from files."""

import json
from pathlib import Path
from typing import Any

import httpx

import dashboards
from dashboards.board import GREEN, RED, YELLOW, Board, Override, Panel, Query, Thresholds
from dashboards.datasources import LOKI
from dashboards.links import dashboard, runbook
from dashboards.panels import (
    alert_list,
    bargauge,
    dashboard_list,
    gauge,
    heatmap,
    logs,
    not_a_number,
    piechart,
    row,
    stat,
    state_timeline,
    suffix,
    table,
    timeseries,
    value_text,
)
from pictures import data, model
from pictures.data import Answer, Sources, Window
from pictures.model import Index, Page

HERE = Path(__file__).parent / "data"
WINDOW = Window(end=1_800_000_000.0, seconds=900)
_METRICS: dict[str, Any] = json.loads((HERE / "metrics.json").read_text())
_STATES = value_text({1: ("up", GREEN), 0: ("down", RED)})
_HIGH = Thresholds(warning=0.9, critical=0.95)
_LOW = Thresholds(warning=0.7, critical=0.5, below=True)


def board() -> Board:
    """Every kind of panel, also without data, with an error and with words for no value."""
    return Board(
        uid="sample",
        title="Every <kind>",
        description="Panels of every kind.",
        tags=("shop", "watchstack"),
        links=(dashboard("other", "Other"), dashboard("gone", "Gone"), runbook("TargetDown")),
        panels=(row("Lines"), *_lines(), row("Numbers"), *_numbers(), row("Lists"), *_lists(), row("No"), *_without()),
    )


def _lines() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Rate", Query(expr="rate", legend="{{endpoint}}"), unit="reqps", description="Requests, <by> route."
        ),
        timeseries(
            "Duration",
            Query(expr="p95", legend="p95"),
            unit="s",
            description="95 of 100.",
            thresholds=Thresholds(warning=0.3, critical=0.5),
            links=(runbook("SlowAPIResponses"),),
        ),
        timeseries("Memory", Query(expr="memory", legend="{{job}}"), unit="bytes", description="By job.", stacked=True),
        timeseries(
            "Pool",
            Query(expr="pool", legend="{{state}}"),
            Query(expr="clients", legend="clients"),
            unit="short",
            description="Two units.",
            thresholds=Thresholds(critical=5),
            threshold_lines=False,
            overrides=(
                Override(series="overflow", threshold_lines=True),
                Override(series="clients", unit=suffix("clients"), right_axis=True),
            ),
        ),
        timeseries("Lonely", Query(expr="lonely", legend="one"), unit="short", description="One sample.", width=8),
        heatmap("Latency", Query(expr="buckets", legend="{{le}}"), unit="s", description="Buckets.", width=16),
        state_timeline(
            "Checks",
            Query(expr="checks", legend="{{check}}"),
            unit="bool",
            description="States.",
            mappings=_STATES,
            width=24,
        ),
    )


def _numbers() -> tuple[Panel, ...]:
    errors = Thresholds(warning=0.01, critical=0.02)
    return (
        stat("Errors", Query(expr="errors", legend="e"), unit="percentunit", description="Share.", thresholds=errors),
        stat("Uptime", Query(expr="uptime", legend="{{job}}"), unit="s", description="Since the start.", width=12),
        stat(
            "Tasks",
            Query(expr="clients", legend="c", instant=True),
            unit="short",
            description="Now.",
            thresholds=Thresholds(warning=20, critical=100),
        ),
        gauge(
            "Hits",
            Query(expr="hit_ratio", legend="hits", instant=True),
            unit="percentunit",
            description="Share.",
            thresholds=_LOW,
        ),
        gauge(
            "Caches",
            Query(expr="low_ratio", legend="{{cache}}", instant=True),
            unit="percentunit",
            description="Shares.",
            thresholds=_LOW,
            width=10,
        ),
        gauge(
            "No reads",
            Query(expr="none", legend="n", instant=True),
            unit="percentunit",
            description="Nothing was read.",
            mappings=(not_a_number("no reads"),),
            thresholds=_LOW,
            width=8,
        ),
        bargauge(
            "Disks",
            Query(expr="disk", legend="{{mountpoint}}", instant=True),
            unit="percentunit",
            description="Used.",
            maximum=1,
            thresholds=_HIGH,
            width=12,
        ),
        piechart(
            "Tasks by status",
            Query(expr="tasks", legend="{{status}}", instant=True),
            unit="short",
            description="Now.",
            width=12,
        ),
    )


def _lists() -> tuple[Panel, ...]:
    return (
        table(
            "Targets",
            Query(expr="up", instant=True),
            unit="short",
            description="All.",
            columns={"system": "System", "job": "Job", "instance": "Instance", "Value": "State"},
            overrides=(Override(series="State", mappings=_STATES, coloured=True),),
        ),
        table(
            "Objectives",
            Query(expr="objective", instant=True),
            Query(expr="budget", instant=True),
            unit="percentunit",
            description="Two values a row.",
            columns={"slo": "Objective", "Value #A": "Promised", "Value #B": "Budget left"},
            overrides=(Override(series="Budget left", thresholds=Thresholds(critical=0, below=True), coloured=True),),
        ),
        logs("Log", Query(expr='{system="shop"}', datasource=LOKI), description="Lines.", height=7),
        alert_list("Alerts", description="Now.", alerts='{system="shop"}'),
        alert_list("Quiet", description="Now.", alerts='{system="quiet"}', width=6),
        dashboard_list("Boards", "shop", description="Others.", width=6),
    )


def _without() -> tuple[Panel, ...]:
    return (
        timeseries("Missing", Query(expr="nothing", legend=""), unit="short", description="No data.", width=8),
        stat(
            "Quiet by nature",
            Query(expr="nothing", legend="", empty_when="nobody asks"),
            unit="short",
            description="No data.",
            width=8,
        ),
        timeseries("Broken", Query(expr="rate(", legend=""), unit="short", description="An error.", width=8),
        stat(
            "Zero",
            Query(expr="zero", legend="z", instant=True),
            unit="short",
            description="A constant.",
            mappings=value_text({0: ("none", YELLOW)}),
        ),
    )


def page() -> Page:
    """The sample as it is drawn."""
    return model.read(dashboards.render(board()))


def index() -> Index:
    """Two dashboards, both drawn."""
    other = model.read('{"uid": "other", "title": "Other", "tags": ["shop"], "description": "Another one."}')
    return Index(pages=(page(), other), drawn=frozenset({"sample", "other"}))


def answers() -> list[Answer]:
    """What the sample's queries find."""
    return data.ask(page().panels, sources(), WINDOW)


def sources() -> Sources:
    """Both servers, answering from the files."""
    client = httpx.Client(transport=httpx.MockTransport(_served))
    return Sources(prometheus="http://prometheus", loki="http://loki", client=client)


def _served(request: httpx.Request) -> httpx.Response:
    expr = request.url.params.get("query", "")
    match request.url.path:
        case "/api/v1/alerts":
            return _success({"alerts": json.loads((HERE / "alerts.json").read_text())})
        case "/loki/api/v1/query_range":
            return _success({"resultType": "streams", "result": json.loads((HERE / "logs.json").read_text())})
        case "/api/v1/query" if expr.startswith("ALERTS"):
            return _success({"resultType": "vector", "result": _alerts(expr)})
    if expr == "rate(":
        return httpx.Response(400, json={"status": "error", "error": 'parse error: unclosed "<left>" parenthesis'})
    if expr == "zero":
        return _success({"resultType": "scalar", "result": [WINDOW.end, "0"]})
    found = _METRICS.get(expr, [])
    if request.url.path == "/api/v1/query":
        vector = [{"metric": each["labels"], "value": [WINDOW.end, _text(each["values"][-1])]} for each in found]
        return _success({"resultType": "vector", "result": vector})
    start, step = float(request.url.params["start"]), float(request.url.params["step"])
    matrix = [{"metric": each["labels"], "values": _samples(each["values"], start, step)} for each in found]
    return _success({"resultType": "matrix", "result": matrix})


def _success(found: Any) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": found})


def _alerts(expr: str) -> list[Any]:
    """As Prometheus: the alerts with the system in the selector, with their state as a label."""
    alerts = json.loads((HERE / "alerts.json").read_text())
    return [
        {"metric": {"__name__": "ALERTS", "alertstate": alert["state"], **alert["labels"]}, "value": [0, "1"]}
        for alert in alerts
        if f'system="{alert["labels"]["system"]}"' in expr
    ]


def _samples(values: list[float | None], start: float, step: float) -> list[list[Any]]:
    return [[start + index * step, str(value)] for index, value in enumerate(values) if value is not None]


def _text(value: float | None) -> str:
    return "NaN" if value is None else str(value)
