"""PromQL that more than one panel needs. `selector` is the text between the braces."""

WINDOW = "5m"


def rate(metric: str, selector: str, by: tuple[str, ...] = ()) -> str:
    """Increase of a counter per second, summed."""
    return f"sum{_by(by)}(rate({metric}{{{selector}}}[{WINDOW}]))"


def increase_over_range(metric: str, selector: str) -> str:
    """Increase of a counter over the time range that the dashboard shows: a restart does not reset it."""
    return f"sum(increase({metric}{{{selector}}}[$__range]))"


def p95(histogram: str, selector: str, by: tuple[str, ...] = ()) -> str:
    """95th percentile of a classic histogram, in the histogram's unit. NaN without observations."""
    return f"histogram_quantile(0.95, {rate(f'{histogram}_bucket', selector, ('le', *by))})"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
