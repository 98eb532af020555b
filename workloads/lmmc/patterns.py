"""Pattern detection, simulated: what the tasks of a repository have in common."""

import random
from dataclasses import dataclass

from workloads.faults import Faults
from workloads.lmmc.metrics import PATTERNS, LmmcMetrics

CONFIDENCE = 0.85
SPREAD = 0.07


@dataclass(frozen=True)
class Pattern:
    type: str
    repository: str
    confidence: float


class Detector:
    """Finds a pattern, and with many similar tasks a second one."""

    def __init__(self, metrics: LmmcMetrics, faults: Faults, rng: random.Random) -> None:
        self._metrics = metrics
        self._faults = faults
        self._rng = rng

    def detect(self, repository: str, similar: int) -> list[Pattern]:
        """Patterns of a repository, from so many `similar` tasks."""
        kinds = self._rng.sample(PATTERNS, 2 if similar > 3 else 1)
        return [self._found(kind, repository) for kind in kinds]

    def _found(self, kind: str, repository: str) -> Pattern:
        mean = self._faults.value("confidence") or CONFIDENCE
        confidence = min(1.0, max(0.0, self._rng.gauss(mean, SPREAD)))
        self._metrics.patterns.inc(type=kind, repository=repository)
        self._metrics.confidence.observe(confidence)
        return Pattern(kind, repository, round(confidence, 3))
