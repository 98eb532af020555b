"""`./watchstack selftest`: does the environment do what it is for? Scrape, judge, show, remember, trace, tell."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cli import probes
from cli.ask import Pending
from cli.common import AsJson, Config, Environment, answer, console, make_plan, refusals
from stacks.plan import Plan
from stacks.targets import live

STEPS: dict[str, Callable[[Plan], str]] = {
    "services ready": probes.services,
    "targets up": probes.targets,
    "rules healthy": probes.rules,
    "panels have data": probes.panels,
    "log line found": probes.log_line,
    "trace found": probes.trace,
    "alert delivered": probes.alert,
}
# A rate begins with the first scrape: a notification before it would be seen in no panel.
_AFTER = {"alert delivered": "targets up"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    step: str
    passed: bool
    seconds: float
    detail: str


def selftest(
    environment: Environment = "local",
    config: Config = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that a step may take.")] = 60,
    json: AsJson = False,
) -> None:
    """Prove an environment: targets, rules, panels, logs, traces and a delivered alert. Exit 1 on any failure."""
    with refusals(as_json=json):
        made = live.reached(make_plan(environment, config))
    outcomes = _run(made, timeout, quiet=json)
    passed = all(outcome.passed for outcome in outcomes)
    if json:
        answer({"environment": environment, "passed": passed, "steps": [asdict(outcome) for outcome in outcomes]})
    if not passed:
        raise typer.Exit(1)


def _run(plan: Plan, timeout: int, *, quiet: bool) -> list[Outcome]:
    """All steps at once but for those that wait for another, each asked again until it passes or its time is over."""
    start = time.monotonic()
    with ThreadPoolExecutor(len(STEPS)) as pool:
        waiting: dict[str, Future[Outcome]] = {}
        for name in STEPS:
            waiting[name] = pool.submit(_step, plan, name, timeout, waiting.get(_AFTER.get(name, "")))
        if not quiet:
            with Live(console=console, refresh_per_second=4, get_renderable=lambda: _table(plan, waiting, start)):
                _ = [future.result() for future in waiting.values()]
        return [future.result() for future in waiting.values()]


def _step(plan: Plan, name: str, timeout: int, after: Future[Outcome] | None) -> Outcome:
    if after:
        after.result()
    start = time.monotonic()
    retrying = Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_fixed(0.5),
        retry=retry_if_exception_type(Pending),
        reraise=True,
    )
    try:
        passed, detail = True, str(retrying(STEPS[name], plan))
    except Pending as pending:
        passed, detail = False, str(pending)
    return Outcome(step=name, passed=passed, seconds=round(time.monotonic() - start, 2), detail=detail)


def _table(plan: Plan, waiting: dict[str, Future[Outcome]], start: float) -> Table:
    table = Table("step", "result", "seconds", "detail", title=f"selftest of {plan.settings.environment}")
    for name, future in waiting.items():
        if future.done():
            outcome = future.result()
            verdict = "[green]passed" if outcome.passed else "[red]failed"
            table.add_row(name, verdict, f"{outcome.seconds:.1f}", escape(outcome.detail))
        else:
            table.add_row(name, "[yellow]waiting", f"{time.monotonic() - start:.1f}", "")
    return table
