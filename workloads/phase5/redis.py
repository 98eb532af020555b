"""The Redis of Phase 5: tasks that were read are kept for a time."""

import json
import time
from collections import OrderedDict

from workloads.phase5.simulation import Simulation
from workloads.phase5.store import Task

SECONDS = 10
KEYS = 500
# What an empty server takes.
EMPTY = 1_000_000


class Redis:
    """A key-value server in this process. Every command counts, and is a span of the trace."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self.commands = 0

    @property
    def memory(self) -> int:
        """Bytes used."""
        return EMPTY + sum(len(key) + len(text) for key, (_, text) in self._values.items())

    async def get(self, key: str) -> Task | None:
        """A task that is still kept."""
        await self._command("GET")
        until, text = self._values.get(key, (0.0, ""))
        task: Task | None = json.loads(text) if time.monotonic() < until else None
        return task

    async def set(self, key: str, task: Task) -> None:
        """Keep a task; beyond `KEYS` the oldest goes."""
        await self._command("SET")
        self._values[key] = time.monotonic() + SECONDS, json.dumps(task)
        self._values.move_to_end(key)
        if len(self._values) > KEYS:
            self._values.popitem(last=False)

    async def delete(self, key: str) -> None:
        await self._command("DEL")
        self._values.pop(key, None)

    async def _command(self, name: str) -> None:
        self.commands += 1
        with self._sim.database_span("redis", name):
            await self._sim.pause(min(0.02, self._sim.rng.expovariate(1 / 0.0005)))
