"""Alertmanager's webhook -> alerts -> groups -> escalation -> notifications, counted at each step.

bridge = Bridge(metrics, {"chat": tell}, token=token)
app = Starlette(routes=bridge.routes())       # and `bridge.run()` beside it
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from instrument.bridge.channels import Channel, Channels
from instrument.bridge.correlation import Correlator, Event
from instrument.bridge.webhook import Alert, parse
from instrument.metrics import OTHER, Metrics

if TYPE_CHECKING:
    from starlette.routing import Route

SEVERITIES = ("critical", "warning", "info", "none", OTHER)
LEVELS = ("1", "2", "3")
STATES = ("open", "resolved")


class Bridge:
    """Takes Alertmanager's alerts. Without `token` anybody may send them; `clock` gives Unix time."""

    def __init__(
        self,
        metrics: Metrics,
        channels: Mapping[str, Channel],
        *,
        token: str | None = None,
        correlator: Correlator | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._clock = clock
        self._correlator = correlator or Correlator()
        self._channels = Channels(metrics, channels)
        self._received = metrics.counter("alerts_received_total", "Alerts received.", severity=SEVERITIES)
        self._escalations = metrics.counter("alert_escalations_total", "Groups escalated.", level=LEVELS)
        self._groups = metrics.gauge("alert_correlation_groups", "Groups of alerts.", state=STATES)
        self._success = metrics.gauge(
            "alert_bridge_last_success_timestamp_seconds",
            "When the last batch was handled, Unix time; at first the start.",
        )
        # A bridge that has just started is not one that has handled nothing since 1970.
        self._success.set(self._clock())

    async def handle(self, payload: object) -> tuple[Alert, ...]:
        """Take one batch of the webhook, all of it or, with BadPayload, nothing."""
        alerts = parse(payload)
        for alert in alerts:
            self._received.inc(severity=alert.severity)
        await self._tell(self._correlator.receive(alerts, self._clock()))
        self._success.set(self._clock())
        return alerts

    async def tick(self) -> None:
        """Escalate what nobody has answered, and try again what could not be delivered."""
        await self._tell(self._correlator.tick(self._clock()))

    async def run(self, every: float = 5.0) -> None:
        """Tick for ever, `every` so many seconds."""
        while True:
            await self.tick()
            await asyncio.sleep(every)

    def alerts(self) -> list[dict[str, object]]:
        """Alerts that fire, as JSON values, each with the id of its group."""
        return [
            alert.body() | {"group": group.id}
            for group in self._correlator.open
            for alert in group.alerts
            if alert.firing
        ]

    def groups(self) -> list[dict[str, object]]:
        """Open groups, then the last resolved ones, as JSON values."""
        return [group.body() for group in (*self._correlator.open, *self._correlator.resolved)]

    def acknowledge(self, group_id: str) -> dict[str, object] | None:
        """Stop the escalation of an open group; None if there is none of this id."""
        group = self._correlator.acknowledge(group_id, self._clock())
        return group.body() if group else None

    def routes(self) -> list[Route]:
        """For Starlette: `POST /alerts`, `GET /alerts`, `GET /groups`, `POST /groups/{id}/ack`."""
        from instrument.bridge import routes as bridge_routes  # noqa: PLC0415 - Starlette is optional

        return bridge_routes.routes(self, self._token)

    async def _tell(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "escalated":
                self._escalations.inc(level=event.level)
        self._groups.set(len(self._correlator.open), state="open")
        self._groups.set(len(self._correlator.resolved), state="resolved")
        self._channels.add(events)
        await self._channels.deliver()
