"""The vector index: texts as bags of words, and the ones nearest to a question."""

import heapq
import math
import re
import time
from collections import Counter

from workloads.graphmemory.metrics import INDEXES, GraphMemoryMetrics
from workloads.graphmemory.simulation import Simulation

KEPT = 500
NEAREST = 5

_WORD = re.compile(r"\w+")

Vector = dict[str, float]


class VectorIndex:
    """At most `kept` texts an index: the oldest makes room."""

    def __init__(self, simulation: Simulation, metrics: GraphMemoryMetrics, kept: int = KEPT) -> None:
        self._sim = simulation
        self._vectors = metrics.vectors
        self._kept = kept
        self._indexes: dict[str, dict[int, Vector]] = {index: {} for index in INDEXES}

    async def ping(self) -> None:
        """Prove that it answers."""
        self._sim.require("vector_down", "the vector index")

    def put(self, index: str, key: int, text: str) -> None:
        """Add a text, or replace it."""
        texts = self._indexes[index]
        texts[key] = vector(text)
        if len(texts) > self._kept:
            del texts[next(iter(texts))]

    def remove(self, key: int) -> None:
        """Forget a text, in whichever index it is."""
        for texts in self._indexes.values():
            texts.pop(key, None)

    async def search(self, index: str, text: str) -> list[tuple[int, float]]:
        """The nearest texts and how near each is, from 0 to 1; UnavailableError while the index is down."""
        started = time.perf_counter()
        with self._sim.tracing.span("vector search", index=index):
            await self._sim.work(0.01, most=0.1)
            await self._sim.pause(self._sim.faults.value("vector_latency"))
            await self.ping()
            matches = self._nearest(index, vector(text))
            best = matches[0][1] if matches else 0.0
            self._vectors.searched(index, time.perf_counter() - started, best)
        return matches

    def _nearest(self, index: str, asked: Vector) -> list[tuple[int, float]]:
        near = ((key, similarity(asked, text)) for key, text in self._indexes[index].items())
        matches = heapq.nlargest(NEAREST, (match for match in near if match[1]), key=lambda match: match[1])
        most = self._sim.faults.value("similarity") or 1.0
        return [(key, min(score, most)) for key, score in matches]


def vector(text: str) -> Vector:
    """Word counts of a text, scaled to length 1."""
    counts = Counter(_WORD.findall(text.lower()))
    length = math.sqrt(sum(count * count for count in counts.values()))
    return {word: count / length for word, count in counts.items()}


def similarity(one: Vector, other: Vector) -> float:
    """Cosine of the angle: 1 for the same words, 0 for none in common."""
    return min(1.0, sum(weight * other[word] for word, weight in one.items() if word in other))
