"""What GraphMemory keeps is bounded, and what is removed leaves nothing behind."""

import asyncio
import random

import pytest

from instrument.tracing import Tracing
from workloads.faults import Faults
from workloads.graphmemory.extraction import entities
from workloads.graphmemory.graph import Graph
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.postgres import Postgres
from workloads.graphmemory.redis import IDLE_BYTES, KEYS, Redis
from workloads.graphmemory.simulation import FAULTS, Simulation
from workloads.graphmemory.vectors import VectorIndex
from workloads.pause import Pause


@pytest.fixture(name="simulation")
def _simulation() -> Simulation:
    rng = random.Random(1)
    return Simulation(Faults(FAULTS, rng), Pause(0), rng, Tracing("test", None))


@pytest.fixture(name="metrics")
def _metrics() -> GraphMemoryMetrics:
    return GraphMemoryMetrics([], keep=0)


def test_oldest_node_makes_room_and_takes_its_edges_with_it(
    simulation: Simulation, metrics: GraphMemoryMetrics
) -> None:
    async def work() -> list[str] | None:
        graph = Graph(simulation, metrics, kept=3)
        for name in ("a", "b", "c"):
            await graph.add_node("file", name)
        await graph.add_node("person", "a")
        for source, target in (("a", "b"), ("b", "c"), ("a", "b")):
            assert await graph.add_edge("mentions", source, target)
        assert graph.edges()["mentions"] == 2
        assert await graph.traverse("a", 2) == ["b", "c"]
        assert await graph.traverse("a", 1) == ["b"]
        await graph.add_node("concept", "d")
        assert graph.nodes() == {"memory": 0, "function": 0, "file": 2, "person": 0, "concept": 1}
        assert graph.edges()["mentions"] == 1
        assert await graph.traverse("a", 2) is None
        graph.remove("c")
        graph.remove("nothing")
        assert graph.edges()["mentions"] == 0
        return await graph.traverse("b", 2)

    assert asyncio.run(work()) == []


def test_edge_from_a_node_to_itself_goes_with_it(simulation: Simulation, metrics: GraphMemoryMetrics) -> None:
    async def work() -> None:
        graph = Graph(simulation, metrics)
        await graph.add_node("file", "a")
        await graph.add_edge("relates_to", "a", "a")
        assert graph.edges()["relates_to"] == 1
        graph.remove("a")
        assert graph.edges()["relates_to"] == 0

    asyncio.run(work())


def test_oldest_text_leaves_the_vector_index(simulation: Simulation, metrics: GraphMemoryMetrics) -> None:
    async def work() -> None:
        vectors = VectorIndex(simulation, metrics, kept=2)
        for key, text in ((1, "one"), (2, "two"), (3, "three two")):
            vectors.put("notes", key, text)
        assert await vectors.search("notes", "two") == [(2, 1.0), (3, pytest.approx(0.5**0.5))]
        assert await vectors.search("notes", "one") == []
        vectors.remove(2)
        assert [key for key, _ in await vectors.search("notes", "two")] == [3]
        assert await vectors.search("code", "two") == []

    asyncio.run(work())


def test_newest_rows_are_kept(simulation: Simulation, metrics: GraphMemoryMetrics) -> None:
    async def work() -> None:
        postgres = Postgres(simulation, metrics)
        for number in range(5):
            await postgres.insert_memory("notes", f"text {number}")
            await postgres.sign_in(f"user {number}")
        await postgres.prune(kept=2)
        found = [await postgres.get_memory(number) for number in range(1, 6)]
        assert [memory["text"] for memory in found if memory] == ["text 3", "text 4"]
        assert [await postgres.sign_in(f"user {number}") for number in (0, 4)] == [1, 2]
        await postgres.close()

    asyncio.run(work())


def test_memory_of_redis_goes_down_again(simulation: Simulation) -> None:
    async def work() -> None:
        redis = Redis(simulation)
        for number in range(KEYS + 10):
            await redis.set(str(number), "x" * 50, 60)
        assert redis.memory_used == IDLE_BYTES + KEYS * 150
        for number in range(KEYS + 10):
            await redis.delete(str(number))
        assert redis.memory_used == IDLE_BYTES

    asyncio.run(work())


def test_value_in_redis_ends(simulation: Simulation) -> None:
    async def work() -> None:
        redis = Redis(simulation)
        await redis.set("short", "x", 0)
        await redis.set("long", "x", 60)
        assert (await redis.get("short"), await redis.get("long")) == (None, "x")

    asyncio.run(work())


def test_entities_have_the_kind_of_what_they_look_like() -> None:
    text = "Ana moved parse() from parser.py to indexing, as Bo said"
    assert entities(text) == {
        "Ana": "person",
        "Bo": "person",
        "parse()": "function",
        "parser.py": "file",
        "indexing": "concept",
    }
