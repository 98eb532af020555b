"""`./watchstack drill`: every alert of the simulated systems, from its fault to the message that it is over."""

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from apps import Profile
from cli import attempts, channels, simulation
from cli.ask import Pending, address, get
from cli.common import AsJson, Config, Environment, answer, complete_alert, console, ending_well, make_plan, refusals
from cli.course import PHASES, Course, Limits, Sight
from cli.fire import find
from cli.waves import Planned, waves
from instrument.timestamps import timestamp
from rules import Alert
from stacks import inventory, routes
from stacks.plan import Plan
from stacks.services import capture, loki, prometheus
from stacks.strict import Refused
from stacks.targets import live
from stacks.units import seconds

# By system and name of an alert.
Key = tuple[str, str]

_EVERY = 0.5
# For as long Prometheus, Alertmanager and the capture receiver may be silent.
_PATIENCE = 30


@dataclass
class Drilled:
    """A course, and the wave that it ran in."""

    course: Course
    wave: int


def drill(
    alerts: Annotated[
        list[str] | None,
        typer.Argument(help="Alerts, as NAME or PACK/NAME; all, if none.", autocompletion=complete_alert),
    ] = None,
    environment: Environment = "local",
    config: Config = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds a step may take beyond what it has to wait.")] = 300,
    json: AsJson = False,
) -> None:
    """Raise every alert of the simulated systems by its fault, and see it delivered and resolved. Exit 1 if not."""
    with refusals(as_json=json):
        made = live.reached(make_plan(environment, config))
        planned, without = plan_drills(made, alerts or ())
    drilled: list[Drilled] = []
    try:
        with ending_well():
            _run(made, planned, timeout, drilled, quiet=json)
        problem = ""
    except Pending as pending:
        problem = str(pending)
    passed = not problem and all(one.course.passed for one in drilled)
    if json:
        results = [_as_dict(one) for one in drilled]
        about = {"environment": environment, "passed": passed, "problem": problem, "not_drilled": without}
        answer({**about, "fast_forward": made.settings.fast_forward, "drills": results})
    else:
        _print(drilled, without, problem)
    if not passed:
        raise typer.Exit(1)


def plan_drills(plan: Plan, names: Iterable[str]) -> tuple[list[Planned], dict[str, str]]:
    """The drills of these alerts, or of all, and why each of the other alerts of the systems has none.

    Refused if one is asked for that there is not.
    """
    simulated = [profile for profile in plan.profiles if plan.settings.systems[profile.system].workload]
    if not simulated:
        raise Refused("no system of this environment is simulated; ./watchstack fire tests who is told")
    wanted = [find(plan, name) for name in names]
    found: list[Planned] = []
    without: dict[str, str] = {}
    for alert in wanted or [alert for alert in plan.alerts if _profile(simulated, alert)]:
        profile = _profile(simulated, alert)
        if reason := _undrilled(plan, profile, alert):
            without[alert.address] = reason
        elif profile:
            found.append(Planned(alert=alert, drill=profile.drills[alert.name]))
    if refused := [f"{name}: {reason}" for name, reason in without.items() if wanted]:
        raise Refused("\n".join(refused))
    if not found:
        raise Refused("nothing can be drilled here\n" + "\n".join(f"{name}: {why}" for name, why in without.items()))
    return found, without


def _profile(simulated: Sequence[Profile], alert: Alert) -> Profile | None:
    """The simulated system that an alert is of."""
    return next((profile for profile in simulated if alert.pack in profile.packs), None)


def _undrilled(plan: Plan, profile: Profile | None, alert: Alert) -> str:
    """Why an alert cannot be drilled; empty if it can."""
    if profile is None:
        return "of no simulated system"
    drill = profile.drills.get(alert.name)
    watching = {*alert.requires, *([drill.shown_by] if drill and drill.shown_by else [])}
    if real := sorted(watching & inventory.taken(plan.settings)):
        return f"{', '.join(real)} watches the real thing here"
    return "" if drill else f"apps/{profile.system}.yaml has no drill for it"


def _run(plan: Plan, planned: Sequence[Planned], timeout: float, drilled: list[Drilled], *, quiet: bool) -> None:
    """All waves, and then alone what did not pass beside others. `drilled` grows as they go."""
    with ExitStack() as around:
        if not quiet:
            around.enter_context(
                Live(
                    console=console,
                    refresh_per_second=4,
                    vertical_overflow="visible",
                    get_renderable=lambda: _table(plan, planned, drilled),
                )
            )
        standing = _states(plan).keys()
        made = waves(planned)
        for number, wave in enumerate(made, start=1):
            _settle(plan, wave, standing, timeout)
            _wave(plan, wave, number, timeout, drilled)
        again = [one for one in drilled if len(made[one.wave - 1]) > 1 and (one.course.problem or one.course.inhibited)]
        for number, one in enumerate(again, start=len(made) + 1):
            drilled[:] = [other for other in drilled if other is not one]
            _settle(plan, [one.course.planned], standing, timeout)
            _wave(plan, [one.course.planned], number, timeout, drilled)


def _wave(plan: Plan, wave: Sequence[Planned], number: int, timeout: float, drilled: list[Drilled]) -> None:
    """One wave to its end: what was on is off, and what was raised is over."""
    since = timestamp()
    first = _look(plan, (), since)
    courses = [_course(plan, planned, first, timeout) for planned in wave]
    drilled += [Drilled(course, number) for course in courses]
    paths = sorted({one.path for course in courses for one in course.channels if one.path})
    with ExitStack() as stack:
        stack.enter_context(simulation.loaded(plan, max(one.drill.rate or 0.0 for one in wave)))
        faults = {course.key: stack.enter_context(ExitStack()) for course in courses}
        for course in courses:
            longest = sum(vars(course.limits).values()) + _PATIENCE
            if course.needs_fault:
                faults[course.key].enter_context(simulation.faulty(plan, course.planned.drill, longest))
        while any(course.phase != "ended" for course in courses):
            time.sleep(_EVERY)
            sight = _look(plan, paths, since)
            for course in courses:
                course.see(sight)
                if not course.needs_fault:
                    faults[course.key].close()


def _settle(plan: Plan, wave: Sequence[Planned], standing: Set[Key], timeout: float) -> None:
    """Wait until what earlier waves raised is over: what this one is to raise, and what would inhibit it.

    Other `standing` alerts, which were there before any drill, may stay.
    """
    own = {(one.part[0], one.alert.name) for one in wave}
    hindering = own | (_inhibitors(plan, wave) - standing)
    start = time.monotonic()
    while _states(plan).keys() & hindering and time.monotonic() - start < timeout:
        time.sleep(_EVERY)


def _inhibitors(plan: Plan, wave: Sequence[Planned]) -> set[Key]:
    """The alerts that inhibit one of a wave: outages of its systems, and critical ones of its components."""
    systems, parts = {one.part[0] for one in wave}, {one.part for one in wave}
    return {
        (labels.get("system", ""), alert.name)
        for alert, labels in ((alert, alert.labels) for alert in plan.alerts)
        if (labels.get("impact") == "outage" and labels.get("system") in systems)
        or (labels.get("severity") == "critical" and (labels.get("system"), labels.get("component")) in parts)
    }


def _course(plan: Plan, planned: Planned, first: Sight, timeout: float) -> Course:
    alert, drill = planned.alert, planned.drill
    told = [one for one in channels.of(plan, alert.labels) if not (drill.stop and one.service == drill.service)]
    slowest = routes.slowest(plan.profiles, alert.labels) / plan.settings.fast_forward
    limits = Limits(
        pending=timeout, firing=seconds(alert.wait) + timeout, delivered=slowest + timeout, resolved=slowest + timeout
    )
    course = Course(planned=planned, channels=told, limits=limits, began=first.at, before=first.counts)
    if course.key in first.states:
        course.fail(f"is {first.states[course.key]} without its fault; there is nothing to prove")
    elif not told:
        course.fail("nobody hears of it")
    return course


def _look(plan: Plan, paths: Iterable[str], since: str) -> Sight:
    """What is seen now; Pending if one of those who are asked stays silent."""
    retrying = Retrying(
        stop=stop_after_delay(_PATIENCE), wait=wait_fixed(0.5), retry=retry_if_exception_type(Pending), reraise=True
    )
    return retrying(_seen, plan, paths, since)


def _seen(plan: Plan, paths: Iterable[str], since: str) -> Sight:
    return Sight(
        states=_states(plan),
        held=attempts.alerts(plan),
        counts=attempts.counts(plan),
        notifications=[found for path in paths for found in _captured(plan, path, since)],
        at=time.monotonic(),
    )


def _states(plan: Plan) -> dict[Key, str]:
    """Pending or firing, by system and alert; firing if one of its series is."""
    raised = get(address(plan, prometheus.NAME, "http", "/api/v1/alerts")).json()["data"]["alerts"]
    if any(alert.engine == "loki" for alert in plan.alerts):
        raised += get(address(plan, loki.NAME, "http", "/prometheus/api/v1/alerts")).json()["data"]["alerts"] or []
    # Firing sorts before pending, and the last one of a key stays.
    ordered = sorted(raised, key=lambda alert: str(alert["state"]), reverse=True)
    return {(one["labels"].get("system", ""), one["labels"]["alertname"]): one["state"] for one in ordered}


def _captured(plan: Plan, path: str, since: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(
        address(plan, capture.NAME, "http", "/notifications"), path=path, since=since
    ).json()
    return found


def _as_dict(one: Drilled) -> dict[str, object]:
    course = one.course
    return {
        "alert": course.planned.alert.address,
        "severity": course.planned.alert.labels.get("severity", ""),
        "channels": [{"name": told.name, "captured": told.path} for told in course.channels],
        "wave": one.wave,
        "passed": course.passed,
        "seconds": course.seconds,
        "inhibited": course.inhibited,
        "problem": course.problem,
    }


def _table(plan: Plan, planned: Sequence[Planned], drilled: Sequence[Drilled]) -> Table:
    faster = f", fast forward x{plan.settings.fast_forward}" if plan.settings.fast_forward > 1 else ""
    title = f"drill of {plan.settings.environment}: {len(planned)} alerts{faster}"
    table = Table("alert", "severity", "told", *PHASES[:-1], "result", title=title)
    for one in drilled:
        course = one.course
        alert = course.planned.alert
        times = [f"{course.seconds[phase]:.1f}" if phase in course.seconds else "" for phase in PHASES[:-1]]
        told = "\n".join(channel.name for channel in course.channels)
        table.add_row(alert.name, alert.labels.get("severity", ""), told, *times, _verdict(course))
    begun = {one.course.planned.alert.address for one in drilled}
    for waiting in planned:
        if waiting.alert.address not in begun:
            table.add_row(waiting.alert.name, waiting.alert.labels.get("severity", ""), "", *[""] * 4, "[dim]waiting")
    return table


def _verdict(course: Course) -> str:
    if course.problem:
        return "[red]failed"
    note = f" ({escape(course.inhibited)})" if course.inhibited else ""
    return f"[green]passed{note}" if course.phase == "ended" else f"[yellow]{course.phase}?"


def _print(drilled: Sequence[Drilled], without: Mapping[str, str], problem: str) -> None:
    for address_, reason in without.items():
        console.print(f"[dim]not drilled: {address_}: {escape(reason)}", soft_wrap=True)
    for one in drilled:
        if one.course.problem:
            name = one.course.planned.alert.address
            console.print(f"[red]{name}[/]: {escape(one.course.problem)}", soft_wrap=True, highlight=False)
    if problem:
        console.print(f"[red]given up[/]: {escape(problem)}", soft_wrap=True, highlight=False)
