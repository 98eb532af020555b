"""The series that the scrape jobs of an environment bring: by catalogue of the program, or by profile of the system."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Literal

import catalogue
from apps import Metric, Profile
from stacks.service import ScrapeJob

# The values that a label may have; None where they are open.
Values = frozenset[str] | None
Labels = Mapping[str, Values]

# What Prometheus itself adds for each target.
OF_A_SCRAPE = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
)

_WHOLE = 1_000_000


def by_job(jobs: Sequence[ScrapeJob], profiles: Sequence[Profile]) -> dict[str, dict[str, Labels]]:
    """For each job its series by name, with the labels that the program gives them."""
    return {job.job: _series(job, profiles) for job in jobs}


def names(jobs: Sequence[ScrapeJob], profiles: Sequence[Profile]) -> frozenset[str]:
    """The names of all series that the jobs bring."""
    return frozenset(name for series in by_job(jobs, profiles).values() for name in series)


def stored(job: ScrapeJob, labels: Labels) -> Labels:
    """The labels of a series as Prometheus keeps them: with those of the target, as `honor_labels` says."""
    target = _of_targets(job)
    if job.honor_labels:
        return union(target, labels)
    return {**{f"exported_{name}" if name in target else name: of for name, of in labels.items()}, **target}


def union(one: Labels, other: Labels) -> dict[str, Values]:
    """Labels of series that may be of either kind."""
    return {name: _either(one, other, name) for name in {**one, **other}}


def all_of(series: Iterable[Labels]) -> Labels:
    """Labels of series that may be of any of these kinds."""
    return reduce(union, series, {})


def of_catalogue(program: str) -> dict[str, Labels]:
    """The series of a program by its catalogue; none if it has none."""
    known = catalogue.product(program)
    found: dict[str, Labels] = {}
    for name, metric in known.metrics.items() if known else ():
        closed = metric.values if isinstance(metric, catalogue.Declared) else {}
        labels = {label: frozenset(closed[label]) if label in closed else None for label in metric.labels}
        found |= _of_type(name, metric.type, labels, None)
    return found


def of_profile(profile: Profile, job: str | None = None) -> dict[str, Labels]:
    """The series that a profile declares, of all its jobs or of one."""
    found: dict[str, Labels] = {}
    for metric in profile.metrics:
        if job is None or (metric.job or profile.jobs[0].job) == job:
            labels = {label: None if of is None else frozenset(of) for label, of in metric.labels.items()}
            for name, each in _of_type(metric.name, metric.type, labels, _edges(metric)).items():
                found[name] = union(found.get(name, each), each)
    return found


def _series(job: ScrapeJob, profiles: Sequence[Profile]) -> dict[str, Labels]:
    sources = [of_profile(profile, job.job) for profile in profiles if profile.system == job.system]
    sources += [of_catalogue(job.program)] if job.program else []
    sources.append({name: {} for name in OF_A_SCRAPE})
    found: dict[str, Labels] = {}
    for name, labels in _items(sources):
        found[name] = union(found[name], labels) if name in found else labels
    return found


def _items(sources: Iterable[Mapping[str, Labels]]) -> Iterator[tuple[str, Labels]]:
    return (item for source in sources for item in source.items())


Type = Literal["counter", "gauge", "histogram", "summary", "info", "unknown"]


def _of_type(name: str, kind: Type, labels: Labels, edges: Values) -> dict[str, Labels]:
    """A family as its series are called."""
    if kind == "histogram":
        return {f"{name}_bucket": {**labels, "le": edges}, f"{name}_sum": labels, f"{name}_count": labels}
    if kind == "summary":
        return {name: {**labels, "quantile": None}, f"{name}_sum": labels, f"{name}_count": labels}
    return {name: labels}


def _edges(metric: Metric) -> Values:
    return None if metric.buckets is None else frozenset({*map(number, metric.buckets), "+Inf"})


def number(value: float) -> str:
    """A number as Prometheus keeps it in `le`: 1 as 1.0, a million as 1e+06."""
    return f"{value:g}" if abs(value) >= _WHOLE else repr(float(value))


def _of_targets(job: ScrapeJob) -> Labels:
    instances = frozenset(target.instance for target in job.targets)
    own: dict[str, Values] = {"job": frozenset({job.job}), "system": frozenset({job.system}), "instance": instances}
    for label in {label for target in job.targets for label in target.labels}:
        own.setdefault(label, frozenset(target.labels[label] for target in job.targets if label in target.labels))
    return own


def _either(one: Labels, other: Labels, name: str) -> Values:
    if name not in one or name not in other:
        return one[name] if name in one else other[name]
    left, right = one[name], other[name]
    return None if left is None or right is None else left | right
