"""Alerts of one cause as one group: opened, escalated while nobody answers, resolved.

Knows nothing of HTTP, clocks or channels: each call says what time it is, and returns what has happened.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from instrument.bridge.webhook import RESOLVED, Alert
from instrument.timestamps import timestamp

# The alert that always fires, as proof that alerts arrive.
HEARTBEAT = "Watchdog"

# Seconds that a group stays unacknowledged before each level of escalation.
ESCALATION = (900.0, 1800.0, 3600.0)

Kind = Literal["opened", "worsened", "escalated", "resolved"]

# Best first; anything unknown is taken for a warning.
_SEVERITIES = ("none", "info", "warning", "critical")

_LOG = logging.getLogger(__name__)


@dataclass
class _Member:
    alert: Alert
    seen: float


@dataclass
class Group:
    """Alerts of one system and component. Times are Unix times; `level` counts escalations."""

    id: str
    system: str
    component: str
    opened: float
    latest: float
    level: int = 0
    acknowledged: float | None = None
    resolved: float | None = None
    members: dict[str, _Member] = field(default_factory=dict)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(member.alert for member in self.members.values())

    @property
    def severity(self) -> str:
        """The worst of all alerts that the group has had."""
        worst = max((_rank(alert.severity) for alert in self.alerts), default=0)
        return _SEVERITIES[worst]

    def event(self, kind: Kind) -> Event:
        return Event(kind, self.level, self.body())

    def body(self) -> dict[str, object]:
        """The group as JSON values."""
        return {
            "id": self.id,
            "system": self.system,
            "component": self.component,
            "state": "resolved" if self.resolved is not None else "open",
            "severity": self.severity,
            "level": self.level,
            "opened": timestamp(self.opened),
            "acknowledged": _moment(self.acknowledged),
            "resolved": _moment(self.resolved),
            "alerts": [alert.body() for alert in self.alerts],
        }


@dataclass(frozen=True)
class Event:
    """Something to tell about a group: its state at that time, as JSON values."""

    kind: Kind
    level: int
    group: Mapping[str, object]


class Correlator:
    """All groups.

    An alert joins the open group of its system and component whose newest alert came at most `window` seconds ago.
    One that Alertmanager has not repeated for `stale` seconds counts as resolved. Open groups hold at most `limit`
    alerts: more are not taken until there is room. `remembered` resolved groups are kept.
    """

    def __init__(
        self,
        *,
        window: float = 300.0,
        escalation: tuple[float, ...] = ESCALATION,
        stale: float = 4 * 3600.0,
        limit: int = 5000,
        remembered: int = 100,
    ) -> None:
        self._window = window
        self._escalation = escalation
        self._stale = stale
        self._limit = limit
        self._numbers = itertools.count(1)
        self._open: dict[str, Group] = {}
        self._resolved: deque[Group] = deque(maxlen=remembered)
        # The open group of each alert that is in one.
        self._home: dict[str, Group] = {}

    @property
    def open(self) -> tuple[Group, ...]:
        return tuple(self._open.values())

    @property
    def resolved(self) -> tuple[Group, ...]:
        return tuple(self._resolved)

    def receive(self, alerts: Iterable[Alert], now: float) -> list[Event]:
        """Take alerts as Alertmanager sends them: again and again, firing or resolved."""
        events: list[Event] = []
        for alert in alerts:
            if alert.name != HEARTBEAT:
                events += self._fired(alert, now) if alert.firing else self._ended(alert, now)
        return events

    def tick(self, now: float) -> list[Event]:
        """Let time pass: escalate, and let go of alerts that are not repeated any more."""
        events: list[Event] = []
        for group in self.open:
            for member in tuple(group.members.values()):
                if member.alert.firing and now - member.seen >= self._stale:
                    events += self._ended(replace(member.alert, status=RESOLVED), now)
            if group.resolved is None:
                events += self._escalated(group, now)
        return events

    def acknowledge(self, group_id: str, now: float) -> Group | None:
        """Somebody is at it: no more escalation. None if there is no such open group."""
        group = self._open.get(group_id)
        if group and group.acknowledged is None:
            group.acknowledged = now
        return group

    def _fired(self, alert: Alert, now: float) -> Iterator[Event]:
        group = self._home.get(alert.id)
        if group is None and len(self._home) >= self._limit:
            _LOG.warning("no room for alert %s: %s are open", alert.name, self._limit)
            return
        group = group or self._near(alert, now) or self._new(alert, now)
        before = group.severity if group.members else None
        known = group.members.get(alert.id)
        if known is None or not known.alert.firing:
            group.latest = now
        group.members[alert.id] = _Member(alert, now)
        self._home[alert.id] = group
        if before is None:
            yield group.event("opened")
        elif _rank(group.severity) > _rank(before):
            yield group.event("worsened")

    def _near(self, alert: Alert, now: float) -> Group | None:
        """The group that the alert belongs to, newest first."""
        for group in reversed(self._open.values()):
            if (group.system, group.component) == (alert.system, alert.component):
                return group if now - group.latest <= self._window else None
        return None

    def _new(self, alert: Alert, now: float) -> Group:
        group = Group(str(next(self._numbers)), alert.system, alert.component, opened=now, latest=now)
        self._open[group.id] = group
        return group

    def _ended(self, alert: Alert, now: float) -> Iterator[Event]:
        group = self._home.get(alert.id)
        if group is None:
            return
        group.members[alert.id] = _Member(alert, now)
        if any(each.firing for each in group.alerts):
            return
        group.resolved = now
        del self._open[group.id]
        for name in group.members:
            del self._home[name]
        self._resolved.append(group)
        yield group.event("resolved")

    def _escalated(self, group: Group, now: float) -> Iterator[Event]:
        while (
            group.acknowledged is None
            and group.level < len(self._escalation)
            and now - group.opened >= self._escalation[group.level]
        ):
            group.level += 1
            yield group.event("escalated")


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else _SEVERITIES.index("warning")


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
