"""What the Boss Workflow application exposes: declared metrics with bounded labels."""

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A fixed set: Prometheus' Go client has these by default, Python's has three more.
FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)

OTHER = "other"
UNMATCHED = "unmatched"
METHODS = ("GET", "PATCH", "POST", OTHER)
HTTP_STATUSES = ("200", "201", "404", "405", "409", "413", "422", "429", "500", "503", OTHER)
PRIORITIES = ("low", "medium", "high", "urgent")
TASK_STATUSES = ("pending", "in_progress", "in_review", "completed", "cancelled")
DB_OPERATIONS = ("create_task", "get_task", "list_tasks", "change_status", "get_audit", "ping", "prune")
POOL_STATES = ("size", "checked_in", "checked_out", "overflow")
AI_OPERATIONS = ("breakdown", "priority", "summary")
OUTCOMES = ("success", "failure")
CACHE_OPERATIONS = ("get_task", "list_tasks")
CACHE_RESULTS = ("hit", "miss", "error")
CHANNELS = ("tasks", "reviews", "completions")
ERROR_TYPES = ("api", "database", "ai", "discord", "redis")
ERROR_SEVERITIES = ("warning", "error")
REDIS_OPERATIONS = ("get", "set", "increment", "ping")
CHECKS = ("database", "redis")

# The catalogue has no `_created` series; prometheus-client has only this switch, for the whole process.
disable_created_metrics()  # type: ignore[no-untyped-call]


class BossMetrics:
    """The metrics, in a registry of their own. All declared label values start at 0.

    `operations` are the (method, route template) pairs that the application serves; `assignees` the
    people who may appear by name. Without them every assignee is `other`.
    """

    def __init__(self, operations: Iterable[tuple[str, str]], assignees: tuple[str, ...] = ()) -> None:
        self.registry = CollectorRegistry()
        self._operations = (*operations, ("GET", UNMATCHED), (OTHER, UNMATCHED))
        self._endpoints = tuple(dict.fromkeys(endpoint for _, endpoint in self._operations))
        self._assignees = (*assignees, OTHER)
        self._http()
        self._tasks()
        self._database()
        self._calls()
        self._limits()

    def _http(self) -> None:
        self.http_requests = self._counter("http_requests_total", "HTTP requests.", "method", "endpoint", "status")
        self.http_duration = self._histogram(
            "http_request_duration_seconds", "Time to answer an HTTP request.", FAST, "method", "endpoint"
        )
        for method, endpoint in self._operations:
            self.http_duration.labels(method, endpoint)
            _start(self.http_requests, (method,), (endpoint,), HTTP_STATUSES)

    def _tasks(self) -> None:
        self.tasks_created = self._counter("tasks_created_total", "Tasks created.", "assignee", "priority")
        self.tasks_completed = self._counter("tasks_completed_total", "Tasks completed.", "assignee")
        self.tasks_by_status = self._gauge("tasks_by_status", "Tasks now.", "status")
        _start(self.tasks_created, self._assignees, PRIORITIES)
        _start(self.tasks_completed, self._assignees)
        _start(self.tasks_by_status, TASK_STATUSES)

    def _database(self) -> None:
        self.db_queries = self._counter("db_queries_total", "Database queries.", "operation")
        self.db_duration = self._histogram("db_query_duration_seconds", "Query time.", FAST, "operation")
        self.db_pool = self._gauge("db_pool_connections", "Connections of the pool.", "state")
        _start(self.db_queries, DB_OPERATIONS)
        _start(self.db_duration, DB_OPERATIONS)
        _start(self.db_pool, POOL_STATES)

    def _calls(self) -> None:
        self.ai_requests = self._counter("ai_requests_total", "Calls of the AI service.", "operation", "status")
        self.ai_duration = self._histogram("ai_request_duration_seconds", "Time of an AI call.", SLOW, "operation")
        self.cache = self._counter("cache_operations_total", "Cache lookups.", "operation", "result")
        self.discord = self._counter("discord_messages_sent_total", "Messages sent to Discord.", "channel", "status")
        self.errors = self._counter("errors_total", "Errors.", "type", "severity")
        _start(self.ai_requests, AI_OPERATIONS, OUTCOMES)
        _start(self.ai_duration, AI_OPERATIONS)
        _start(self.cache, CACHE_OPERATIONS, CACHE_RESULTS)
        _start(self.discord, CHANNELS, OUTCOMES)
        _start(self.errors, ERROR_TYPES, ERROR_SEVERITIES)

    def _limits(self) -> None:
        self.rate_limited = self._counter("rate_limit_violations_total", "Requests rejected.", "endpoint")
        self.near_limit = self._gauge("rate_limit_near_limit", "Clients above 80 % of the limit.")
        self.redis_errors = self._counter("redis_connection_errors_total", "Failed Redis operations.")
        self.redis_duration = self._histogram(
            "redis_operation_duration_seconds", "Time of a Redis operation.", FAST, "operation"
        )
        self.health = self._gauge("boss_health_check_status", "1 healthy, 0 not.", "check")
        _start(self.rate_limited, [endpoint for endpoint in self._endpoints if endpoint.startswith("/api/")])
        _start(self.redis_duration, REDIS_OPERATIONS)
        _start(self.health, CHECKS)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one HTTP request; what is not declared counts as `other` or `unmatched`."""
        method = method if method in METHODS else OTHER
        endpoint = endpoint if endpoint in self._endpoints else UNMATCHED
        code = str(status) if str(status) in HTTP_STATUSES else OTHER
        self.http_requests.labels(method, endpoint, code).inc()
        self.http_duration.labels(method, endpoint).observe(seconds)

    def assignee(self, name: str) -> str:
        """The label value for a person."""
        return name if name in self._assignees else OTHER

    @contextmanager
    def ai_call(self, operation: str) -> Iterator[None]:
        """Count and time an AI call; an exception makes it a failure."""
        with _outcome(self.ai_requests, operation), self.ai_duration.labels(operation).time():
            yield

    @contextmanager
    def discord_message(self, channel: str) -> Iterator[None]:
        """Count a message; an exception makes it a failure."""
        with _outcome(self.discord, channel):
            yield

    @contextmanager
    def query(self, operation: str) -> Iterator[None]:
        """Count and time a database query."""
        self.db_queries.labels(operation).inc()
        with self.db_duration.labels(operation).time():
            yield

    def exposition(self) -> tuple[bytes, str]:
        """The text for a scrape, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)


class RequestMetrics:
    """ASGI middleware: counts and times every HTTP request, except paths that start as one of `uncounted`.

    A request is counted before the last part of its answer is sent, so a client that has its answer
    finds it counted. An exception counts as 500.
    """

    def __init__(self, app: ASGIApp, metrics: BossMetrics, uncounted: tuple[str, ...]) -> None:
        self._app = app
        self._metrics = metrics
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._uncounted):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, counted = 500, False

        def count(final: int) -> None:
            nonlocal counted
            if not counted:
                # The router sets the route: it is known only by now.
                endpoint = getattr(scope.get("route"), "path", UNMATCHED)
                self._metrics.request(scope["method"], endpoint, final, time.perf_counter() - started)
            counted = True

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                count(status)
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            count(500)


@contextmanager
def _outcome(counter: Counter, label: str) -> Iterator[None]:
    status = "failure"
    try:
        yield
        status = "success"
    finally:
        counter.labels(label, status).inc()


def _start(metric: Counter | Gauge | Histogram, *values: Iterable[str]) -> None:
    for combination in itertools.product(*values):
        metric.labels(*combination)
