"""What is read from the task store when Prometheus asks."""

import threading
import time
from collections.abc import Mapping

from instrument.metrics import Metrics
from workloads.lmmc.metrics import ACTIVE, PERCENTILES, REPOSITORIES
from workloads.lmmc.store import Statistics, StoreError, TaskStore


class TaskCollector:
    """Active tasks and their age, from one read of the store every `keep` seconds: they agree or are both left out."""

    def __init__(self, metrics: Metrics, store: TaskStore, keep: float) -> None:
        self._store = store
        self._keep = keep
        self._lock = threading.Lock()
        self._last: Statistics | StoreError = StoreError("not read yet")
        self._at = float("-inf")
        failing = metrics.gauge("task_collector_error", "1 when the last read of the task store failed.")
        metrics.read(
            "active_tasks", "Active tasks now.", self._active, failing=failing, repository=REPOSITORIES, status=ACTIVE
        )
        metrics.read("task_age_days", "Age of active tasks.", self._ages, failing=failing, percentile=PERCENTILES)

    def _active(self) -> Mapping[tuple[str, ...], float]:
        return self._read().active

    def _ages(self) -> Mapping[str, float]:
        return self._read().ages

    def _read(self) -> Statistics:
        # Each gauge is read in a thread of its own.
        with self._lock:
            if time.monotonic() - self._at >= self._keep:
                try:
                    self._last = self._store.statistics()
                except StoreError as problem:
                    self._last = problem
                self._at = time.monotonic()
            if isinstance(self._last, StoreError):
                raise self._last
            return self._last
