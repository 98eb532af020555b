"""What the application on port 8502 exposes: declared metrics with bounded labels."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from instrument import Metrics
from instrument.http import Http
from instrument.metrics import FAST, OTHER, Exemplar

HTTP_STATUSES = ("200", "201", "404", "405", "409", "413", "422", "499", "500", "503", OTHER)
QUERIES = ("start_cycle", "get_cycle", "list_cycles", "end_phase", "get_history", "summary", "ping", "prune")
PHASES = ("red", "green", "refactor")
OUTCOMES = ("success", "failure")
# Seconds: a test takes minutes to write, and an hour is too long.
PHASE_EDGES = (10, 30, 60, 120, 300, 600, 1800, 3600)
# The loggers whose records are counted: those that the counting handler hangs on.
COUNTED_LOGGERS = ("streamlit_extension",)
COUNTED_LEVELS = ("warning", "error", "critical")


class TddMetrics(Metrics):
    """The families of the application. `operations` are the (method, route template) pairs that it serves."""

    def __init__(
        self, operations: Sequence[tuple[str, str]], *, enabled: bool = True, exemplar: Exemplar | None = None
    ) -> None:
        super().__init__(enabled=enabled, exemplar=exemplar)
        self.http = Http(
            self, operations=operations, statuses=HTTP_STATUSES, route="handler", duration_labels=("handler",)
        )
        self.connections = self.gauge("database_connections_active", "Open connections.")
        self.failed_connects = self.counter("database_connections_failed_total", "Failed connects.")
        self._queries = self.histogram(
            "database_query_duration_seconds", "Query time, without the connect.", FAST, operation=QUERIES
        )
        self._phase_seconds = self.histogram(
            "tdd_phase_duration_seconds", "Time in a phase, failed ones too.", PHASE_EDGES, phase=PHASES
        )
        self._phases = self.counter("tdd_phases_completed_total", "Completed phases.", phase=PHASES, outcome=OUTCOMES)
        self.log_messages = self.counter(
            "log_messages_total", "Log records of WARNING and above.", logger=COUNTED_LOGGERS, level=COUNTED_LEVELS
        )

    @contextmanager
    def query(self, operation: str) -> Iterator[None]:
        """Time a query, one that fails too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._queries.observe(time.perf_counter() - started, operation=operation)

    def phase(self, phase: str, outcome: str, seconds: float) -> None:
        """Count a completed phase and the time it took."""
        self._phases.inc(phase=phase, outcome=outcome)
        self._phase_seconds.observe(seconds, phase=phase)
