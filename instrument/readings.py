"""Values that are read when Prometheus asks: in parallel, with a time-out, and never at the price of the scrape."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from instrument import client

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

# Below Prometheus' default scrape time-out of 10 s, so that the rest of the metrics still arrives.
TIMEOUT = 5.0
# Two Prometheus servers that ask at once cost the store one read.
KEEP = 1.0

OTHER = "other"

# Keys are the values of the labels, in the order of declaration.
Values = float | Mapping[str, float] | Mapping[tuple[str, str], float] | Mapping[tuple[str, ...], float]
Read = Callable[[], Values]
Labels = Mapping[str, tuple[str, ...]]


class Failing(Protocol):
    """A gauge: 1 while a reading fails."""

    def set(self, value: float, /) -> None: ...


@dataclass(eq=False)
class Reading:
    """One gauge: a collector of prometheus-client, which gives what was read last."""

    name: str
    meaning: str
    labels: Labels
    read: Read
    failing: Failing | None
    values: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    at: float = float("-inf")
    # Why there is nothing to give; and what was left out of what there is.
    problem: str = ""
    refused: str = ""
    thread: threading.Thread | None = None
    # Its scrape was answered without it.
    late: bool = False
    # What went wrong in the thread, once it has ended.
    outcome: str = ""

    def begin(self, keep: float) -> None:
        """Read in a thread of its own, unless `keep` seconds have not passed. A reading that hangs is not joined."""
        if time.monotonic() - self.at < keep or (self.thread and self.thread.is_alive()):
            return
        if self.late:
            # Too late for the last scrape, it is in time for this one: what is always slow would never be seen.
            self.late, self.problem = False, self.outcome
            return
        thread = threading.Thread(target=self._run, name=f"reading-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:
            # The process is at its end, or has no thread left.
            self.problem = repr(problem)
        else:
            self.thread = thread

    def end(self, timeout: float) -> None:
        """Wait for the thread, `timeout` seconds at most."""
        if self.thread is None:
            return
        self.thread.join(timeout)
        if self.thread.is_alive():
            self.late, self.problem = True, "no answer in time"
        elif not self.late:
            self.problem = self.outcome

    def _run(self) -> None:
        try:
            self.values, self.refused = _declared(self.read(), self.labels)
        except Exception as problem:  # noqa: BLE001 - the application's own code: whatever it throws, the scrape goes on
            self.outcome = repr(problem)
        else:
            self.outcome = ""
            self.at = time.monotonic()

    def describe(self) -> list[GaugeMetricFamily]:
        return [self._family()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Without values where reading failed: old ones would be taken for the present ones."""
        family = self._family()
        for values, number in ({} if self.problem else self.values).items():
            family.add_metric(values, number)
        yield family

    def _family(self) -> GaugeMetricFamily:
        family: GaugeMetricFamily = client.library.core.GaugeMetricFamily(
            self.name, self.meaning, labels=tuple(self.labels)
        )
        return family


class Readings:
    """All readings of a registry. `keep` is for how many seconds one is good for other scrapes."""

    def __init__(self, fault: Callable[[str], None], keep: float = KEEP) -> None:
        self._readings: list[Reading] = []
        self._fault = fault
        self._keep = keep

    def add(self, name: str, meaning: str, labels: Labels, read: Read, failing: Failing | None) -> Reading:
        reading = Reading(name, meaning, labels, read, failing)
        self._readings.append(reading)
        return reading

    def refresh(self, timeout: float | None = None) -> None:
        """Read everything anew, all at once, for at most `timeout` seconds (`TIMEOUT`) together."""
        until = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        for reading in self._readings:
            reading.begin(self._keep)
        for reading in self._readings:
            reading.end(max(0, until - time.monotonic()))
            if said := reading.problem or reading.refused:
                self._fault(f"{reading.name}: {said}")
            if reading.failing:
                reading.failing.set(1 if reading.problem else 0)


def _declared(values: Values, labels: Labels) -> tuple[dict[tuple[str, ...], float], str]:
    """Numbers by the declared label values, and what was left out because it has others."""
    by_label: Mapping[Any, float] = values if isinstance(values, Mapping) else {(): values}
    kept: dict[tuple[str, ...], float] = {}
    refused = ""
    for key, number in by_label.items():
        given = (key,) if isinstance(key, str) else key
        found = _folded(given, labels)
        if found is None:
            refused = f"gives {str(given)[:80]}, which is not declared"
        elif found in kept:
            kept[found] += float(number)
        else:
            kept[found] = float(number)
    return kept, refused


def _folded(given: tuple[str, ...], labels: Labels) -> tuple[str, ...] | None:
    if len(given) != len(labels):
        return None
    folded = tuple(
        value if value in accepted else OTHER for value, accepted in zip(given, labels.values(), strict=True)
    )
    known = all(value in accepted for value, accepted in zip(folded, labels.values(), strict=True))
    return folded if known else None
