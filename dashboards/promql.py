"""PromQL that more than one panel needs. `selector` is the text between the braces."""

WINDOW = "5m"
# What Grafana takes for the resolution shown: at least four scrapes, and never less than a point.
RATE = "$__rate_interval"
FIRING = 'alertstate="firing",alertname!="Watchdog"'
# Budgets are counted in steps of five minutes.
NO_BUDGET_YET = "the first five minutes are not over"


def rate(metric: str, selector: str, by: tuple[str, ...] = (), window: str = WINDOW) -> str:
    """Increase of a counter per second, summed."""
    return f"sum{_by(by)}(rate({metric}{_in_braces(selector)}[{window}]))"


def increase(metric: str, selector: str, by: tuple[str, ...] = (), window: str = WINDOW) -> str:
    """Increase of a counter over a window, summed."""
    return f"sum{_by(by)}(increase({metric}{_in_braces(selector)}[{window}]))"


def increase_over_range(metric: str, selector: str) -> str:
    """Increase of a counter over the time range that the dashboard shows: a restart does not reset it."""
    return increase(metric, selector, window="$__range")


def total(metric: str, selector: str = "", by: tuple[str, ...] = ()) -> str:
    """Sum of a gauge."""
    return f"sum{_by(by)}({metric}{_in_braces(selector)})"


def quantile(share: float, histogram: str, selector: str = "", by: tuple[str, ...] = (), window: str = WINDOW) -> str:
    """Quantile of a classic histogram, in the histogram's unit. NaN without observations."""
    return f"histogram_quantile({share:g}, {rate(f'{histogram}_bucket', selector, ('le', *by), window)})"


def p95(histogram: str, selector: str = "", by: tuple[str, ...] = (), window: str = WINDOW) -> str:
    """95th percentile of a classic histogram."""
    return quantile(0.95, histogram, selector, by, window)


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def _in_braces(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""
