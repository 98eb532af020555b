"""Objectives: how much of each error budget is left, and how fast it burns."""

from dashboards import promql
from dashboards.board import Board, Override, Panel, Query, Thresholds
from dashboards.components import OBJECTIVES
from dashboards.links import Link, dashboard, runbook, runbooks
from dashboards.panels import bargauge, not_a_number, suffix, table, timeseries
from dashboards.variables import FILTER

# Alerts fire at these multiples of the rate that uses up the budget just at the end of its window.
FAST, SLOW = 14.4, 6

_PAIRED = "on (slo, system)"
_BUDGET = "(1 - slo:objective:ratio)"
_NAMED = "{{slo}}"


def board() -> Board:
    """The objectives of all systems of the environment."""
    return Board(
        uid="objectives",
        title="Objectives",
        description="Service level objectives: error budgets, their burn rates and the errors themselves.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), runbooks()),
        variables=(FILTER,),
        needs=OBJECTIVES,
        panels=(_budgets(), _table(), *_burning(), *_errors()),
    )


def _drill() -> tuple[Link, ...]:
    return (runbook("SLOBudgetBurnFast"), runbook("SLOBudgetBurnSlow"))


def _budgets() -> Panel:
    return bargauge(
        "Error budget left",
        Query(expr="slo:error_budget:remaining_ratio", legend=_NAMED, instant=True, empty_when=promql.NO_BUDGET_YET),
        unit="percentunit",
        description="What is left of the errors that each objective allows in its window. Less than nothing: missed.",
        maximum=1,
        thresholds=Thresholds(warning=0.25, critical=0, below=True),
        width=10,
        links=_drill(),
    )


def _table() -> Panel:
    return table(
        "Objectives and what is met",
        Query(expr="max by (slo, system) (slo:objective:ratio)", instant=True),
        Query(expr="1 - max by (slo, system) (slo:sli_error:ratio_rate6h)", instant=True),
        Query(
            expr="min by (slo, system) (slo:error_budget:remaining_ratio)",
            instant=True,
            empty_when=promql.NO_BUDGET_YET,
        ),
        unit="percentunit",
        description="Each objective, the share of good events in the last 6 hours, and the budget that is left.",
        columns={
            "system": "System",
            "slo": "Objective",
            "Value #A": "Promised",
            "Value #B": "Met, 6h",
            "Value #C": "Budget left",
        },
        overrides=(
            Override(
                series="Budget left",
                thresholds=Thresholds(warning=0.25, critical=0, below=True),
                coloured=True,
            ),
        ),
        width=14,
    )


def _burning() -> tuple[Panel, ...]:
    return tuple(
        timeseries(
            f"Burn rate over {window}",
            Query(expr=f"slo:sli_error:ratio_rate{window} / {_PAIRED} {_BUDGET}", legend=_NAMED),
            unit=suffix("x"),
            description=f"Errors of {window} against those that the objective allows: at 1 the budget just lasts.",
            thresholds=limits,
            mappings=(not_a_number("no events"),),
            links=_drill(),
        )
        for window, limits in (("1h", Thresholds(critical=FAST)), ("6h", Thresholds(warning=SLOW)))
    )


def _errors() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Errors over 5m",
            Query(expr="slo:sli_error:ratio_rate5m", legend=_NAMED),
            unit="percentunit",
            description="Share of events that were bad in the last 5 minutes.",
            mappings=(not_a_number("no events"),),
        ),
        timeseries(
            "Budget left over time",
            Query(expr="slo:error_budget:remaining_ratio", legend=_NAMED, empty_when=promql.NO_BUDGET_YET),
            unit="percentunit",
            description="What was left of each budget.",
            thresholds=Thresholds(warning=0.25, critical=0, below=True),
        ),
    )
