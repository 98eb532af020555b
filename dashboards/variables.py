"""Grafana's variables in a query, for running the query without Grafana."""

import re

# The scrape interval: the shortest step that Grafana takes, and the base of `$__rate_interval`.
MIN_INTERVAL_SECONDS = 15


def runnable(expr: str, step_seconds: int, range_seconds: int) -> str:
    """`expr` with Grafana's time variables replaced as Grafana does for this step and range, in seconds.

    ValueError for a variable that this function does not know.
    Source: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
    """
    step = max(step_seconds, MIN_INTERVAL_SECONDS)
    values = {
        "__interval": step,
        "__range": range_seconds,
        "__rate_interval": max(step + MIN_INTERVAL_SECONDS, 4 * MIN_INTERVAL_SECONDS),
    }

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            accepted = ", ".join(f"${known}" for known in sorted(values))
            raise ValueError(f"query {expr!r}: ${name} cannot be replaced; use one of {accepted}")
        return f"{values[name]}s"

    # `$1` is no variable but a group of label_replace.
    return re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", value, expr)
