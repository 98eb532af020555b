"""What the Boss Workflow application leans on, simulated: Redis, the AI service and Discord."""

import json
import logging
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from instrument.families import RateLimits
from instrument.tracing import Tracing
from workloads.boss_workflow.metrics import BossMetrics
from workloads.faults import Faults
from workloads.pause import Pause

LIMIT = 70
WINDOW = 10
NEAR = 0.8
KEYS = 1000

_LOG = logging.getLogger("boss")


class ServiceError(Exception):
    """A call of a service failed."""


@dataclass(frozen=True)
class Simulation:
    """What every simulated part works with."""

    metrics: BossMetrics
    tracing: Tracing
    faults: Faults
    pause: Pause
    rng: random.Random

    def report(self, kind: str, severity: str, message: str, **fields: Any) -> None:
        """Count an error and log it; `kind` and `severity` are label values of `errors_total`."""
        self.metrics.errors.count(kind, severity)
        _LOG.error(message, extra={"type": kind, "severity": severity, **fields})


class Redis:
    """A key-value server in this process. Every operation takes its time, and can fail."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def get(self, key: str) -> str | None:
        async with self._operation("get"):
            return self._live(key)

    async def set(self, key: str, value: str, seconds: float) -> None:
        async with self._operation("set"):
            self._keep(key, time.monotonic() + seconds, value)

    async def increment(self, key: str, seconds: float) -> int:
        """Add one to a number; it ends after `seconds` from the first time."""
        async with self._operation("increment"):
            value = self._live(key)
            until = self._values[key][0] if value else time.monotonic() + seconds
            self._keep(key, until, str(int(value or 0) + 1))
            return int(value or 0) + 1

    async def ping(self) -> None:
        async with self._operation("ping"):
            pass

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[None]:
        with self._sim.metrics.redis(name):
            await self._sim.pause(min(0.02, self._sim.rng.expovariate(1 / 0.0008)))
            if self._sim.faults.strikes("redis_down"):
                self._sim.report(
                    "redis", "warning", "Redis does not answer", operation=name, error="connection refused"
                )
                raise ServiceError(f"Redis does not answer ({name})")
        yield

    def _live(self, key: str) -> str | None:
        until, value = self._values.get(key, (0.0, ""))
        return value if time.monotonic() < until else None

    def _keep(self, key: str, until: float, value: str) -> None:
        self._values[key] = (until, value)
        self._values.move_to_end(key)
        if len(self._values) > KEYS:
            self._values.popitem(last=False)


class Cache:
    """JSON values in Redis. Without Redis there is no cache, and no error."""

    def __init__(self, redis: Redis, simulation: Simulation) -> None:
        self._redis = redis
        self._sim = simulation

    async def lookup(self, operation: str, key: str) -> Any | None:
        """The value, or None."""
        try:
            value = await self._redis.get(key)
        except ServiceError:
            self._sim.metrics.cache.error(operation)
            return None
        if value is None or self._sim.faults.strikes("cache_miss"):
            self._sim.metrics.cache.miss(operation)
            return None
        self._sim.metrics.cache.hit(operation)
        return json.loads(value)

    async def store(self, key: str, value: Any, seconds: float) -> None:
        """Keep a value for a time, if Redis takes it."""
        try:
            await self._redis.set(key, json.dumps(value), seconds)
        except ServiceError:
            _LOG.warning("value not cached", extra={"key": key})


class RateLimiter:
    """At most `limit` requests of a client in a window of `WINDOW` seconds."""

    def __init__(self, redis: Redis, metrics: BossMetrics, endpoints: Sequence[str], limit: int = LIMIT) -> None:
        self._redis = redis
        self._limit = limit
        self._counts: dict[int, dict[str, int]] = {}
        self.limits = RateLimits(metrics, endpoints, self._near)

    async def admits(self, client: str, endpoint: str) -> bool:
        """Count a request. Without Redis every client is admitted."""
        window = int(time.time() // WINDOW)
        try:
            count = await self._redis.increment(f"rate:{window}:{client}", WINDOW)
        except ServiceError:
            return True
        if window not in self._counts:
            self._counts = {window: {}, window - 1: self._counts.get(window - 1, {})}
        self._counts[window][client] = count
        if count > self._limit:
            self.limits.rejected(endpoint)
        return count <= self._limit

    def _near(self) -> int:
        """Clients above 80 % of the limit, in this window or the one before; called in another thread."""
        now, windows = int(time.time() // WINDOW), self._counts
        counts = [count for window in (now, now - 1) for count in list(windows.get(window, {}).items())]
        return len({client for client, count in counts if count > NEAR * self._limit})


class Ai:
    """The AI service: slow, and wrong now and then."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    async def ask(self, operation: str, text: str) -> str:
        """An answer; ServiceError when the call fails."""
        with (
            self._sim.tracing.span(f"ai {operation}", kind="client", operation=operation),
            self._sim.metrics.ai.attempt(operation=operation),
        ):
            await self._sim.pause(min(20.0, self._sim.rng.lognormvariate(-1.0, 0.5)))
            if self._sim.faults.strikes("ai_errors") or self._sim.rng.random() < 0.01:
                raise ServiceError("the model is overloaded")
        return f"{operation} of {len(text.split())} words"


class Discord:
    """Messages to Discord, which go nowhere."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    async def send(self, channel: str, text: str) -> None:
        """Send a message; a failure is counted and logged, and nobody waits for it."""
        try:
            with (
                self._sim.tracing.span("discord send", kind="client", channel=channel),
                self._sim.metrics.discord.sending(channel),
            ):
                await self._sim.pause(self._sim.rng.uniform(0.05, 0.15))
                if self._sim.faults.strikes("discord_errors"):
                    raise ServiceError("webhook answered 500")
        except ServiceError as problem:
            self._sim.report("discord", "warning", "Discord message not sent", channel=channel, error=str(problem))
            return
        _LOG.info("Discord message sent", extra={"channel": channel, "text": text})
