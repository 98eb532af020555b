"""Choices above a dashboard, and Grafana's variables in a query that runs without Grafana."""

import re
from dataclasses import dataclass

# The scrape interval: the shortest step that Grafana takes, and the base of `$__rate_interval`.
MIN_INTERVAL_SECONDS = 15

ALL = ".*"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """Values of `label` on the series `of`, to choose from; all of them unless somebody does.

    All is `.*`, which also matches series without the label: a Prometheus of its own has no `environment` on them,
    one that collects from several has. Without a label it is Grafana's free filter on any label, for every query.
    """

    name: str
    title: str
    label: str = ""
    of: str = ""


ENVIRONMENT = Variable(name="environment", title="Environment", label="environment", of="up")
FILTER = Variable(name="filter", title="Filter")

# What a panel writes between the braces to follow the choices.
ANY_ENVIRONMENT = 'environment=~"$environment"'
ANY_INSTANCE = f'{ANY_ENVIRONMENT},instance=~"$instance"'
ANY_JOB = f'{ANY_ENVIRONMENT},job=~"$job"'


def job(selector: str = "") -> Variable:
    """The jobs of the targets that `selector` finds, in the environment that is chosen."""
    return Variable(name="job", title="Job", label="job", of=f"up{{{_joined(ANY_ENVIRONMENT, selector)}}}")


def instance(selector: str = "") -> Variable:
    """The targets that `selector` finds, in the environment that is chosen."""
    return Variable(
        name="instance", title="Instance", label="instance", of=f"up{{{_joined(ANY_ENVIRONMENT, selector)}}}"
    )


def runnable(expr: str, step_seconds: int, range_seconds: int) -> str:
    """`expr` as Grafana sends it for this step and range, in seconds, where nobody has chosen anything.

    ValueError for a variable that this function does not know.
    Source: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
    """
    step = max(step_seconds, MIN_INTERVAL_SECONDS)
    seconds = {
        "__interval": step,
        "__range": range_seconds,
        "__rate_interval": max(step + MIN_INTERVAL_SECONDS, 4 * MIN_INTERVAL_SECONDS),
    }
    values = {
        **{name: f"{value}s" for name, value in seconds.items()},
        **dict.fromkeys(("environment", "instance", "job"), ALL),
    }

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            accepted = ", ".join(f"${known}" for known in sorted(values))
            raise ValueError(f"query {expr!r}: ${name} cannot be replaced; use one of {accepted}")
        return values[name]

    # `$1` is no variable but a group of label_replace.
    return re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", value, expr)


def _joined(*matchers: str) -> str:
    return ",".join(filter(None, matchers))
