"""The knowledge graph: nodes, edges, and walks along them."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workloads.graphmemory.metrics import EDGE_KINDS, NODE_KINDS, GraphMemoryMetrics
from workloads.graphmemory.simulation import Simulation

KEPT = 2000
PAGE = 50
DEEPEST = 3


@dataclass
class Node:
    name: str
    kind: str
    # (kind of the edge, name of the other node), by both ends.
    edges: set[tuple[str, str]] = field(default_factory=set)


class Graph:
    """At most `kept` nodes: the oldest makes room, with its edges. A name occurs once."""

    def __init__(self, simulation: Simulation, metrics: GraphMemoryMetrics, kept: int = KEPT) -> None:
        self._sim = simulation
        self._operations = metrics.graph
        self._kept = kept
        self._nodes: dict[str, Node] = {}
        self._kinds: Counter[str] = Counter()
        self._edge_kinds: Counter[str] = Counter()
        metrics.read("graph_nodes", "Nodes of the graph.", self.nodes, kind=NODE_KINDS)
        metrics.read("graph_edges", "Edges of the graph.", self.edges, kind=EDGE_KINDS)

    async def ping(self) -> None:
        """Prove that it answers."""
        self._sim.require("graph_down", "the graph")

    async def add_node(self, kind: str, name: str) -> None:
        """Add a node; one that is there already stays as it is."""
        with self._operation("add_node"):
            await self._answer()
            if name not in self._nodes:
                self._nodes[name] = Node(name, kind)
                self._kinds[kind] += 1
            if len(self._nodes) > self._kept:
                self._remove(next(iter(self._nodes)))

    async def add_edge(self, kind: str, source: str, target: str) -> bool:
        """Connect two nodes; False if one of them is not there."""
        with self._operation("add_edge"):
            await self._answer()
            if source not in self._nodes or target not in self._nodes:
                return False
            if (kind, target) not in self._nodes[source].edges:
                self._nodes[source].edges.add((kind, target))
                self._nodes[target].edges.add((kind, source))
                self._edge_kinds[kind] += 1
            return True

    async def traverse(self, name: str, depth: int) -> list[str] | None:
        """Names within `depth` edges, nearest first, at most `PAGE`; None if there is no such node."""
        with self._operation("traverse"):
            await self._answer()
            return self._walk(name, depth) if name in self._nodes else None

    async def query(self, kind: str) -> list[str]:
        """The newest nodes of a kind."""
        with self._operation("query"):
            await self._answer()
            names = (node.name for node in reversed(self._nodes.values()) if node.kind == kind)
            return [name for name, _ in zip(names, range(PAGE), strict=False)]

    def remove(self, name: str) -> None:
        """Forget a node, if it is there."""
        if name in self._nodes:
            self._remove(name)

    def nodes(self) -> dict[str, float]:
        """Their number by kind."""
        return {kind: self._kinds[kind] for kind in NODE_KINDS}

    def edges(self) -> dict[str, float]:
        """Their number by kind."""
        return {kind: self._edge_kinds[kind] for kind in EDGE_KINDS}

    def _walk(self, name: str, depth: int) -> list[str]:
        found = {name: 0}
        queue = deque([name])
        while queue and len(found) <= PAGE:
            here = queue.popleft()
            if found[here] == depth:
                break
            for _, there in sorted(self._nodes[here].edges):
                if there not in found:
                    found[there] = found[here] + 1
                    queue.append(there)
        return list(found)[1 : PAGE + 1]

    def _remove(self, name: str) -> None:
        node = self._nodes.pop(name)
        self._kinds[node.kind] -= 1
        for kind, other in node.edges:
            self._edge_kinds[kind] -= 1
            if other in self._nodes:
                self._nodes[other].edges.discard((kind, name))

    @contextmanager
    def _operation(self, operation: str) -> Iterator[None]:
        with self._operations.attempt(operation=operation), self._sim.tracing.span(f"graph {operation}"):
            yield

    async def _answer(self) -> None:
        await self._sim.work(0.004, most=0.05)
        await self.ping()
