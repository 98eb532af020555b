"""What the users of the application do, for the load generator."""

import random
from collections import deque
from dataclasses import dataclass

import httpx

from workloads.load import Call
from workloads.tdd_project.metrics import PHASES
from workloads.tdd_project.store import DONE, STATES

BACKLOG = 20
FAILING = 0.08

_ACTIONS = {
    "write": 40,
    "read": 26,
    "list": 12,
    "history": 10,
    "summary": 10,
    "missing": 1,
    "unmatched": 1,
}
# Minutes of a phase at half of the time, as the median of a lognormal distribution.
_MINUTES = {"red": 4.0, "green": 7.0, "refactor": 5.0}
_TITLES = (
    "Reject an empty basket",
    "Round the tax to cents",
    "Sort by due date",
    "Keep the time zone",
    "Report a broken upload",
)


@dataclass(frozen=True)
class _Open:
    cycle_id: int
    phase: str


class TddTraffic:
    """Makes up calls: a seeded mix in which cycles are started, read, and led through their phases."""

    def __init__(self) -> None:
        self._open: deque[_Open] = deque(maxlen=10 * BACKLOG)
        self._recent: deque[int] = deque(maxlen=100)

    def __call__(self, rng: random.Random) -> Call:
        (action,) = rng.choices(tuple(_ACTIONS), tuple(_ACTIONS.values()))
        if action == "write":
            return self._write(rng)
        cycle_id = rng.choice(self._recent) if self._recent else 1
        paths = {
            "read": f"/api/cycles/{cycle_id}",
            "list": f"/api/cycles?phase={rng.choice(STATES)}",
            "history": f"/api/cycles/{cycle_id}/phases",
            "summary": "/api/summary",
            "missing": "/api/cycles/999999999",
            "unmatched": f"/old/{rng.randrange(1000)}",
        }
        return Call("GET", paths[action])

    def _write(self, rng: random.Random) -> Call:
        """Mostly ends the phase of the oldest open cycle; starts a cycle when few are open."""
        if len(self._open) < BACKLOG or rng.random() < 0.2:
            return Call("POST", "/api/cycles", {"title": rng.choice(_TITLES)}, answered=self._started)
        cycle = self._open.popleft()
        outcome = "failure" if rng.random() < FAILING else "success"

        def ended(response: httpx.Response) -> None:
            self._keep(_Open(cycle.cycle_id, response.json()["phase"]) if response.is_success else cycle)

        body = {"outcome": outcome, "seconds": round(_seconds(rng, cycle.phase), 1)}
        return Call("POST", f"/api/cycles/{cycle.cycle_id}/phases", body, answered=ended)

    def _started(self, response: httpx.Response) -> None:
        if response.is_success:
            cycle = response.json()
            self._recent.append(cycle["cycle_id"])
            self._keep(_Open(cycle["cycle_id"], PHASES[0]))

    def _keep(self, cycle: _Open) -> None:
        if cycle.phase != DONE:
            self._open.append(cycle)


def _seconds(rng: random.Random, phase: str) -> float:
    return min(7200.0, 60 * _MINUTES[phase] * rng.lognormvariate(0, 0.8))
