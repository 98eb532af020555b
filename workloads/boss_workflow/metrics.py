"""What the Boss Workflow application exposes: declared metrics with bounded labels."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from instrument import Metrics
from instrument.families import Ai, Cache, Database, Errors, Messages, Tasks
from instrument.http import Http
from instrument.metrics import OTHER, Exemplar
from instrument.readings import KEEP

HTTP_STATUSES = (
    *("200", "201", "401", "404", "405", "409", "413", "422", "429", "499"),
    *("500", "502", "503", OTHER),
)
PRIORITIES = ("low", "medium", "high", "urgent")
TASK_STATUSES = ("pending", "in_progress", "in_review", "completed", "cancelled")
DB_OPERATIONS = ("create_task", "get_task", "list_tasks", "change_status", "get_audit", "ping", "prune")
AI_OPERATIONS = ("breakdown", "priority", "summary")
CACHE_OPERATIONS = ("get_task", "list_tasks")
CHANNELS = ("tasks", "reviews", "completions")
ERROR_TYPES = ("api", "database", "ai", "discord", "redis")
REDIS_OPERATIONS = ("get", "set", "increment", "ping")


class BossMetrics(Metrics):
    """The families of the application. What is read at a scrape is declared by the parts that know it.

    `operations` are the (method, route template) pairs that it serves; `assignees` the people who may appear by
    name. Without them every assignee is `other`. The rest is as for `Metrics`.
    """

    def __init__(
        self,
        operations: Sequence[tuple[str, str]],
        assignees: Sequence[str] = (),
        *,
        enabled: bool = True,
        exemplar: Exemplar | None = None,
        keep: float = KEEP,
    ) -> None:
        super().__init__(enabled=enabled, exemplar=exemplar, keep=keep)
        people = (*assignees, OTHER)
        self.http = Http(self, operations=operations, statuses=HTTP_STATUSES)
        self.tasks = Tasks(
            self,
            created=("tasks_created_total", {"assignee": people, "priority": PRIORITIES}),
            completed=("tasks_completed_total", {"assignee": people}),
        )
        self.database = Database(self, DB_OPERATIONS)
        self.ai = Ai(self, AI_OPERATIONS)
        self.cache = Cache(self, CACHE_OPERATIONS)
        self.discord = Messages(self, CHANNELS, total="discord_messages_sent_total")
        self.errors = Errors(self, ERROR_TYPES)
        self._redis_errors = self.counter("redis_connection_errors_total", "Failed Redis operations.")
        self._redis_duration = self.histogram(
            "redis_operation_duration_seconds", "Time of a Redis operation.", operation=REDIS_OPERATIONS
        )

    @contextmanager
    def redis(self, operation: str) -> Iterator[None]:
        """Time a Redis operation; an exception counts as an error of the connection."""
        started = time.perf_counter()
        try:
            yield
        except Exception:
            self._redis_errors.inc()
            raise
        finally:
            self._redis_duration.observe(time.perf_counter() - started, operation=operation)
