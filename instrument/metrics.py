"""Declared metrics: fixed names, bounded labels, and calls that never raise into the application.

    metrics = Metrics("shop_")
    orders = metrics.counter("orders_total", "Orders taken.", channel=("web", "phone", "other"))
    orders.inc(channel="web")

A value that is not declared counts as `other`, where that is declared. A call that cannot be counted
(wrong labels, not a number) is counted in `instrument_faults_total` instead, and logged once.
Without prometheus-client, or with `enabled=False`, the same calls do nothing.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from instrument import client
from instrument.readings import KEEP, Read, Readings

if TYPE_CHECKING:
    import prometheus_client as prometheus

# The default edges of Prometheus' Go client; Python's default has three more.
FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# For calls that take seconds.
SLOW = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)

OTHER = "other"
UNMATCHED = "unmatched"
FAULTS = "instrument_faults_total"
# The format that every Prometheus reads.
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# Where a fault can come from.
PARTS = ("labels", "value", "reading", "exposition", "health", "log", "middleware", "trace")

# Prometheus refuses an exemplar with more characters than this.
EXEMPLAR = 128
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_LOG = logging.getLogger(__name__)

Labels = Mapping[str, Sequence[str]]
Exemplar = Callable[[], "dict[str, str] | None"]


class Metrics:
    """The metrics of an application, in a registry of their own.

    `prefix` begins every name. `exemplar` gives the labels of the trace that is under way, for histograms.
    `keep` is for how many seconds a reading is good for other scrapes.
    """

    def __init__(
        self, prefix: str = "", *, enabled: bool = True, exemplar: Exemplar | None = None, keep: float = KEEP
    ) -> None:
        self._library = client.library if enabled else None
        self.enabled = self._library is not None
        self.exemplar = exemplar
        self.prefix = prefix
        self._told: set[str] = set()
        self.registry: prometheus.CollectorRegistry | None = None
        if self._library:
            self.registry = self._library.CollectorRegistry()
        parts = {"part": PARTS}
        self._faults = Counter(self, self._family("Counter", FAULTS, "What could not be instrumented.", parts), parts)
        self._readings = Readings(partial(self.fault, "reading"), keep)

    def counter(
        self, name: str, meaning: str, start: Iterable[tuple[str, ...]] | None = None, /, **labels: Sequence[str]
    ) -> Counter:
        """A counter. `start` limits the combinations of label values that are there from the start, at 0."""
        return Counter(self, self._family("Counter", self.prefix + name, meaning, labels), labels, start)

    def gauge(self, name: str, meaning: str, /, **labels: Sequence[str]) -> Gauge:
        """A gauge that the application sets."""
        return Gauge(self, self._family("Gauge", self.prefix + name, meaning, labels), labels)

    def histogram(
        self,
        name: str,
        meaning: str,
        buckets: Sequence[float] = FAST,
        start: Iterable[tuple[str, ...]] | None = None,
        /,
        **labels: Sequence[str],
    ) -> Histogram:
        """A histogram with these upper bounds; `start` as for a counter."""
        family = self._family("Histogram", self.prefix + name, meaning, labels, buckets=buckets)
        return Histogram(self, family, labels, start)

    def read(
        self, name: str, meaning: str, read: Read, /, *, failing: Gauge | None = None, **labels: Sequence[str]
    ) -> None:
        """A gauge whose values `read` gives at each scrape.

        `read` answers a number, or numbers by label value (or tuple of them). It runs in a thread of its own. When it
        throws or takes longer than `readings.TIMEOUT` the gauge is left out of this scrape, `failing` is 1, and a
        fault is counted. A label value that is not declared is added to `other`, or left out and counted as a fault.
        """
        if self.enabled:
            declared = {label: tuple(values) for label, values in labels.items()}
            self.register(self._readings.add(self.prefix + name, meaning, declared, read, failing))

    def exposition(self, accept: str = "", timeout: float | None = None) -> tuple[bytes, str]:
        """The text for a scrape and its content type, in the format that the `Accept` header asks for.

        Blocks for as long as readings take, at most `timeout` seconds (`readings.TIMEOUT`). Empty when metrics are off.
        """
        if self._library is None:
            return b"", PLAIN
        self._readings.refresh(timeout)
        try:
            encode, content_type = self._library.exposition.choose_encoder(accept)
        except (TypeError, ValueError):
            self.fault("exposition", f"Accept {accept[:80]!r}")
            encode, content_type = self._library.exposition.choose_encoder("")
        return encode(self.registry), content_type

    def register(self, collector: Any) -> None:
        """Expose what a collector of prometheus-client gives. Nothing when metrics are off."""
        if self.registry:
            self.registry.register(collector)

    def trace(self) -> dict[str, str] | None:
        """The labels of the trace that is under way, if they can be an exemplar."""
        try:
            labels = self.exemplar() if self.exemplar else None
            if labels and not _fits(labels):
                raise ValueError(f"{str(labels)[:80]} is not an exemplar")
        except Exception as problem:  # noqa: BLE001 - the application's own code: whatever it throws, its work goes on
            self.fault("trace", repr(problem))
            return None
        return labels

    def fault(self, part: str, what: str) -> None:
        """Count what could not be done, and say it once."""
        self._faults.inc(part=part)
        if (said := f"{part}: {what}") not in self._told and len(self._told) < 1000:
            self._told.add(said)
            _LOG.warning("not instrumented: %s", said)

    def _family(self, kind: str, name: str, meaning: str, labels: Labels, **more: Any) -> Any:
        if self._library is None:
            return None
        return getattr(self._library, kind)(name, meaning, tuple(labels), registry=self.registry, **more)


class _Declared:
    """What counters, gauges and histograms share: finding the series of a call's labels."""

    def __init__(
        self,
        metrics: Metrics,
        family: Any,
        labels: Labels | None = None,
        start: Iterable[tuple[str, ...]] | None = None,
    ) -> None:
        declared = {name: tuple(values) for name, values in (labels or {}).items()}
        self._metrics = metrics
        self._family = family
        self._declared = declared
        self._series: dict[tuple[str, ...], Any] = {}
        if family is None:
            return
        if not declared:
            self._series[()] = family
        for values in (itertools.product(*declared.values()) if start is None else start) if declared else ():
            self.series(*values)

    def series(self, *values: str) -> Any:
        """The series of these label values, in the order of declaration: the client library's own object.

        For a hot path that keeps it. None when metrics are off.
        """
        found = self._series.get(values)
        if found is None and self._family is not None:
            found = self._series[values] = self._family.labels(*values)
        return found

    def _find(self, labels: Mapping[str, object]) -> Any:
        """The series for the labels of a call; None, and a fault, if there is none."""
        if self._family is None:
            return None
        if labels.keys() != self._declared.keys():
            known = ", ".join(self._declared) or "none"
            self._metrics.fault("labels", f"{self._name} with labels {', '.join(labels) or 'none'}; it has {known}")
            return None
        values = []
        for name, accepted in self._declared.items():
            value = str(labels[name])
            if value not in accepted:
                folded = next((each for each in (OTHER, UNMATCHED) if each in accepted), None)
                if folded is None:
                    self._metrics.fault("labels", f"{self._name} with {name}={value[:80]!r}")
                    return None
                value = folded
            values.append(value)
        return self.series(*values)

    def _number(self, value: object, least: float = -math.inf) -> bool:
        if isinstance(value, int | float) and value >= least:
            return True
        self._metrics.fault("value", f"{self._name} with value {str(value)[:80]!r}")
        return False

    @property
    def _name(self) -> str:
        return str(self._family._name)


class Counter(_Declared):
    """Counts up."""

    def inc(self, by: float = 1, /, **labels: object) -> None:
        """Add; a negative number is a fault."""
        series = self._find(labels)
        if series is not None and self._number(by, 0):
            series.inc(by)


class Gauge(_Declared):
    """Goes up and down."""

    def set(self, value: float, /, **labels: object) -> None:
        series = self._find(labels)
        if series is not None and self._number(value):
            series.set(value)

    def add(self, by: float, /, **labels: object) -> None:
        series = self._find(labels)
        if series is not None and self._number(by):
            series.inc(by)


class Histogram(_Declared):
    """Counts observations by size."""

    def observe(self, value: float, /, **labels: object) -> None:
        """Add an observation, with the trace that is under way as its exemplar."""
        series = self._find(labels)
        if series is not None and self._number(value):
            series.observe(value, self._metrics.trace())


def _fits(labels: Mapping[str, str]) -> bool:
    characters = sum(len(name) + len(value) for name, value in labels.items())
    return characters <= EXEMPLAR and all(_LABEL.fullmatch(name) and isinstance(labels[name], str) for name in labels)
