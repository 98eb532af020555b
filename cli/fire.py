"""`./watchstack fire`: a test notification of a shipped alert, by the way that the real one would take."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import attempts
from cli.ask import Pending, post
from cli.attempts import Count, Key
from cli.common import (
    AsJson,
    Config,
    Environment,
    answer,
    complete_alert,
    console,
    ending_well,
    make_plan,
    refusals,
    waiting,
)
from rules import Alert
from stacks import routes
from stacks.plan import Plan
from stacks.services import prometheus
from stacks.strict import Refused, nearest
from stacks.targets import live

_EVERY = 0.5
# It ends by itself, should this program be killed before it ends it.
_OUTLIVES = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of one integration of a receiver; `seconds` until it was told."""

    receiver: str
    integration: str
    attempts: int
    failures: int
    seconds: float | None

    @property
    def passed(self) -> bool:
        return self.seconds is not None


def fire(
    alert: Annotated[str, typer.Argument(help="A shipped alert, as NAME or PACK/NAME.", autocompletion=complete_alert)],
    environment: Environment = "local",
    config: Config = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds to wait beyond the waits of the routes.")] = 30,
    json: AsJson = False,
) -> None:
    """Send a marked test notification to whoever hears of an alert, and prove that it went out. Exit 1 if not."""
    with refusals(as_json=json):
        made = live.reached(make_plan(environment, config))
        shipped = find(made, alert)
    limit = routes.slowest(made.profiles, shipped.labels) / made.settings.fast_forward + timeout
    try:
        with ending_well():
            told, problem = _fire(made, shipped, limit, quiet=json)
    except Pending as pending:
        told, problem = [], str(pending)
    passed = not problem and all(one.passed for one in told)
    if json:
        receivers = [asdict(one) for one in told]
        about = {"environment": environment, "alert": shipped.address, "passed": passed, "problem": problem}
        answer({**about, "receivers": receivers})
    else:
        _print(shipped, told, problem)
    if not passed:
        raise typer.Exit(1)


def find(plan: Plan, name: str) -> Alert:
    """An alert of the environment, by its name or its address; Refused with the nearest names if there is none."""
    found = {alert.address: alert for alert in plan.alerts if name in (alert.name, alert.address)}
    if len(found) > 1:
        raise Refused(f"{name}: there is more than one; give {' or '.join(found)}")
    if not found:
        known = {alert.address for alert in plan.alerts} if "/" in name else {alert.name for alert in plan.alerts}
        raise Refused(f"{name}: this environment has no such alert; {nearest(name, sorted(known))}")
    return next(iter(found.values()))


def body(plan: Plan, alert: Alert, mark: str, starts: datetime, ends: datetime) -> dict[str, Any]:
    """The test alert as Alertmanager's API takes it: the labels that the real one always has, and its mark."""
    labels = {name: value for name, value in alert.labels.items() if "{{" not in value}
    summary = alert.annotations.get("summary", "")
    return {
        "labels": {
            **prometheus.external_labels(plan.settings),
            **labels,
            "alertname": alert.name,
            routes.DRILL_LABEL: mark,
        },
        "annotations": {
            "summary": f"TEST: {alert.name if '{{' in summary else summary}",
            "description": "A test notification of ./watchstack fire. Nothing is wrong, and it ends by itself.",
            "runbook_url": alert.annotations.get("runbook_url", ""),
        },
        "startsAt": starts.isoformat(),
        "endsAt": ends.isoformat(),
    }


def outcome(receivers: set[str], before: Mapping[Key, Count], now: Mapping[Key, Count]) -> dict[Key, Count]:
    """What was tried for these receivers since `before`, by receiver and integration."""
    return {key: now[key].since(before.get(key, Count())) for key in sorted(now) if key[0] in receivers}


def _fire(plan: Plan, alert: Alert, limit: float, *, quiet: bool) -> tuple[list[Told], str]:
    """What became of it, and why nobody was told, if so."""
    before = attempts.counts(plan)
    if not before:
        return [], "Alertmanager does not name receivers in its metrics; bring the environment up again"
    what = f"waiting for {alert.name} to be delivered, {limit:.0f} s at most"
    with _raised(plan, alert, limit) as mark, waiting(what, quiet=quiet):
        return _wait(plan, mark, before, limit)


@contextmanager
def _raised(plan: Plan, alert: Alert, limit: float) -> Iterator[str]:
    """The test alert, for the length of a block."""
    urls = attempts.addresses(plan, "/api/v2/alerts")
    mark, starts = uuid.uuid4().hex[:12], datetime.now(UTC)

    def send(ends: datetime) -> None:
        for url in urls:
            post(url, [body(plan, alert, mark, starts, ends)])

    try:
        send(starts + timedelta(seconds=limit) + _OUTLIVES)
        yield mark
    finally:
        with suppress(Pending):
            send(datetime.now(UTC))


def _wait(plan: Plan, mark: str, before: Mapping[Key, Count], limit: float) -> tuple[list[Told], str]:
    start = time.monotonic()
    times: dict[Key, float] = {}
    while True:
        passed = time.monotonic() - start
        among = attempts.alerts(plan)
        mine = next((one for one in among if one["labels"].get(routes.DRILL_LABEL) == mark), None)
        if mine and (held := attempts.held_back(mine, among)):
            return [], held
        tried = outcome(attempts.receivers(mine) if mine else set(), before, attempts.counts(plan))
        times |= {key: round(passed, 1) for key, count in tried.items() if count.delivered > 0 and key not in times}
        ended = all(key in times or count.failures for key, count in tried.items())
        if (tried and ended) or passed > limit:
            return [_told(key, count, times.get(key)) for key, count in tried.items()], _problem(mine, tried)
        time.sleep(_EVERY)


def _told(key: Key, count: Count, seconds: float | None) -> Told:
    """A request that is refused is tried again, as the same attempt: it counts as failed as long as none was taken."""
    failures = max(count.failures, count.refused if seconds is None else 0)
    return Told(receiver=key[0], integration=key[1], attempts=count.attempts, failures=failures, seconds=seconds)


def _problem(mine: Mapping[str, Any] | None, tried: Mapping[Key, Count]) -> str:
    if mine is None:
        return "Alertmanager does not hold the alert"
    if not tried:
        return f"{', '.join(sorted(attempts.receivers(mine)))} has no way to tell anybody"
    return "" if any(count.attempts for count in tried.values()) else "nothing was attempted in time"


def _print(alert: Alert, told: list[Told], problem: str) -> None:
    table = Table("receiver", "integration", "attempts", "failures", "told after", title=f"fire {alert.address}")
    for one in told:
        after = f"[green]{one.seconds:.1f} s" if one.seconds is not None else "[red]not told"
        table.add_row(one.receiver, one.integration, str(one.attempts), str(one.failures), after)
    console.print(table)
    if problem:
        console.print(f"[red]nobody was told[/]: {escape(problem)}", soft_wrap=True, highlight=False)
