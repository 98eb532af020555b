"""The first dashboard of a system, as a module of `dashboards/`: requests, errors, durations, and how full it is."""

from collections.abc import Iterator

from scaffold.pack import Rule, prefix
from scaffold.signals import Signals


def module(name: str, signals: Signals, rules: list[Rule]) -> str:
    """The text of the module; ruff formats it."""
    panels = "\n".join(_panels(name, signals, {rule.file for rule in rules}))
    return f'''"""{name}: scaffolded from its metrics."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import not_a_number, stat, timeseries
from dashboards.variables import FILTER

SYSTEM = "{name}"
JOB = 'job="{name}"'
NO_REQUESTS = (not_a_number("no requests"),)


def board() -> Board:
    """Requests, errors, durations and saturation."""
    return Board(
        uid=SYSTEM,
        title="{name}",
        description="Requests, errors, durations and saturation of {name}.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("start", "Start"), system_logs(SYSTEM), traces(SYSTEM), runbooks()),
        variables=(FILTER,),
        panels=_panels(),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _panels() -> tuple[Panel, ...]:
    return (
{panels}
    )
'''


def _panels(name: str, signals: Signals, files: set[str]) -> Iterator[str]:
    short = name.replace("-", "_")
    alerts = prefix(name)
    yield _stat(
        "Instances up",
        'f"avg(up{{{JOB}}})"',
        "percentunit",
        "Share of the instances that answer their scrapes.",
        alert=f"{alerts}Down",
        limits="critical=1, below=True",
    )
    if signals.requests:
        by = signals.status
        rate = f'promql.rate("{signals.requests.name}", JOB, ("{by}",))'
        yield _stat(
            "Error ratio",
            f'"{short}:http_errors:ratio_rate5m"',
            "percentunit",
            "Share of requests answered with 5xx, over 5 minutes.",
            alert=f"{alerts}HighErrorRate",
            limits="warning=0.01, critical=0.05",
        )
        yield _series("Request rate", rate, "{{" + by + "}}", "reqps", "Requests a second, by status.")
    if signals.duration:
        yield _series(
            "Response time",
            f'"{short}:response_seconds:p95_5m"',
            "95th percentile",
            "s",
            "95 of 100 requests were faster than this. A gap is a time without requests.",
            alert=f"{alerts}SlowResponses",
            limits="warning=0.5, critical=1",
        )
    if signals.in_flight:
        yield _series(
            "Requests in flight",
            f'promql.total("{signals.in_flight.name}", JOB, ("instance",))',
            "{{instance}}",
            "short",
            "Requests that are being answered.",
        )
    if "saturation" in files:
        yield _series(
            "Open files",
            'f"process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}}"',
            "{{instance}}",
            "percentunit",
            "Share of the files and connections that a process may have open.",
            alert=f"{alerts}FilesNearlyUsed",
            limits="critical=0.8",
        )
    if signals.processor:
        rate = 'promql.rate("process_cpu_seconds_total", JOB, ("instance",))'
        yield _series("Processor time", rate, "{{instance}}", "percentunit", "Share of a processor in use.")
    if signals.memory:
        expr = 'f"process_resident_memory_bytes{{{JOB}}}"'
        yield _series("Memory", expr, "{{instance}}", "bytes", "Resident memory of a process.")


def _stat(title: str, expr: str, unit: str, description: str, *, alert: str, limits: str) -> str:
    return f"""stat(
        "{title}",
        Query(expr={expr}, legend="{title.lower()}"),
        unit="{unit}",
        description="{description}",
        thresholds=Thresholds({limits}),
        mappings=NO_REQUESTS,
        height=8,
        links=_drill("{alert}"),
    ),"""


def _series(
    title: str, expr: str, legend: str, unit: str, description: str, *, alert: str = "", limits: str = ""
) -> str:
    judged = f'thresholds=Thresholds({limits}), links=_drill("{alert}"),' if alert else ""
    return f"""timeseries(
        "{title}",
        Query(expr={expr}, legend="{legend}"),
        unit="{unit}",
        description="{description}",
        {judged}
    ),"""
