"""Metric families by concern: what most applications count, with the names that each of them uses.

Every family takes its metric names as arguments, so that an application keeps the names of its dashboards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from instrument.attempts import OUTCOMES, Operations
from instrument.metrics import FAST, SLOW, Labels, Metrics
from instrument.readings import Read

__all__ = [
    "OUTCOMES",
    "Ai",
    "Cache",
    "Database",
    "Errors",
    "Messages",
    "Operations",
    "Pool",
    "RateLimits",
    "Tasks",
    "Vectors",
    "WebSockets",
]


class Database(Operations):
    """Queries by operation, counted whatever comes of them, and timed."""

    def __init__(
        self,
        metrics: Metrics,
        operations: Sequence[str],
        *,
        total: str = "db_queries_total",
        duration: str = "db_query_duration_seconds",
        outcomes: Sequence[str] = (),
    ) -> None:
        labels = {"operation": operations}
        super().__init__(metrics, total, duration, labels=labels, meaning="Database queries", outcomes=outcomes)

    def query(self, operation: str) -> Any:
        """Count and time a query: `with database.query("get_task"): ...`."""
        return self.attempt(operation=operation)


class Pool:
    """Connections of a pool by state, read at each scrape; `maximum` is the name of a gauge for the limit."""

    def __init__(
        self,
        metrics: Metrics,
        read: Callable[[], Mapping[str, float]],
        *,
        states: Sequence[str] = ("size", "checked_in", "checked_out", "overflow"),
        name: str = "db_pool_connections",
        maximum: tuple[str, Read] | None = None,
    ) -> None:
        metrics.read(name, "Connections of the pool.", lambda: _only(read(), states), state=states)
        if maximum:
            metrics.read(maximum[0], "Connections that the pool may have.", maximum[1])


class Cache:
    """Lookups: hit, miss or error. `label` names what was looked up."""

    RESULTS = ("hit", "miss", "error")

    def __init__(
        self,
        metrics: Metrics,
        values: Sequence[str],
        *,
        label: str = "operation",
        total: str = "cache_operations_total",
    ) -> None:
        self._label = label
        self._total = metrics.counter(total, "Cache lookups.", **{label: values, "result": self.RESULTS})

    def hit(self, value: str) -> None:
        self._count(value, "hit")

    def miss(self, value: str) -> None:
        self._count(value, "miss")

    def error(self, value: str) -> None:
        """A lookup that the cache did not answer."""
        self._count(value, "error")

    def _count(self, value: str, result: str) -> None:
        self._total.inc(**{self._label: value, "result": result})


class Ai(Operations):
    """Calls of language models: outcome, time and tokens. Without `models`, no series names one."""

    def __init__(
        self,
        metrics: Metrics,
        operations: Sequence[str],
        *,
        models: Sequence[str] = (),
        total: str = "ai_requests_total",
        duration: str = "ai_request_duration_seconds",
        tokens: str | None = None,
        buckets: Sequence[float] = SLOW,
    ) -> None:
        labels = {"model": models, "operation": operations} if models else {"operation": operations}
        super().__init__(metrics, total, duration, labels=labels, meaning="AI calls", buckets=buckets)
        kinds = {"model": models, "type": ("prompt", "completion")}
        self._tokens = metrics.counter(tokens, "Tokens used.", **kinds) if tokens else None

    def used(self, model: str, *, prompt: int, completion: int) -> None:
        """Count the tokens of a call."""
        if self._tokens:
            self._tokens.inc(prompt, model=model, type="prompt")
            self._tokens.inc(completion, model=model, type="completion")


class Messages(Operations):
    """Messages sent to the outside, by channel."""

    def __init__(self, metrics: Metrics, channels: Sequence[str], *, total: str = "messages_sent_total") -> None:
        super().__init__(metrics, total, labels={"channel": channels}, meaning="Messages sent")

    def sending(self, channel: str) -> Any:
        """Count a message: `with messages.sending("tasks"): ...`."""
        return self.attempt(channel=channel)


class Tasks:
    """Tasks of a task manager: created, completed, and how long that took."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        created: tuple[str, Labels],
        completed: tuple[str, Labels] | None = None,
        duration: tuple[str, Labels, Sequence[float]] | None = None,
    ) -> None:
        self._created = metrics.counter(created[0], "Tasks created.", **created[1])
        self._completed = metrics.counter(completed[0], "Tasks completed.", **completed[1]) if completed else None
        self._duration = (
            metrics.histogram(duration[0], "Time from creation to completion.", duration[2], **duration[1])
            if duration
            else None
        )
        self._of_completed = tuple(completed[1]) if completed else ()
        self._of_duration = tuple(duration[1]) if duration else ()

    def created(self, **labels: object) -> None:
        self._created.inc(**labels)

    def completed(self, seconds: float | None = None, **labels: object) -> None:
        """Count a completed task; `seconds` since its creation. Each metric takes its own of the labels."""
        if self._completed:
            self._completed.inc(**_own(labels, self._of_completed))
        if self._duration and seconds is not None:
            self._duration.observe(seconds, **_own(labels, self._of_duration))


class WebSockets:
    """Open connections, and messages by direction and type."""

    DIRECTIONS = ("in", "out")

    def __init__(self, metrics: Metrics, *, active: str, messages: tuple[str, Sequence[str]] | None = None) -> None:
        self._active = metrics.gauge(active, "Open WebSockets.")
        kinds = {"direction": self.DIRECTIONS, "type": messages[1] if messages else ()}
        self._messages = metrics.counter(messages[0], "WebSocket messages.", **kinds) if messages else None

    @contextmanager
    def connection(self) -> Iterator[None]:
        """One open connection, for the length of the block."""
        self._active.add(1)
        try:
            yield
        finally:
            self._active.add(-1)

    def message(self, direction: str, kind: str) -> None:
        if self._messages:
            self._messages.inc(direction=direction, type=kind)


class Vectors:
    """Searches of a vector store: time, and how near the best match was (0 to 1)."""

    NEARNESS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)

    def __init__(self, metrics: Metrics, indexes: Sequence[str], *, duration: str, similarity: str) -> None:
        self._duration = metrics.histogram(duration, "Vector search time.", FAST, index=indexes)
        self._similarity = metrics.histogram(similarity, "Best match, 0 to 1.", self.NEARNESS, index=indexes)

    def searched(self, index: str, seconds: float, similarity: float) -> None:
        self._duration.observe(seconds, index=index)
        self._similarity.observe(similarity, index=index)


class RateLimits:
    """Rejected requests by endpoint, and clients that come near the limit (`near` is read at each scrape)."""

    def __init__(
        self,
        metrics: Metrics,
        endpoints: Sequence[str],
        near: Read,
        *,
        rejected: str = "rate_limit_violations_total",
        near_limit: str = "rate_limit_near_limit",
    ) -> None:
        self._rejected = metrics.counter(rejected, "Requests rejected.", endpoint=endpoints)
        metrics.read(near_limit, "Clients above 80 % of the limit.", near)

    def rejected(self, endpoint: str) -> None:
        self._rejected.inc(endpoint=endpoint)


class Errors:
    """Errors by the part that they come from."""

    SEVERITIES = ("warning", "error")

    def __init__(self, metrics: Metrics, kinds: Sequence[str], *, total: str = "errors_total") -> None:
        self._total = metrics.counter(total, "Errors.", type=kinds, severity=self.SEVERITIES)

    def count(self, kind: str, severity: str = "error") -> None:
        self._total.inc(type=kind, severity=severity)


def _only(values: Mapping[str, float], states: Sequence[str]) -> dict[str, float]:
    return {state: values[state] for state in states}


def _own(labels: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    return {name: value for name, value in labels.items() if name in names}
