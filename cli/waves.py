"""Which drills can run side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps import Drill
from rules import Alert
from stacks.units import seconds


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An alert, and how it is raised."""

    alert: Alert
    drill: Drill

    @property
    def alone(self) -> bool:
        """An outage silences its whole system, and a stopped process takes more than its own alert with it."""
        return self.drill.alone or self.drill.stop is not None or self.alert.labels.get("impact") == "outage"

    @property
    def critical(self) -> bool:
        return self.alert.labels.get("severity") == "critical"

    @property
    def part(self) -> tuple[str, str]:
        """Within it alerts inhibit each other."""
        return self.alert.labels.get("system", ""), self.alert.labels.get("component", "")


def waves(planned: Sequence[Planned]) -> list[list[Planned]]:
    """The drills in waves, each of drills that do not get in each other's way.

    Never two of one component, and critical ones apart from the others: what such a fault brings with it could inhibit
    a warning. Those that wait long share a wave, and begin.
    """
    made: list[list[Planned]] = []
    for one in sorted(planned, key=lambda p: (p.alone, -seconds(p.alert.wait), p.alert.address)):
        wave = next((wave for wave in made if _fits(one, wave)), None)
        if wave is None:
            made.append([one])
        else:
            wave.append(one)
    return made


def _fits(one: Planned, wave: Sequence[Planned]) -> bool:
    return not any(
        one.alone or other.alone or one.critical != other.critical or one.part == other.part for other in wave
    )
