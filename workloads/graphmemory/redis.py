"""The Redis of GraphMemory, simulated: values with an end, its own statistics, and the caches in it."""

import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from workloads.graphmemory.metrics import GraphMemoryMetrics
from workloads.graphmemory.simulation import Simulation, UnavailableError

KEYS = 500
MEMORY_LIMIT = 64 * 1024 * 1024
# What an empty server uses.
IDLE_BYTES = 6 * 1024 * 1024
# A key costs about so many bytes beside its value.
KEY_BYTES = 100


@dataclass
class RedisStatistics:
    """Totals since the start, as the server counts them."""

    hits: int = 0
    misses: int = 0
    commands: int = 0
    evicted: int = 0


class Redis:
    """A key-value server in this process. Above `KEYS` values it evicts the one that was set longest ago."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._bytes = IDLE_BYTES
        self.statistics = RedisStatistics()

    @property
    def up(self) -> bool:
        return not self._sim.faults.value("redis_down")

    @property
    def memory_used(self) -> int:
        """Bytes."""
        share = self._sim.faults.value("redis_memory")
        return int(share * MEMORY_LIMIT) if share else self._bytes

    async def get(self, key: str) -> str | None:
        async with self._command():
            until, value = self._values.get(key, (0.0, ""))
            if time.monotonic() < until and not self._sim.faults.strikes("cache_miss"):
                self.statistics.hits += 1
                return value
            self.statistics.misses += 1
            return None

    async def set(self, key: str, value: str, seconds: float) -> None:
        async with self._command():
            self._drop(key)
            self._values[key] = (time.monotonic() + seconds, value)
            self._bytes += KEY_BYTES + len(value)
            if len(self._values) > KEYS:
                self._drop(next(iter(self._values)))
                self.statistics.evicted += 1

    async def delete(self, key: str) -> None:
        async with self._command():
            self._drop(key)

    async def ping(self) -> None:
        async with self._command():
            pass

    @asynccontextmanager
    async def _command(self) -> AsyncIterator[None]:
        await self._sim.work(0.0008, most=0.02)
        self._sim.require("redis_down", "Redis")
        self.statistics.commands += 1
        yield

    def _drop(self, key: str) -> None:
        if entry := self._values.pop(key, None):
            self._bytes -= KEY_BYTES + len(entry[1])


class RedisCache:
    """JSON values in Redis. Without Redis there is no cache, and no error."""

    def __init__(self, redis: Redis, metrics: GraphMemoryMetrics) -> None:
        self._redis = redis
        self._cache = metrics.cache

    async def lookup(self, cache: str, key: str) -> Any | None:
        """The value, or None."""
        try:
            value = await self._redis.get(f"{cache}:{key}")
        except UnavailableError:
            self._cache.error(cache)
            return None
        if value is None:
            self._cache.miss(cache)
            return None
        self._cache.hit(cache)
        return json.loads(value)

    async def store(self, cache: str, key: str, value: Any, seconds: float) -> None:
        """Keep a value for a time, if Redis takes it."""
        try:
            await self._redis.set(f"{cache}:{key}", json.dumps(value), seconds)
        except UnavailableError:
            self._cache.error(cache)

    async def drop(self, cache: str, key: str) -> None:
        """Forget a value, if Redis does."""
        try:
            await self._redis.delete(f"{cache}:{key}")
        except UnavailableError:
            self._cache.error(cache)
