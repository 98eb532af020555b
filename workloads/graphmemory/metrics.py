"""What the GraphMemory API exposes: declared metrics with bounded labels."""

from collections.abc import Sequence

from instrument.families import Cache, Operations, Vectors
from instrument.http import Http
from instrument.metrics import FAST, OTHER, SLOW, Exemplar, Metrics
from instrument.readings import KEEP

HTTP_STATUSES = ("200", "201", "202", "204", "404", "405", "413", "422", "499", "500", "503", OTHER)
ACTIONS = (
    "sign_in",
    "onboard",
    "create_memory",
    "view_memory",
    "edit_memory",
    "delete_memory",
    "search",
    "explore_graph",
    "extract",
    "collaborate",
)
STEPS = ("account", "workspace", "first_memory", "first_search", "invite")
STEP_OUTCOMES = ("completed", "skipped", "failed")
ONBOARDING = (30, 60, 120, 300, 600, 1800)
EVENTS = ("join", "leave", "edit", "comment", "conflict")
MEMORY_OPERATIONS = ("create", "read", "update", "delete", "search")
GRAPH_OPERATIONS = ("add_node", "add_edge", "traverse", "query")
NODE_KINDS = ("memory", "function", "file", "person", "concept")
EDGE_KINDS = ("mentions", "relates_to", "derived_from")
INDEXES = ("notes", "code", "docs")
SOURCES = ("document", "code", "chat")
ENTITY_KINDS = ("function", "file", "person", "concept")
QUERIES = (
    "sign_in",
    "add_event",
    "insert_memory",
    "get_memory",
    "update_memory",
    "delete_memory",
    "ping",
    "prune",
)
CACHES = ("memory", "search")
WINDOWS = {"5m": 300.0, "1h": 3600.0, "24h": 86400.0}


class GraphMemoryMetrics(Metrics):
    """The families of the application. `operations` are the (method, route template) pairs that it serves."""

    def __init__(
        self,
        operations: Sequence[tuple[str, str]],
        *,
        enabled: bool = True,
        exemplar: Exemplar | None = None,
        keep: float = KEEP,
    ) -> None:
        super().__init__("graphmemory_", enabled=enabled, exemplar=exemplar, keep=keep)
        self.http = Http(self, operations=operations, statuses=HTTP_STATUSES, route="route")
        self.user_actions = self.counter("user_actions_total", "Actions of users.", action=ACTIONS)
        self.steps = self.counter("onboarding_steps_total", "Onboarding steps.", step=STEPS, outcome=STEP_OUTCOMES)
        self.onboarding = self.histogram("onboarding_duration_seconds", "Time of a whole onboarding.", ONBOARDING)
        self.collaboration = self.counter("collaboration_events_total", "Collaboration events.", event=EVENTS)
        self.memory = self._operations("memory", MEMORY_OPERATIONS)
        self.graph = self._operations("graph", GRAPH_OPERATIONS)
        self.extractions = Operations(
            self,
            "knowledge_extractions_total",
            "knowledge_extraction_duration_seconds",
            labels={"source": SOURCES},
            meaning="Knowledge extractions",
            buckets=SLOW,
        )
        self.entities = self.counter("knowledge_entities_extracted_total", "Entities found.", kind=ENTITY_KINDS)
        self.vectors = Vectors(
            self, INDEXES, duration="vector_search_duration_seconds", similarity="vector_similarity_score"
        )
        self.queries = self.histogram("db_query_duration_seconds", "Query time.", FAST, operation=QUERIES)
        self.cache = Cache(self, CACHES, label="cache")

    def _operations(self, what: str, operations: Sequence[str]) -> Operations:
        return Operations(
            self,
            f"{what}_operations_total",
            f"{what}_operation_duration_seconds",
            labels={"operation": operations},
            meaning=f"{what.capitalize()} operations",
        )
