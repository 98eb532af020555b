"""docs/metrics/<system>.md: what a monitored system exposes, from its profile."""

from collections.abc import Iterator

from apps import Job, Profile
from docs import markdown
from docs.markdown import code, codes, table

_VALUES = """\
What the application declares; anything else is counted as `other` or `unmatched`. Counters are there from the start,
at 0, so that a rate without an event is 0 and not missing."""


def page(profile: Profile) -> str:
    """The reference of the metrics in a profile's catalogue."""
    first = profile.jobs[0].job
    metrics = [
        [code(m.name), code(m.job or first), m.type, codes(m.labels) or "none", m.unit, m.meaning]
        for m in profile.metrics
    ]
    buckets = [[code(m.name), codes(f"{bound:g}" for bound in m.buckets)] for m in profile.metrics if m.buckets]
    return markdown.page(
        f"# Metrics of {profile.title}",
        f"Made by `make generate` from `apps/{profile.system}.yaml`.",
        table(("job", "targets", "path", "every"), _jobs(profile)),
        "## Metrics",
        table(("metric", "job", "type", "labels", "unit", "meaning"), metrics),
        "## Label values",
        _VALUES,
        table(("metric", "label", "values"), _values(profile)),
        "## Buckets",
        "Upper bounds of the histograms, in their unit; `+Inf` follows.",
        table(("metric", "bounds"), buckets),
    )


def _jobs(profile: Profile) -> list[list[str]]:
    return [
        [code(job.job), _targets(job), code(job.path), job.interval or "as the environment"] for job in profile.jobs
    ]


def _targets(job: Job) -> str:
    return codes(f"{target.service}:{target.port}" for target in job.targets)


def _values(profile: Profile) -> Iterator[list[str]]:
    for metric in profile.metrics:
        for label, values in metric.labels.items():
            yield [code(metric.name), code(label), "open" if values is None else codes(values)]
