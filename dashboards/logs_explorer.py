"""Logs explorer: how much is logged, by whom, at which level, and the lines themselves."""

from dashboards import logql
from dashboards.board import Board, Panel, Query
from dashboards.datasources import LOKI
from dashboards.links import dashboard, logs, runbook, runbooks
from dashboards.panels import logs as log_lines
from dashboards.panels import suffix, timeseries

_ALL = '{system=~".+"}'
_WINDOW = "$__interval"
# Programs write levels in either case, or none.
_IN_SMALL = 'label_format level=`{{ .level | default "none" | lower }}`'


def board() -> Board:
    """Explore opens with the same query from each panel."""
    return Board(
        uid="logs-explorer",
        title="Logs Explorer",
        description="How much is logged, by whom, at which level, and the lines themselves.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), dashboard("loki", "Loki"), logs("Explore", _ALL), runbooks()),
        needs=frozenset({"loki"}),
        panels=(*_rates(), _errors(), _lines()),
    )


def _rates() -> tuple[Panel, ...]:
    return (
        _rate("Lines by system", "system", "Lines a second, by system."),
        _rate("Lines by service", "service_name", "Lines a second, by service."),
        _rate("Lines by level", "level", "Lines a second, by level.", f" | {_IN_SMALL}"),
        timeseries(
            "Errors by service",
            Query(
                expr=f"sum by (service_name) (rate({_ALL} | {logql.AT_ERROR} [{_WINDOW}]))",
                legend="{{service_name}}",
                datasource=LOKI,
                empty_when="nothing is logged at level error",
            ),
            unit=suffix("lines/s"),
            description="Lines at level error or critical a second, by service.",
        ),
    )


def _rate(title: str, label: str, description: str, stages: str = "") -> Panel:
    return timeseries(
        title,
        Query(expr=f"sum by ({label}) (rate({_ALL}{stages} [{_WINDOW}]))", legend=f"{{{{{label}}}}}", datasource=LOKI),
        unit=suffix("lines/s"),
        description=description,
        stacked=True,
        links=(runbook("LogsNotArriving"),),
    )


def _errors() -> Panel:
    return log_lines(
        "Errors",
        Query(expr=f"{_ALL} | {logql.AT_ERROR}", datasource=LOKI, empty_when="nothing is logged at level error"),
        description="Lines of all services at level error or critical, newest first.",
        links=(logs("Explore errors", f"{_ALL} | {logql.AT_ERROR}"),),
    )


def _lines() -> Panel:
    return log_lines(
        "Lines",
        Query(expr=_ALL, datasource=LOKI),
        description="Lines of all services, newest first.",
        links=(logs("Explore lines", _ALL),),
    )
