"""What the simulated parts of the backend work with, and the spans that they make."""

import random
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from instrument.tracing import Tracing
from workloads.faults import Faults
from workloads.pause import Pause
from workloads.phase5.metrics import Phase5Metrics


@dataclass(frozen=True)
class Simulation:
    """Measurement, faults, simulated time and chance."""

    metrics: Phase5Metrics
    tracing: Tracing
    faults: Faults
    pause: Pause
    rng: random.Random

    def database_span(self, system: str, operation: str, collection: str = "") -> AbstractContextManager[Any]:
        """The span of a query, or of a Redis command."""
        name = f"{operation} {collection}".strip()
        attributes = {"db.system.name": system, "db.operation.name": operation, "db.query.summary": name}
        if collection:
            attributes["db.collection.name"] = collection
        return self.tracing.span(name, kind="client", **attributes)


def message_attributes(operation: str, topic: str, partition: int, key: str) -> dict[str, str]:
    """The attributes of a span that sends or processes a message; `operation` is its name and type."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.kafka.message.key": key,
    }
