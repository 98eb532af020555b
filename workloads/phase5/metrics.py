"""What every process of Phase 5 exposes: the same families, at 0 where a process has nothing to count."""

from collections.abc import Callable, Mapping, Sequence

from instrument import FAST, Metrics
from instrument.families import Messages, Operations, Pool, WebSockets
from instrument.http import Http
from instrument.metrics import Exemplar
from workloads.pool import PoolState

NAMESPACE = "phase5-production"
FRONTEND = "phase5-frontend"
BACKEND = "phase5-backend"
AGENT = "phase5-reminder-agent"
SERVICES = (FRONTEND, BACKEND, AGENT)

TASK_EVENTS = "task-events"
REMINDERS = "reminders"
TOPICS = (TASK_EVENTS, REMINDERS)

OPERATIONS = ("create", "update", "complete", "delete")
CHANNELS = ("email", "push", "in_app")
QUERIES = (
    "create_task",
    "list_tasks",
    "get_task",
    "update_task",
    "complete_task",
    "delete_task",
    "write_audit",
    "get_audit",
    "due_reminders",
    "ping",
    "prune",
)
STATUSES = ("200", "201", "204", "404", "422", "499", "500", "502", "503", "other")
BUCKETS = (0.1, 0.5, 1, 2, 5)

TASKS = "/api/tasks"
TASK = "/api/tasks/{task_id}"
COMPLETE = "/api/tasks/{task_id}/complete"
AUDIT = "/api/tasks/{task_id}/audit"
# Of all processes together: each one exposes the series of all.
SERVED = (
    ("POST", TASKS),
    ("GET", TASKS),
    ("GET", TASK),
    ("PATCH", TASK),
    ("DELETE", TASK),
    ("POST", COMPLETE),
    ("GET", AUDIT),
    *(("GET", path) for path in ("/health", "/health/live", "/health/ready")),
)


class Phase5Metrics(Metrics):
    """The metrics of one process. `pool` tells the state of its database pool; a process without one has no `limit`."""

    def __init__(
        self, *, pool: Callable[[], PoolState] | None = None, limit: int = 0, exemplar: Exemplar | None = None
    ) -> None:
        super().__init__(exemplar=exemplar)
        self.http = Http(
            self,
            operations=SERVED,
            statuses=STATUSES,
            route="route",
            duration_labels=("method", "route", "status"),
            buckets=BUCKETS,
        )
        self._pool(pool, limit)
        self.queries = self.histogram("database_query_duration_seconds", "Query time.", FAST, operation=QUERIES)
        self.tasks = self._outcomes("task_operations_total", "Task operations", operation=OPERATIONS)
        self.reminders = Messages(self, CHANNELS, total="reminder_deliveries_total")
        self.audit = self._outcomes("audit_log_writes_total", "Writes of the audit log")
        self.events = self._outcomes("events_processed_total", "Kafka events handled", topic=TOPICS)
        self.websockets = WebSockets(self, active="websocket_connections")

    def _pool(self, pool: Callable[[], PoolState] | None, limit: int) -> None:
        def connections() -> Mapping[str, float]:
            return {"active": pool().checked_out, "idle": pool().checked_in} if pool else {"active": 0, "idle": 0}

        def most() -> Mapping[tuple[str, ...], float]:
            # No series rather than a limit of 0, of which everything would be used.
            return {(): limit} if pool else {}

        maximum = ("database_pool_max_connections", most)
        Pool(self, connections, states=("active", "idle"), name="database_pool_connections", maximum=maximum)

    def _outcomes(self, name: str, meaning: str, **labels: Sequence[str]) -> Operations:
        return Operations(self, name, labels=labels, meaning=meaning)
