"""Rules for objectives: error ratios, alerts on the rate at which the error budget burns, and what is left of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apps.objectives import WINDOW, Burn, Objective, burn_rate
from rules import RuleFile, generated
from stacks.changes import Override
from stacks.units import seconds

PACK = "objectives"
FAST, SLOW = "SLOBudgetBurnFast", "SLOBudgetBurnSlow"
RUNBOOKS = "https://watchstack.dev/runbooks"

# The budget is counted in points that each stand for the five minutes before them: 30 days are 8640 points of one
# series, where the evaluation interval would make 172800, and the raw counters that for each of their series.
STEP = "5m"

# Over a day or more nothing happens within five minutes, and every evaluation reads the raw counters of the window.
_LONG = 24 * 3600

Rule = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A burn rate: `budget`, a share of the error budget, gone within `long`, and errors in `short` too."""

    long: str
    short: str
    budget: float


@dataclass(frozen=True, kw_only=True)
class BurnAlert:
    """An alert on one of several burn rates; without one it is never raised.

    `labels` are those beside `slo`, `system` and `component`.
    """

    name: str
    wait: str
    pairs: tuple[Pair, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Slo:
    """An objective, in whichever format it is written.

    `errors` and `total` are queries over `{{.window}}`; without `total`, `errors` is the ratio itself. An alert needs
    `events` in its long window. `labels` join `slo` and `system` on every series.
    """

    name: str
    system: str
    objective: float
    window: str
    description: str
    errors: str
    total: str | None
    events: int = 0
    alerts: tuple[BurnAlert, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def budget(self) -> float:
        """The share of events that may fail, without the dust of binary fractions."""
        return round(1 - self.objective, 12)

    @property
    def selector(self) -> str:
        """What selects its series, whatever they are called."""
        return f'{{slo="{self.name}",system="{self.system}"}}'

    def needs(self, pair: Pair) -> float:
        """The error ratio above which a pair alerts. One that is not below 1 never does."""
        return self.factor(pair) * self.budget

    def factor(self, pair: Pair) -> float:
        """How many times faster than the objective allows the budget burns where the pair alerts."""
        return burn_rate(pair.budget, self.window, pair.long)


def declared(system: str, objective: Objective) -> Slo:
    """An objective of a profile."""
    return Slo(
        name=objective.slo,
        system=system,
        objective=objective.objective,
        window=objective.window,
        description=objective.description,
        errors=objective.errors,
        total=objective.total,
        events=objective.low_traffic.events,
        alerts=tuple(_declared_alert(objective, burn) for burn in objective.burns),
    )


def file(system: str, slos: Sequence[Slo], overrides: Mapping[str, Override]) -> RuleFile:
    """The rules of a system's objectives."""
    document = {"groups": [group for slo in slos for group in _groups(slo)]}
    return generated(PACK, f"{PACK}/{system}.yml", document, overrides)


def _declared_alert(objective: Objective, burn: Burn) -> BurnAlert:
    name = FAST if burn.severity == "critical" else SLOW
    rate = _number(burn_rate(burn.budget, objective.window, burn.long))
    return BurnAlert(
        name=name,
        wait=burn.wait,
        pairs=(Pair(long=burn.long, short=burn.short, budget=burn.budget),),
        # Two burn rates of one severity are two alerts.
        labels={"severity": burn.severity, "long_window": burn.long},
        annotations={
            "summary": f"The error budget of {objective.slo} burns {'fast' if name == FAST else 'slowly'}.",
            "description": f"{{{{ $value | humanizePercentage }}}} of the last {burn.long} missed the objective of "
            f"{_number(objective.objective * 100)} % ({objective.description}): the error budget of "
            f"{objective.window} burns more than {rate} times as fast as it may.",
            "runbook_url": f"{RUNBOOKS}/{name}",
        },
    )


def _groups(slo: Slo) -> Iterable[dict[str, object]]:
    """Two groups: what must be seen at once, and what is counted in steps."""
    windows = {window for alert in slo.alerts for pair in alert.pairs for window in (pair.short, pair.long)}
    ordered = sorted(windows, key=lambda window: (seconds(window), window))
    # An alert on a series that comes in steps must be looked at in those steps: between them the series has gaps.
    alerts = [alert for alert in slo.alerts if alert.pairs]
    late = [alert for alert in alerts if any(_is_long(pair.long) for pair in alert.pairs)]
    yield {
        "name": f"{PACK}.{slo.name}",
        "rules": [
            _record(slo, "slo:objective:ratio", f"vector({_number(slo.objective)})"),
            *(_ratio(slo, window) for window in ordered if not _is_long(window)),
            *(_alert(slo, alert) for alert in alerts if alert not in late),
        ],
    }
    yield {
        "name": f"{PACK}.{slo.name}.budget",
        "interval": STEP,
        "rules": [
            *(_ratio(slo, window) for window in ordered if _is_long(window)),
            *_budget(slo),
            *(_alert(slo, alert) for alert in late),
        ],
    }


def _is_long(window: str) -> bool:
    return seconds(window) >= _LONG


def _ratio(slo: Slo, window: str) -> Rule:
    ratio = _errors(slo, window) if slo.total is None else f"({_errors(slo, window)}) / {_over(slo.total, window)}"
    return _record(slo, f"slo:sli_error:ratio_rate{window}", ratio)


def _budget(slo: Slo) -> list[Rule]:
    """Errors and events of each step, and what they come to over the window: busy hours weigh more than quiet ones."""
    errors, events = f"slo:errors:rate{STEP}", f"slo:events:rate{STEP}"
    ratio = "slo:period_error:ratio"
    sums = [f"sum_over_time({name}{slo.selector}[{slo.window}])" for name in (errors, events)]
    if slo.total is None:
        # A ratio does not say how many events it is of, so each step weighs the same; one without a value is none.
        counted = [f"({_errors(slo, STEP)}) >= 0", f"1 + 0 * ({_errors(slo, STEP)} >= 0)"]
    else:
        counted = [_errors(slo, STEP), _over(slo.total, STEP)]
    return [
        _record(slo, errors, counted[0]),
        _record(slo, events, counted[1]),
        _record(slo, ratio, " / ".join(sums)),
        _record(slo, "slo:error_budget:remaining_ratio", f"1 - {ratio}{slo.selector} / {_number(slo.budget)}"),
    ]


def _errors(slo: Slo, window: str) -> str:
    """No errors are 0 of the events that there are, of each group of them where the query has groups."""
    errors = _over(slo.errors, window)
    return errors if slo.total is None else f"{errors} or 0 * {_over(slo.total, window)}"


def _alert(slo: Slo, alert: BurnAlert) -> Rule:
    return {
        "alert": alert.name,
        "expr": " or ".join(f"({_burns(slo, pair)})" for pair in alert.pairs),
        "for": alert.wait,
        # A component for each objective: the fast alert mutes the slow one of the same objective, and no other.
        "labels": {**slo.labels, **alert.labels, "slo": slo.name, "system": slo.system, "component": slo.name},
        "annotations": dict(alert.annotations),
    }


def _burns(slo: Slo, pair: Pair) -> str:
    """Without traffic a ratio is no number, and compares with nothing."""
    limit = f"{_number(slo.factor(pair))} * {_number(slo.budget)}"
    over = [f"slo:sli_error:ratio_rate{window}{slo.selector} > {limit}" for window in (pair.long, pair.short)]
    if slo.events and slo.total is not None:
        count = f"{_over(slo.total, pair.long)} * {_number(seconds(pair.long))}"
        over.append(f"ignoring (slo, system) {count} >= {slo.events}")
    return " and ".join(over)


def _over(query: str, window: str) -> str:
    """A query over a window, in brackets. One that may end in a comment needs the end of its line."""
    text = WINDOW.sub(window, query).strip()
    return f"({text}\n)" if "#" in text else f"({text})"


def _record(slo: Slo, name: str, expr: str) -> Rule:
    return {"record": name, "expr": expr, "labels": {**slo.labels, "slo": slo.name, "system": slo.system}}


def _number(value: float) -> str:
    return f"{value:.12g}"
