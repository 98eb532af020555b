"""What every simulated part of GraphMemory works with: faults, waits and chance."""

import random
from dataclasses import dataclass

from instrument.tracing import Tracing
from workloads.faults import Fault, Faults
from workloads.pause import Pause

FAULTS = (
    Fault("http_errors", "share of API requests answered with 500", 1),
    Fault("http_latency", "seconds added to every API request", 60),
    Fault("postgres_down", "1: PostgreSQL does not answer", 1),
    Fault("db_pool_hold", "share of the pool's maximum that is kept out of it", 1),
    Fault("db_latency", "seconds added to every query", 60),
    Fault("redis_down", "1: Redis does not answer", 1),
    Fault("redis_memory", "share of its limit that Redis uses", 1),
    Fault("cache_miss", "share of cache lookups that miss whatever is there", 1),
    Fault("memory_errors", "share of memory operations that fail", 1),
    Fault("graph_down", "1: the graph does not answer", 1),
    Fault("vector_down", "1: the vector index does not answer", 1),
    Fault("vector_latency", "seconds added to every vector search", 60),
    Fault("similarity", "highest similarity that a match of a vector search has", 1),
    Fault("extraction_errors", "share of knowledge extractions that fail", 1),
)


class UnavailableError(Exception):
    """Something that GraphMemory leans on does not answer."""


class OperationError(Exception):
    """An operation went wrong."""


@dataclass(frozen=True)
class Simulation:
    """Shared by all parts. Waits are those of `pause`, so that they end when the application stops."""

    faults: Faults
    pause: Pause
    rng: random.Random
    tracing: Tracing

    def require(self, fault: str, name: str) -> None:
        """UnavailableError while the fault is on."""
        if self.faults.value(fault):
            raise UnavailableError(f"{name} does not answer: connection refused")

    async def work(self, mean: float, most: float = 1.0) -> None:
        """A wait of about `mean` seconds, rarely much longer, never above `most`."""
        await self.pause(min(most, self.rng.expovariate(1 / mean)))
