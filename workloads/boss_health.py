"""Health of the Boss Workflow application: named checks in parallel, as JSON and as a gauge."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workloads.boss_metrics import BossMetrics
from workloads.boss_services import ServiceError
from workloads.logs import timestamp
from workloads.pool import PoolTimeoutError

VERSION = "1.0.0"
TIMEOUT = 4.0

Probe = Callable[[], Awaitable[None]]


class Health:
    """`critical` checks make the application unhealthy when they fail, the others degraded."""

    def __init__(self, metrics: BossMetrics, probes: Mapping[str, Probe], critical: tuple[str, ...]) -> None:
        self._metrics = metrics
        self._probes = probes
        self._critical = critical

    async def report(self, *names: str) -> dict[str, Any]:
        """Run these checks, or all, and say how they went."""
        names = names or tuple(self._probes)
        results = await asyncio.gather(*(self._check(name) for name in names))
        checks = dict(zip(names, results, strict=True))
        failed = {name for name, check in checks.items() if check["status"] != "healthy"}
        status = "unhealthy" if failed & set(self._critical) else "degraded" if failed else "healthy"
        return {"status": status, "version": VERSION, "timestamp": timestamp(), "checks": checks}

    async def _check(self, name: str) -> dict[str, Any]:
        started = time.perf_counter()
        message = ""
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._probes[name]()
        except TimeoutError:
            message = f"no answer in {TIMEOUT:g} s"
        except (PoolTimeoutError, ServiceError) as problem:
            message = str(problem)
        self._metrics.health.labels(name).set(not message)
        duration = round(1000 * (time.perf_counter() - started), 3)
        status = {"status": "unhealthy", "message": message} if message else {"status": "healthy"}
        return status | {"duration_ms": duration}
