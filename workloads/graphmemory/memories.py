"""Memories: kept in PostgreSQL, cached in Redis, found by the vector index, connected in the graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workloads.graphmemory.graph import Graph
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.postgres import Memory, Postgres
from workloads.graphmemory.redis import RedisCache
from workloads.graphmemory.simulation import OperationError, Simulation
from workloads.graphmemory.vectors import VectorIndex

MEMORY_SECONDS = 60
SEARCH_SECONDS = 30


class Memories:
    """Each method is one counted and timed operation; OperationError for those that `memory_errors` hits."""

    def __init__(
        self,
        simulation: Simulation,
        metrics: GraphMemoryMetrics,
        postgres: Postgres,
        cache: RedisCache,
        graph: Graph,
        vectors: VectorIndex,
    ) -> None:
        self._sim = simulation
        self._operations = metrics.memory
        self._postgres = postgres
        self._cache = cache
        self._graph = graph
        self._vectors = vectors

    async def create(self, index: str, text: str) -> Memory:
        with self._operation("create"):
            memory = await self._postgres.insert_memory(index, text)
            await self._graph.add_node("memory", node(memory["memory_id"]))
            await self._keep(memory)
            return memory

    async def read(self, memory_id: int) -> Memory | None:
        """None if there is none."""
        with self._operation("read"):
            memory: Memory | None = await self._cache.lookup("memory", str(memory_id))
            if memory is None and (memory := await self._postgres.get_memory(memory_id)):
                await self._cache.store("memory", str(memory_id), memory, MEMORY_SECONDS)
            return memory

    async def update(self, memory_id: int, text: str) -> Memory | None:
        """None if there is none."""
        with self._operation("update"):
            memory = await self._postgres.update_memory(memory_id, text)
            if memory:
                await self._keep(memory)
            return memory

    async def delete(self, memory_id: int) -> bool:
        """False if there is none."""
        with self._operation("delete"):
            deleted = await self._postgres.delete_memory(memory_id)
            self._vectors.remove(memory_id)
            self._graph.remove(node(memory_id))
            await self._cache.drop("memory", str(memory_id))
            return deleted

    async def search(self, index: str, text: str) -> list[dict[str, Any]]:
        """The memories of an index that are nearest to a text, and how near each is."""
        with self._operation("search"):
            found: list[dict[str, Any]] | None = await self._cache.lookup("search", f"{index}:{text}")
            if found is None:
                matches = await self._vectors.search(index, text)
                found = [{"memory_id": key, "similarity": round(score, 3)} for key, score in matches]
                await self._cache.store("search", f"{index}:{text}", found, SEARCH_SECONDS)
            return found

    async def _keep(self, memory: Memory) -> None:
        self._vectors.put(memory["index"], memory["memory_id"], memory["text"])
        await self._cache.store("memory", str(memory["memory_id"]), memory, MEMORY_SECONDS)

    @contextmanager
    def _operation(self, operation: str) -> Iterator[None]:
        with self._operations.attempt(operation=operation), self._sim.tracing.span(f"memory {operation}"):
            if self._sim.faults.strikes("memory_errors"):
                raise OperationError("injected by the fault memory_errors")
            yield


def node(memory_id: int) -> str:
    """The name of a memory in the graph."""
    return f"memory-{memory_id}"
