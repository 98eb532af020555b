"""The metrics of HTTP requests: how many, how long, how many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from instrument import readings
from instrument.http.paths import Paths
from instrument.http.timings import Names, Record, Timings
from instrument.metrics import FAST, OTHER, PLAIN, UNMATCHED, Metrics

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# The client went away before its answer was complete.
CLIENT_GONE = 499
# A path, and what is below it; or only what is below it.
UNCOUNTED = ("/metrics", "/_sim/")
# Prometheus sends the seconds that it waits with each scrape.
SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
SHARE = 0.7
# fmt: off
STATUSES = (
    "200", "201", "202", "204", "304", "307", "400", "401", "403", "404", "405", "409", "413", "422", "429", "499",
    "500", "502", "503", "504", OTHER,
)
# fmt: on


class Http:
    """Counts, times, and knows how many requests are under way.

    `operations` are the pairs of method and route template that the application serves: all of them are there from the
    start, at 0, and no other appears. `route` is the name of the route label; `duration_labels` are some of `method`,
    `route` and `status`. What is not declared counts as `other`, or `unmatched`.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        operations: Sequence[tuple[str, str]] = (),
        statuses: Sequence[str] = STATUSES,
        total: str = "http_requests_total",
        duration: str = "http_request_duration_seconds",
        in_flight: str = "http_requests_in_flight",
        route: str = "endpoint",
        duration_labels: Sequence[str] | None = None,
        buckets: Sequence[float] = FAST,
        paths: Paths | None = None,
    ) -> None:
        self.metrics = metrics
        self.paths = paths or Paths(template for _, template in operations)
        # One entry for each request under way: adding and removing is safe between threads without a lock.
        self.flying: list[None] = []
        self._methods = _methods(operations)
        self._pairs = _pairs(operations)
        self._statuses = tuple(dict.fromkeys((*statuses, OTHER)))
        counted = Names(metrics.prefix + total, "HTTP requests.", ("method", route, "status"))
        labels = tuple(duration_labels or ("method", route))
        timed = Names(metrics.prefix + duration, "Time to answer an HTTP request.", labels)
        self._timings = Timings(metrics, counted, timed, buckets)
        for pair in self._pairs:
            for status in self._statuses:
                self._timings.record(*pair, status)
        if gauge := metrics.gauge(in_flight, "HTTP requests under way.").series():
            gauge.set_function(partial(len, self.flying))

    def recorder(self, method: str, label: str, status: int) -> Record:
        """What counts a request by its seconds; `label` is one that `paths` gave. It can be kept."""
        known = method if method in self._methods else OTHER
        of = UNMATCHED if self._pairs and (known, label) not in self._pairs else label
        return self._timings.record(known, of, str(status) if str(status) in self._statuses else OTHER)


def scraped(metrics: Metrics, accept: str, timeout: str = "") -> tuple[int, bytes, str]:
    """The answer to a scrape: status, text, content type. `timeout` is what Prometheus says of its patience."""
    try:
        return 200, *metrics.exposition(accept, _patience(timeout))
    except Exception as problem:  # noqa: BLE001 - collectors are the application's own, and may be closed by now
        metrics.fault("exposition", repr(problem))
        return 503, b"", PLAIN


def _patience(timeout: str) -> float:
    """Seconds that readings may take, so that an answer without them still comes in time."""
    try:
        return min(readings.TIMEOUT, SHARE * float(timeout))
    except ValueError:
        return readings.TIMEOUT


def _methods(operations: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return (*dict.fromkeys(method for method, _ in operations), OTHER) if operations else (*METHODS, OTHER)


def _pairs(operations: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], None]:
    """Those of the application, and those of what it does not serve. None where everything is learnt."""
    if not operations:
        return {}
    return dict.fromkeys([*operations, *((method, UNMATCHED) for method in _methods(operations))])
