"""What a benchmark says."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Result:
    """`ours` and `theirs` are the medians of interleaved runs; where there is no other side, `limit` is absolute."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    unit: str
    limit: float

    @property
    def value(self) -> float:
        """The ratio of the medians, or the median itself."""
        return median(self.ours) / median(self.theirs) if self.theirs else median(self.ours)

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def spread(self, runs: tuple[float, ...]) -> str:
        return f"{median(runs):.2f} {self.unit} ({min(runs):.2f} to {max(runs):.2f}, {len(runs)} runs)" if runs else "-"


def of_pairs(name: str, pairs: Sequence[tuple[float, float]], limit: float, unit: str = "s") -> Result:
    """The result of rounds in which ours and theirs were measured in turn."""
    ours, theirs = zip(*pairs, strict=True)
    return Result(name=name, ours=ours, theirs=theirs, unit=unit, limit=limit)
