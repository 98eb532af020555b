"""Health: named checks in parallel, as JSON for people and load balancers, and as a gauge read at each scrape.

health = Health(metrics, [Check("database", ping), Check("cache", look, critical=False)], version="1.4.0")
app = Starlette(routes=[*health.routes(), ...])
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from instrument import readings
from instrument.health.probes import Asked, Probe, in_loop
from instrument.metrics import Metrics
from instrument.timestamps import timestamp

if TYPE_CHECKING:
    from starlette.routing import Route

HEALTHY = "healthy"
DEGRADED = "degraded"
UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Check:
    """A dependency to ask. Any exception of `probe` is a failure, its text the message; `timeout` in seconds.

    `probe` is a coroutine function, or a plain one, which runs in a thread. The failure of a check that is not
    critical makes the application degraded only.
    """

    name: str
    probe: Probe
    critical: bool = True
    timeout: float = 4.0


@dataclass(frozen=True)
class Result:
    """How one check went; `message` is empty when it is healthy."""

    message: str
    duration_ms: float

    @property
    def status(self) -> str:
        return UNHEALTHY if self.message else HEALTHY

    def body(self) -> dict[str, object]:
        message = {"message": self.message} if self.message else {}
        return {"status": self.status, **message, "duration_ms": self.duration_ms}


@dataclass(frozen=True)
class Report:
    """How all checks went."""

    status: str
    version: str
    timestamp: str
    checks: Mapping[str, Result] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The status of the HTTP answer: 200 as long as the application can serve."""
        return 503 if self.status == UNHEALTHY else 200

    def body(self) -> dict[str, object]:
        """The answer as JSON values."""
        checks = {name: result.body() for name, result in self.checks.items()}
        return {"status": self.status, "version": self.version, "timestamp": self.timestamp, "checks": checks}


class Health:
    """The checks of an application.

    `gauge` is the name of a metric (1 healthy, 0 not) by `label`, read at each scrape; None or no `metrics`: none.
    """

    def __init__(
        self,
        metrics: Metrics | None,
        checks: Sequence[Check],
        *,
        version: str,
        gauge: str | None = "health_check_status",
        label: str = "check",
    ) -> None:
        self._checks = {check.name: check for check in checks}
        if len(self._checks) < len(checks):
            raise ValueError("two health checks have the same name")
        self._asked = {check.name: Asked(check.probe) for check in checks}
        self._version = version
        self._loop: asyncio.AbstractEventLoop | None = None
        if metrics and gauge:
            slow = [check.name for check in checks if check.timeout >= readings.TIMEOUT]
            if slow:
                raise ValueError(f"time-out of {', '.join(slow)}: a scrape waits for {readings.TIMEOUT:g} s only")
            names: Any = {label: tuple(self._checks)}
            metrics.read(gauge, "Health checks: 1 healthy, 0 not.", self._values, **names)

    async def report(self, *names: str) -> Report:
        """Run these checks, or all, in parallel."""
        checks = [self._checks[name] for name in names or self._checks]
        results = await asyncio.gather(*(self._run(check) for check in checks))
        failed = [check for check, result in zip(checks, results, strict=True) if result.message]
        status = UNHEALTHY if any(check.critical for check in failed) else DEGRADED if failed else HEALTHY
        by_name = {check.name: result for check, result in zip(checks, results, strict=True)}
        return Report(status, self._version, timestamp(), by_name)

    def report_now(self, *names: str) -> Report:
        """The same for code without a loop, such as Flask or Streamlit. RuntimeError in the thread of a loop."""
        if in_loop():
            raise RuntimeError("report_now blocks the event loop: await report instead")
        loop = self._loop
        if loop and loop.is_running():
            longest = max((check.timeout for check in self._checks.values()), default=0.0)
            return asyncio.run_coroutine_threadsafe(self.report(*names), loop).result(longest + 1)
        return asyncio.run(self.report(*names))

    def live(self) -> Report:
        """That the process answers. Runs no check: a restart does not mend a dependency."""
        return Report(HEALTHY, self._version, timestamp())

    def routes(self) -> list[Route]:
        """For Starlette: `/health`, `/health/live`, and `/health/ready` with the critical checks alone."""
        from instrument.health import routes as health_routes  # noqa: PLC0415 - Starlette is optional

        return health_routes.routes(self)

    @property
    def critical(self) -> tuple[str, ...]:
        """The names of the critical checks."""
        return tuple(check.name for check in self._checks.values() if check.critical)

    def bind(self) -> None:
        """Have asynchronous probes run on the present loop, which the clients that they use belong to."""
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.get_running_loop()

    def _values(self) -> dict[str, float]:
        report = self.report_now()
        return {name: float(result.status == HEALTHY) for name, result in report.checks.items()}

    async def _run(self, check: Check) -> Result:
        started = time.perf_counter()
        message = await self._asked[check.name].outcome(check.timeout)
        return Result(message, round(1000 * (time.perf_counter() - started), 3))
