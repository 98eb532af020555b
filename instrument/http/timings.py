"""A counter and a histogram that move together, for paths where every call counts.

The client library's own take a lock and several calls for each of the three numbers that a request changes: more than
all the rest that it takes to count one.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from instrument import client
from instrument.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

# Events of a series that wait to be added up.
PENDING = 64

Record = Callable[[float], None]


class Names(NamedTuple):
    """A metric: its name, what it means, and the names of its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...]


class Timings:
    """Events by label values: counted, and timed by some of the labels. A collector of prometheus-client.

    `buckets` are upper bounds in ascending order, in seconds.
    """

    def __init__(self, metrics: Metrics, counted: Names, timed: Names, buckets: Sequence[float]) -> None:
        if list(buckets) != sorted(set(buckets)):
            raise ValueError(f"{timed.name} with buckets {tuple(buckets)}; give them in ascending order")
        if unknown := set(timed.labels) - set(counted.labels):
            raise ValueError(f"{timed.name} with labels {sorted(unknown)}; there are {', '.join(counted.labels)}")
        self._metrics = metrics
        self._counted = counted
        self._timed = timed
        self._edges = tuple(edge for edge in buckets if edge != float("inf"))
        self._columns = [counted.labels.index(label) for label in timed.labels]
        self._series: dict[tuple[str, ...], _Series] = {}
        self._lock = threading.Lock()
        metrics.register(self)

    def record(self, *values: str) -> Record:
        """What counts an event with these label values by its seconds. It can be kept."""
        found = self._series.get(values)
        if found is None:
            with self._lock:
                found = self._series.setdefault(values, _Series(self._metrics, self._edges))
        return found.record

    def describe(self) -> list[Family]:
        return list(self._families())

    def collect(self) -> Iterator[Family]:
        with self._lock:
            series = dict(self._series)
        counter, histogram = self._families()
        timed: dict[tuple[str, ...], _Reading] = {}
        for values, each in series.items():
            now = each.read()
            counter.add_metric(values, sum(now.counts))
            group = tuple(values[column] for column in self._columns)
            timed[group] = timed[group].plus(now) if group in timed else now
        for group, now in timed.items():
            histogram.add_metric(group, list(now.buckets(self._edges)), now.seconds)
        yield counter
        yield histogram

    def _families(self) -> tuple[Any, Any]:
        core = client.library.core
        counter = core.CounterMetricFamily(self._counted.name, self._counted.meaning, labels=self._counted.labels)
        histogram = core.HistogramMetricFamily(self._timed.name, self._timed.meaning, labels=self._timed.labels)
        return counter, histogram


class _Reading(NamedTuple):
    """What a series holds: counts by bucket (the last is without bound), their seconds, and their exemplars."""

    counts: list[int]
    seconds: float
    exemplars: dict[int, Any]

    def plus(self, other: _Reading) -> _Reading:
        counts = [one + another for one, another in zip(self.counts, other.counts, strict=True)]
        exemplars = dict(self.exemplars)
        for bucket, exemplar in other.exemplars.items():
            exemplars[bucket] = max(exemplar, exemplars.get(bucket, exemplar), key=lambda each: each.timestamp)
        return _Reading(counts, self.seconds + other.seconds, exemplars)

    def buckets(self, edges: Sequence[float]) -> Iterator[tuple[str, int, Any]]:
        total = 0
        for bucket, edge in enumerate((*edges, float("inf"))):
            total += self.counts[bucket]
            yield client.library.utils.floatToGoString(edge), total, self.exemplars.get(bucket)


class _Series:
    __slots__ = ("_counts", "_edges", "_exemplars", "_lock", "_metrics", "_pending", "_seconds")

    def __init__(self, metrics: Metrics, edges: Sequence[float]) -> None:
        self._metrics = metrics
        self._edges = edges
        self._pending: deque[float] = deque()
        self._counts = [0] * (len(edges) + 1)
        self._seconds = 0.0
        self._exemplars: dict[int, Any] = {}
        self._lock = threading.Lock()

    def record(self, seconds: float) -> None:
        # Adding to a deque and taking from it are safe between threads. The lock and the search wait until they pay.
        self._pending.append(seconds)
        if self._metrics.exemplar is not None:
            self._trace(seconds)
        if len(self._pending) >= PENDING:
            self._settle()

    def read(self) -> _Reading:
        self._settle()
        with self._lock:
            return _Reading(list(self._counts), self._seconds, dict(self._exemplars))

    def _settle(self) -> None:
        with self._lock:
            for seconds in _taken(self._pending):
                self._counts[bisect_left(self._edges, seconds)] += 1
                self._seconds += seconds

    def _trace(self, seconds: float) -> None:
        if labels := self._metrics.trace():
            bucket = bisect_left(self._edges, seconds)
            self._exemplars[bucket] = client.library.core.Exemplar(labels, seconds, time.time())


def _taken(pending: deque[float]) -> Iterator[float]:
    while pending:
        yield pending.popleft()
