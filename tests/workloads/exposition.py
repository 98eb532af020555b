"""Compares what a job of a profile exposes with what the profile's catalogue says of it."""

from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

import apps
from apps import Metric


def differences(system: str, job: str, text: str) -> list[str]:
    """One line for each difference between the exposition `text` of a job and the catalogue; none when they agree."""
    profile = apps.profile(system)
    first = profile.jobs[0].job
    wanted = {metric.name: metric for metric in profile.metrics if (metric.job or first) == job}
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    exposed = {_name(family, typed): family for family in text_string_to_metric_families(text)}
    found = [f"{name} is exposed and not in the catalogue" for name in sorted(exposed.keys() - wanted.keys())]
    found += [f"{name} is in the catalogue and not exposed" for name in sorted(wanted.keys() - exposed.keys())]
    for name in sorted(exposed.keys() & wanted.keys()):
        metric, family = wanted[name], exposed[name]
        labels = _labels(family)
        buckets = tuple(sorted(float(edge) for edge in labels.pop("le", set()) - {"+Inf"}))
        if family.type != metric.type:
            found.append(f"{name} is a {family.type}, and a {metric.type} in the catalogue")
        if buckets != (metric.buckets or ()):
            found.append(f"{name} has buckets {buckets}, and {metric.buckets} in the catalogue")
        found += _label_differences(name, labels, _declared(metric))
    return found


def missing(system: str, job: str, text: str) -> list[str]:
    """The metrics of the catalogue that the exposition `text` of a job lacks, for programs that expose more."""
    return [found for found in differences(system, job, text) if found.endswith("and not exposed")]


def _declared(metric: Metric) -> dict[str, set[str] | None]:
    return {label: None if values is None else set(values) for label, values in metric.labels.items()}


def _label_differences(name: str, exposed: dict[str, set[str]], wanted: dict[str, set[str] | None]) -> list[str]:
    if exposed.keys() != wanted.keys():
        return [f"{name} has labels {sorted(exposed)}, and {sorted(wanted)} in the catalogue"]
    return [
        f"{name} has {label}={sorted(values ^ declared)} on one side only"
        for label, values in exposed.items()
        # None: the values are open.
        if (declared := wanted[label]) is not None and values != declared
    ]


def _name(family: Family, typed: set[str]) -> str:
    """The name on the wire: the parser takes `_total` off counters, and not every program has it on them."""
    return family.name if family.name in typed else f"{family.name}_total"


def _labels(family: Family) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, set()).add(value)
    return values
