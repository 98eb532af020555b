"""Runs the alert bridge of GraphMemory: Alertmanager's webhook -> alerts -> groups -> escalation -> channels.

    python -m workloads.graphmemory.bridge --listen http=127.0.0.1:18001 --secrets secrets --escalation 900 1800 3600

The bearer token of the webhook is the secret `graphmemory-bridge`; without it anybody may send alerts. The channels
are simulated: what they send is in the log. It goes wrong on demand: `GET /_sim/faults` lists how.
"""

import argparse
import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from instrument.asgi import Exposition
from instrument.bridge import LEVELS, Bridge
from instrument.bridge.correlation import ESCALATION, Correlator, Event
from instrument.health import Check, Health
from instrument.metrics import Metrics
from instrument.timestamps import timestamp
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.body import refusal
from workloads.faults import Fault, Faults
from workloads.graphmemory.process import begin, check_ports
from workloads.pause import Pause
from workloads.serve import serve

SERVICE = "graphmemory-bridge"
VERSION = "1.0.0"
SECRET = "graphmemory-bridge"  # noqa: S105 - the name of the secret
FAULTS = (
    Fault("notify_errors", "share of notifications that fail; while it is on there is an alert to tell of", 1),
    Fault("bridge_stall", "1: alerts are not taken, and their sender is kept waiting", 1),
    Fault("escalate_after", "seconds to the first escalation, twice as many to the second, and so on", 3600),
)
TICK_EVERY = 1.0
# Alertmanager gives up after some time as well; until then it sends nothing else to the bridge.
STALL = 10.0

_LOG = logging.getLogger("graphmemory.bridge")


class GraphMemoryBridge:
    """The bridge and its channels. `app` is the ASGI application, `escalation` in seconds since a group opened.

    `pace` stretches simulated waits (0: none), `every` is the time between two looks at what is due.
    """

    def __init__(
        self,
        seed: int,
        *,
        pace: float = 1.0,
        every: float = TICK_EVERY,
        token: str | None = None,
        escalation: Sequence[float] = ESCALATION,
        tracing: Tracing | None = None,
    ) -> None:
        tracing = tracing or Tracing(SERVICE, None)
        self._rng = random.Random(seed)
        self._pause = Pause(pace)
        self._every = every
        self.faults = Faults(FAULTS, self._rng)
        # Of its HTTP requests nothing is counted: those metrics are the API's, and rules sum over all jobs.
        metrics = Metrics("graphmemory_", exemplar=tracing.exemplar)
        tracing.report_to(metrics)
        self._bridge = Bridge(
            metrics,
            {"email": self._email, "slack": self._slack},
            token=token,
            correlator=_Escalating(self.faults, tuple(escalation)),
        )
        health = Health(None, [Check("webhook", self._takes_alerts)], version=VERSION)
        self.app = Starlette(
            routes=[
                *self._bridge.routes(),
                *health.routes(),
                Route("/metrics", Exposition(metrics)),
                *self.faults.routes(),
            ],
            middleware=[Middleware(tracing.asgi), Middleware(self._stalling)],
            exception_handlers={HTTPException: refusal},
            lifespan=self._lifespan,
        )

    def stop(self) -> None:
        """Let requests under way end at once."""
        self.faults.clear()
        self._pause.stop()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._bridge.run(self._every), self._give_occasion())]
            yield
            for task in tasks:
                task.cancel()

    async def _give_occasion(self) -> None:
        """An alert of its own while `notify_errors` is on: with nothing to tell, nothing could fail."""
        firing = False
        while True:
            if firing != bool(self.faults.value("notify_errors")):
                firing = not firing
                await self._bridge.handle(_occasion("firing" if firing else "resolved"))
            await asyncio.sleep(self._every)

    async def _email(self, event: Event) -> None:
        await self._send("email", "smtp answered 451", event)

    async def _slack(self, event: Event) -> None:
        await self._send("slack", "webhook answered 500", event)

    async def _send(self, channel: str, failure: str, event: Event) -> None:
        await self._pause(self._rng.uniform(0.02, 0.1))
        if self.faults.strikes("notify_errors"):
            raise ConnectionError(failure)
        group = {key: event.group[key] for key in ("id", "system", "component", "severity")}
        about = {"channel": channel, "kind": event.kind, "escalation": event.level, "group": group}
        _LOG.info("notification sent", extra=about)

    def _takes_alerts(self) -> None:
        if self.faults.value("bridge_stall"):
            raise ConnectionError("alerts are not taken")

    def _stalling(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware: does not answer the webhook while `bridge_stall` is on, and refuses it in the end."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/alerts" and self.faults.value("bridge_stall"):
                await self._pause(STALL)
                await JSONResponse({"error": "stalled"}, 503)(scope, receive, send)
                return
            await app(scope, receive, send)

        return answer


class _Escalating(Correlator):
    """Escalates as configured, or as the fault `escalate_after` says."""

    def __init__(self, faults: Faults, escalation: tuple[float, ...]) -> None:
        super().__init__(escalation=escalation)
        self._configured = escalation
        self._faults = faults

    def tick(self, now: float) -> list[Event]:
        first = self._faults.value("escalate_after")
        self._escalation = tuple(first * 2**level for level in range(len(LEVELS))) if first else self._configured
        return super().tick(now)


def _occasion(status: str) -> dict[str, object]:
    """What Alertmanager would send of such an alert."""
    now = timestamp()
    alert = {
        "status": status,
        "labels": {
            "alertname": "GraphMemoryNotificationTest",
            "severity": "info",
            "system": "graphmemory",
            "component": "notification-test",
        },
        "annotations": {"summary": "The fault notify_errors is on."},
        "startsAt": now,
        "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": "notification-test",
    }
    return {"version": "4", "alerts": [alert]}


def main() -> None:
    asked = parse("workloads.graphmemory.bridge", _escalation)
    check_ports(asked, ("http",))
    tracing = begin(SERVICE, asked)
    token = asked.secret(SECRET)
    if token is None:
        _LOG.warning("no secret: anybody may send alerts", extra={"secret": SECRET})
    bridge = GraphMemoryBridge(asked.seed, token=token, escalation=asked.extra.escalation, tracing=tracing)
    try:
        serve({asked.listen["http"]: bridge.app}, stopping=bridge.stop)
    finally:
        tracing.close()


def _escalation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--escalation",
        type=float,
        nargs=len(LEVELS),
        default=list(ESCALATION),
        metavar="SECONDS",
        help="from the opening of a group to each escalation",
    )


if __name__ == "__main__":
    main()
