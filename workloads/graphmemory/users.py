"""Who uses the application: counted, never named in a metric."""

import time
from collections.abc import Callable

from workloads.graphmemory.metrics import WINDOWS, GraphMemoryMetrics

KEPT = 10_000


class ActiveUsers:
    """When each user was last seen, of the `kept` who were seen last."""

    def __init__(
        self, metrics: GraphMemoryMetrics, kept: int = KEPT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._seen: dict[str, float] = {}
        metrics.read("active_users", "Distinct users.", self.counts, window=tuple(WINDOWS))

    def saw(self, user: str) -> None:
        """Note that a user did something."""
        self._seen.pop(user, None)  # so that the dictionary is in the order of the last time
        self._seen[user] = self._clock()
        if len(self._seen) > self._kept:
            del self._seen[next(iter(self._seen))]

    def counts(self) -> dict[str, float]:
        """Distinct users by window."""
        now = self._clock()
        times = list(self._seen.values())  # a scrape reads in a thread of its own
        return {window: sum(now - seen <= seconds for seen in times) for window, seconds in WINDOWS.items()}
