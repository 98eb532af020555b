"""Knowledge extraction: the entities that a text mentions, as nodes of the graph."""

import logging
import re

from workloads.graphmemory.graph import Graph
from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.simulation import OperationError, Simulation, UnavailableError

# One in so many texts is beyond it whatever happens.
HOPELESS = 0.01

_KINDS = (
    ("function", re.compile(r"\b\w+\(\)")),
    ("file", re.compile(r"\b\w+\.[a-z]{1,4}\b")),
    ("person", re.compile(r"\b[A-Z][a-z]+\b")),
    ("concept", re.compile(r"\b[a-z]{7,}\b(?![.(])")),
)
_LOG = logging.getLogger("graphmemory.knowledge")


class Extractor:
    """Reads texts after their request was answered: a failure is counted and logged, and nobody waits for it."""

    def __init__(self, simulation: Simulation, metrics: GraphMemoryMetrics, graph: Graph) -> None:
        self._sim = simulation
        self._metrics = metrics
        self._graph = graph

    async def run(self, source: str, name: str, text: str) -> None:
        """Find the entities of a text, and connect the node `name` with them."""
        try:
            with self._metrics.extractions.attempt(source=source), self._sim.tracing.span("extraction", source=source):
                found = await self._extract(name, text)
        except (OperationError, UnavailableError) as problem:
            _LOG.error("knowledge not extracted", extra={"source": source, "error": str(problem)})
            return
        _LOG.info("knowledge extracted", extra={"source": source, "entities": found})

    async def _extract(self, name: str, text: str) -> int:
        await self._sim.pause(min(5.0, self._sim.rng.lognormvariate(-1.0, 0.5)))
        if self._sim.faults.strikes("extraction_errors") or self._sim.rng.random() < HOPELESS:
            raise OperationError("the model gave no answer that can be read")
        await self._graph.add_node("memory", name)
        found = entities(text)
        for entity, kind in found.items():
            await self._graph.add_node(kind, entity)
            await self._graph.add_edge("mentions", name, entity)
            self._metrics.entities.inc(kind=kind)
        return len(found)


def entities(text: str) -> dict[str, str]:
    """What a text mentions, with its kind."""
    return {name: kind for kind, pattern in reversed(_KINDS) for name in pattern.findall(text)}
