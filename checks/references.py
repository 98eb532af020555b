"""Every metric and label of every rule, panel and objective is one that somebody exposes or records."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import apps
import catalogue
import dashboards
from apps import Profile
from apps.objectives import WINDOW, Objective
from catalogue import inference, logql
from catalogue.exposed import Labels
from catalogue.inference import Found
from catalogue.known import Known
from catalogue.matchers import near
from checks import inhibitions
from dashboards import Dashboard, PanelQuery
from dashboards.variables import ANY_ENVIRONMENT
from rules import Alert, Record
from rules.objectives import PACK
from stacks import packs
from stacks.plan import Plan
from stacks.service import PLATFORM
from stacks.services import loki, prometheus

# Any span will do: the names in a query do not depend on it.
_STEP_SECONDS, _RANGE_SECONDS = 15, 3600

_LABEL = re.compile(r"(?:\$labels|\.Labels)\.(\w+)")
_EXTERNAL_LABEL = re.compile(r"(?:\$externalLabels|\.ExternalLabels)\.(\w+)")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def check(plan: Plan, _tree: Path) -> list[str]:
    known = Known(plan)
    objectives = _objectives(plan, known)
    rules: list[Alert | Record] = [*plan.records, *plan.alerts]
    problems = [
        *(line for rule in rules if _judged(plan, rule, objectives) for line in _rule(plan, known, rule)),
        *(line for lines in objectives.values() for line in lines),
        *_packs(plan, known),
        *(line for board in plan.dashboards for query in board.queries for line in _panel(plan, known, board, query)),
        *(line for profile in plan.profiles for line in _programs(profile)),
        *inhibitions.problems(plan, known),
    ]
    return list(dict.fromkeys(problems))


def _judged(plan: Plan, rule: Alert | Record, objectives: Mapping[tuple[str, str], Sequence[str]]) -> bool:
    """Whether a rule is of Watchstack. What others wrote may be over metrics that no catalogue here has."""
    if rule.pack == PACK:
        # What is made of queries that were refused is wrong in the same way.
        return objectives.get((rule.labels["system"], rule.labels["slo"])) == []
    return rule.pack in packs.versions(plan.settings, plan.profiles)


def _rule(plan: Plan, known: Known, rule: Alert | Record) -> Iterator[str]:
    place, found = f"{rule.place}: {rule.name}", known.rule(rule)
    yield from _said(place, found)
    yield from _streams(place, rule.expr, _stream_labels(plan)) if rule.engine == "loki" else ()
    external = prometheus.external_labels(plan.settings)
    for text in (*rule.labels.values(), *(rule.annotations.values() if isinstance(rule, Alert) else ())):
        yield from _missing(f"{place}: $labels", found, _LABEL.findall(text))
        unknown = [label for label in _EXTERNAL_LABEL.findall(text) if label not in external]
        yield from (f"{place}: no external label {label}; {near(label, external)}" for label in unknown)


def _packs(plan: Plan, known: Known) -> Iterator[str]:
    """A file that asks for a metric which nobody has would be left out for ever."""
    for file in plan.pruned:
        for name in file.metrics:
            if not known.named(name) and not (problem := known.unknown(name)).elsewhere:
                pack, _, written = file.path.rpartition("/")
                yield f"rules/{pack}/pack.yaml: files.{written}.metrics: {problem.text}"


def _panel(plan: Plan, known: Known, board: Dashboard, query: PanelQuery) -> Iterator[str]:
    place = f"{board.place}: {query.panel}"
    expr = dashboards.runnable(_here(query.expr), _STEP_SECONDS, _RANGE_SECONDS)
    if query.datasource == loki.NAME:
        yield from _streams(place, expr, _stream_labels(plan))
    else:
        found = known.found(expr)
        yield from _said(place, found)
        yield from _missing(f"{place}: legend", found, _LEGEND.findall(query.legend))


def _here(expr: str) -> str:
    """Without the matcher of the environment, which is on series only where several environments are kept together."""
    return expr.replace(f"{ANY_ENVIRONMENT},", "").replace(ANY_ENVIRONMENT, "")


def _streams(place: str, expr: str, labels: Labels) -> Iterator[str]:
    """A selector of log streams is written like one of series."""
    for selector in logql.selectors(expr):
        wrong = [matcher for matcher in inference.selector(selector) if matcher.misses([labels])]
        yield from (f"{place}: {inference.unmet('a log stream', matcher, [labels]).text}" for matcher in wrong)


def _stream_labels(plan: Plan) -> Labels:
    systems = frozenset({PLATFORM, *(profile.system for profile in plan.profiles)})
    names = [attribute.replace(".", "_") for attribute in loki.STREAM_LABELS]
    return {name: systems if name == "system" else None for name in names}


def _objectives(plan: Plan, known: Known) -> dict[tuple[str, str], list[str]]:
    """What is wrong with each objective of the profiles, by system and name."""
    return {
        (profile.system, objective.slo): [*_objective(profile.system, objective, known)]
        for profile in plan.profiles
        for objective in profile.objectives
    }


def _objective(system: str, objective: Objective, known: Known) -> Iterator[str]:
    lines = (apps.DIRECTORY / f"{system}.yaml").read_text().splitlines()
    line = next((number for number, text in enumerate(lines, 1) if f"slo: {objective.slo}" in text), 1)
    for key, expr in (("errors", objective.errors), ("total", objective.total)):
        found = known.found(WINDOW.sub(objective.window, expr))
        yield from _said(f"apps/{system}.yaml:{line}: {objective.slo}: {key}", found)


def _programs(profile: Profile) -> Iterator[str]:
    products = catalogue.products()
    for job in profile.jobs:
        if job.program and job.program not in products:
            unknown = f"{job.program} has no catalogue; {near(job.program, products)}"
            yield f"apps/{profile.system}.yaml: job {job.job}: program: {unknown}"


def _said(place: str, found: Found) -> Iterator[str]:
    return (f"{place}: {problem.text}" for problem in found.problems)


def _missing(place: str, found: Found, labels: Sequence[str]) -> Iterator[str]:
    return (problem.text for problem in inference.missing(found, labels, place))
