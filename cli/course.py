"""The course of one drill: pending, firing, delivered, resolved. It is told what is seen, and asks nobody itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cli import attempts
from cli.attempts import Count, Key
from cli.channels import Channel, Status, told
from cli.waves import Planned
from stacks import routes

Phase = Literal["pending", "firing", "delivered", "resolved", "ended"]
PHASES: tuple[Phase, ...] = ("pending", "firing", "delivered", "resolved", "ended")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is seen at one moment, on any clock in seconds.

    `states` are those that Prometheus tells, by system and alert; `held` the alerts of Alertmanager, `counts` its
    attempts, `notifications` what the capture receiver got since the wave began.
    """

    at: float
    states: Mapping[tuple[str, str], str]
    held: Sequence[dict[str, Any]]
    counts: Mapping[Key, Count]
    notifications: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds that each phase may take."""

    pending: float
    firing: float
    delivered: float
    resolved: float


@dataclass(kw_only=True)
class Course:
    """`seconds` holds when each phase was reached: since the fault, and of `resolved` since its end."""

    planned: Planned
    channels: Sequence[Channel]
    limits: Limits
    began: float
    before: Mapping[Key, Count]
    phase: Phase = "pending"
    seconds: dict[str, float] = field(default_factory=dict)
    inhibited: str = ""
    problem: str = ""
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.began

    @property
    def key(self) -> tuple[str, str]:
        return self.planned.alert.labels.get("system", ""), self.planned.alert.name

    @property
    def needs_fault(self) -> bool:
        return self.phase in ("pending", "firing", "delivered")

    @property
    def passed(self) -> bool:
        return self.phase == "ended" and not self.problem

    def see(self, sight: Sight) -> None:
        """Go on as far as what is seen allows, or end with a problem when it has taken too long."""
        reached: dict[Phase, Callable[[Sight], str]] = {
            "pending": self._pending,
            "firing": self._firing,
            "delivered": self._delivered,
            "resolved": self._resolved,
        }
        while self.phase != "ended":
            lacking = reached[self.phase](sight)
            if lacking:
                self._hurry(sight, lacking)
                return
            self._next(sight)

    def fail(self, problem: str) -> None:
        self.problem, self.phase = problem, "ended"

    def _next(self, sight: Sight) -> None:
        start = self._since if self.phase == "resolved" else self.began
        if not (self.phase == "delivered" and self.inhibited):
            self.seconds[self.phase] = round(sight.at - start, 1)
        self.phase = PHASES[PHASES.index(self.phase) + 1]
        self._since = sight.at

    def _hurry(self, sight: Sight, lacking: str) -> None:
        limit: float = getattr(self.limits, self.phase)
        if sight.at - self._since > limit:
            self.fail(f"not {self.phase} after {sight.at - self._since:.0f} s: {lacking}")

    def _pending(self, sight: Sight) -> str:
        return "" if self.key in sight.states else "the condition does not hold in Prometheus"

    def _firing(self, sight: Sight) -> str:
        state = sight.states.get(self.key)
        return "" if state == "firing" else f"Prometheus says {state or 'inactive'}"

    def _delivered(self, sight: Sight) -> str:
        mine = self._mine(sight)
        if lacking := [one.name for one in self.channels if not self._told(one, "firing", sight)]:
            held = {attempts.held_back(one, list(sight.held)) for one in mine}
            if mine and all(held):
                self.inhibited = "; ".join(sorted(held))
                return ""
            return f"{', '.join(lacking)} not told" if mine else "Alertmanager does not hold it"
        return self._misrouted(mine)

    def _misrouted(self, mine: Sequence[dict[str, Any]]) -> str:
        expected = {one.receiver for one in self.channels}
        found = {name for one in mine for name in attempts.receivers(one)} - {routes.DELIVERED}
        # A receiver without a channel of its own here, such as one that the drill itself has stopped, may be beside.
        lacking = expected - found if mine else set()
        return f"Alertmanager does not route it to {', '.join(sorted(lacking))}" if lacking else ""

    def _resolved(self, sight: Sight) -> str:
        if self.key in sight.states:
            return f"Prometheus still says {sight.states[self.key]}"
        if self.inhibited:
            return ""
        lacking = [one.name for one in self.channels if one.resolved and not self._told(one, "resolved", sight)]
        return f"{', '.join(lacking)} not told that it is over" if lacking else ""

    def _told(self, channel: Channel, status: Status, sight: Sight) -> bool:
        if channel.path is not None:
            return told(channel, self.planned.alert, status, sight.notifications)
        # Nothing shows what arrived there: Alertmanager's word for it, for the second notification as for the first.
        key = channel.receiver, channel.integration
        tried = sight.counts.get(key, Count()).since(self.before.get(key, Count()))
        return tried.delivered >= (1 if status == "firing" else 2)

    def _mine(self, sight: Sight) -> list[dict[str, Any]]:
        wanted = {"system": self.key[0], "alertname": self.key[1]}
        return [one for one in sight.held if wanted.items() <= one["labels"].items()]
