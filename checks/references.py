"""Every metric and label of every rule, panel and objective is one that somebody exposes or records."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import apps
import catalogue
import dashboards
from apps import Profile
from catalogue import inference
from catalogue.exposed import Labels
from catalogue.inference import Found
from catalogue.known import Known
from catalogue.matchers import near
from checks import inhibitions
from dashboards import Dashboard, PanelQuery
from rules import Alert, Record
from stacks.plan import Plan
from stacks.service import PLATFORM
from stacks.services import loki, prometheus

# Any span will do: the names in a query do not depend on it.
_STEP_SECONDS, _RANGE_SECONDS = 15, 3600

_LABEL = re.compile(r"(?:\$labels|\.Labels)\.(\w+)")
_EXTERNAL_LABEL = re.compile(r"(?:\$externalLabels|\.ExternalLabels)\.(\w+)")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
# Of LogQL: quoted text, in which braces mean nothing, or the selector of streams.
_STREAMS = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|(?P<selector>\{(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^{}"`])*\})')


def check(plan: Plan, _tree: Path) -> list[str]:
    known = Known(plan)
    rules: list[Alert | Record] = [*plan.records, *plan.alerts]
    problems = [
        *(line for rule in rules for line in _rule(plan, known, rule)),
        *_packs(plan, known),
        *(line for board in plan.dashboards for query in board.queries for line in _panel(plan, known, board, query)),
        *(line for profile in plan.profiles for line in (*_objectives(profile, known), *_programs(profile))),
        *inhibitions.problems(plan, known),
    ]
    return list(dict.fromkeys(problems))


def _rule(plan: Plan, known: Known, rule: Alert | Record) -> Iterator[str]:
    place = f"{rule.place}: {rule.name}"
    if isinstance(rule, Alert) and rule.engine == "loki":
        yield from _streams(place, rule.expr, _stream_labels(plan))
        return
    found = known.found(rule.expr)
    yield from _said(place, found)
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
    expr = dashboards.runnable(query.expr, _STEP_SECONDS, _RANGE_SECONDS)
    if query.datasource == loki.NAME:
        yield from _streams(place, expr, _stream_labels(plan))
    else:
        found = known.found(expr)
        yield from _said(place, found)
        yield from _missing(f"{place}: legend", found, _LEGEND.findall(query.legend))


def _streams(place: str, expr: str, labels: Labels) -> Iterator[str]:
    """A selector of log streams is written like one of series."""
    for selector in (found["selector"] for found in _STREAMS.finditer(expr) if found["selector"]):
        wrong = [matcher for matcher in inference.selector(selector) if matcher.misses([labels])]
        yield from (f"{place}: {inference.unmet('a log stream', matcher, [labels]).text}" for matcher in wrong)


def _stream_labels(plan: Plan) -> Labels:
    systems = frozenset({PLATFORM, *(profile.system for profile in plan.profiles)})
    names = [attribute.replace(".", "_") for attribute in loki.STREAM_LABELS]
    return {name: systems if name == "system" else None for name in names}


def _objectives(profile: Profile, known: Known) -> Iterator[str]:
    file = f"{profile.system}.yaml"
    lines = (apps.DIRECTORY / file).read_text().splitlines()
    for objective in profile.objectives:
        line = next((number for number, text in enumerate(lines, 1) if f"slo: {objective.slo}" in text), 1)
        for key, expr in (("errors", objective.errors), ("total", objective.total)):
            found = known.found(expr.replace("{{.window}}", objective.window))
            yield from _said(f"apps/{file}:{line}: {objective.slo}: {key}", found)


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
