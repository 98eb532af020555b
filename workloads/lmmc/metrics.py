"""What the LMMC server exposes: declared metrics with bounded labels."""

from collections.abc import Sequence

from instrument.families import Ai, Operations, Tasks, WebSockets
from instrument.http import Http
from instrument.metrics import OTHER, Exemplar, Metrics
from instrument.readings import KEEP

# A repository that is not listed here counts as `other`.
REPOSITORIES = ("api", "cli", "web", OTHER)
PRIORITIES = ("low", "medium", "high", "urgent")
# The statuses of work that is not over.
ACTIVE = ("pending", "in_progress")
STATUSES = (*ACTIVE, "completed", "cancelled")
HTTP_STATUSES = ("200", "201", "202", "404", "405", "409", "413", "422", "429", "499", "500", "503", OTHER)
MESSAGES = ("ping", "pong", "subscribe", "subscribed", "task", "answer", "error", OTHER)
MODELS = ("large", "small")
AI_OPERATIONS = ("decompose", "suggest", "summarize")
PATTERNS = ("dependency", "recurring", "sequence")
QDRANT_OPERATIONS = ("upsert", "search", "delete")
PERCENTILES = ("50", "95", "99")

# One minute to 17 hours.
TASK_SECONDS = tuple(60 * 2**n for n in range(11))
# 30 s is the limit of an alert: inside the bucket 25.6 to 51.2 it would be a guess.
AI_SECONDS = tuple(sorted((*(0.1 * 2**n for n in range(10)), 30)))
CONFIDENCES = tuple(n / 10 for n in range(11))


class LmmcMetrics:
    """The metrics, in a registry of their own. What is read at a scrape is good for `keep` seconds."""

    def __init__(self, *, enabled: bool = True, exemplar: Exemplar | None = None, keep: float = KEEP) -> None:
        self.registry = metrics = Metrics("lmmc_", enabled=enabled, exemplar=exemplar, keep=keep)
        kinds = {"repository": REPOSITORIES, "priority": PRIORITIES}
        self.tasks = Tasks(
            metrics,
            created=("tasks_total", {**kinds, "status": ACTIVE}),
            duration=("task_duration_seconds", kinds, TASK_SECONDS),
        )
        self.sockets = WebSockets(
            metrics, active="websocket_connections_active", messages=("websocket_messages_total", MESSAGES)
        )
        self.ai = Ai(
            metrics,
            AI_OPERATIONS,
            models=MODELS,
            duration="ai_response_seconds",
            tokens="ai_tokens_used_total",
            buckets=AI_SECONDS,
        )
        self.patterns = metrics.counter(
            "patterns_detected_total", "Patterns found.", type=PATTERNS, repository=REPOSITORIES
        )
        self.confidence = metrics.histogram("pattern_confidence", "Confidence in a pattern, 0 to 1.", CONFIDENCES)
        self.qdrant = Operations(
            metrics,
            "qdrant_operations_total",
            "qdrant_latency_seconds",
            labels={"operation": QDRANT_OPERATIONS},
            meaning="Qdrant operations",
            outcomes=("success", "error"),
        )

    def http(self, operations: Sequence[tuple[str, str]]) -> Http:
        """The metrics of the HTTP side, which serves these (method, route template) pairs."""
        return Http(self.registry, operations=operations, statuses=HTTP_STATUSES, duration="http_duration_seconds")
