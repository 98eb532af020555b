"""How much Prometheus needs: estimates from its series, their interval and the retention. Sources: docs/sizing.md."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stacks.service import ScrapeJob
from stacks.settings import Settings
from stacks.units import seconds, size_bytes

# Memory: a base, and of a series what the head block holds, doubled for queries and the garbage collector.
BASE_BYTES = 512 * 2**20
SERIES_BYTES = 16 * 2**10
# What the queues to other backends take on top.
SENDING_SHARE = 0.25

# Two processors, or one for so many series.
LEAST_PROCESSORS = 2
SERIES_OF_A_PROCESSOR = 300_000

# Of a sample on the disk, at best and at worst.
LEAST_SAMPLE_BYTES, MOST_SAMPLE_BYTES = 1, 2
# The write-ahead log and the block being made count for nothing in retention.size, so a fifth is left to them.
SAMPLES_SHARE = 0.8

# More is better spread: so many take 62 GB of memory by these figures, and a restart reads the log of all of them.
LARGEST_SERIES = 4_000_000

# Mimir: what so many series in memory take of an ingester, and so many samples a second of a distributor.
MIMIR_COPIES = 3
_INGESTER_SERIES, _INGESTER_MEMORY, _INGESTER_DISK = 300_000, 2.5 * 2**30, 5 * 2**30
_DISTRIBUTOR_SAMPLES, _DISTRIBUTOR_MEMORY = 25_000, 2**30
_MIMIR_SPARE = 1.5


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one Prometheus takes in: series, samples a second, and for how many seconds it keeps them.

    `replicas` do the same, and `sending` is whether each sends it all to another backend too.
    """

    series: int
    samples: float
    retention: float
    replicas: int
    sending: bool = False


@dataclass(frozen=True, kw_only=True)
class Size:
    """Memory and disk in bytes."""

    processors: int
    memory: int
    disk: int

    def times(self, count: int) -> "Size":
        return Size(processors=self.processors * count, memory=self.memory * count, disk=self.disk * count)


def of_jobs(settings: Settings, jobs: Sequence[ScrapeJob]) -> Load:
    """The load of an environment: so many series from each target, each at the interval of its job."""
    wanted = settings.prometheus
    targets = [(len(job.targets), seconds(job.interval or wanted.scrape_interval)) for job in jobs]
    return Load(
        series=sum(count for count, _ in targets) * wanted.series_per_target,
        samples=sum(count / interval for count, interval in targets) * wanted.series_per_target,
        retention=seconds(wanted.retention),
        replicas=wanted.replicas,
        sending=bool(wanted.remote_write or settings.thanos),
    )


def of_series(series: int, interval: str, retention: str, replicas: int) -> Load:
    """The load of so many active series. ValueError for an interval or a retention that is none."""
    return Load(
        series=series,
        samples=series / seconds(interval),
        retention=seconds(retention),
        replicas=replicas,
    )


def memory(load: Load) -> int:
    """What one Prometheus may take."""
    held = BASE_BYTES + load.series * SERIES_BYTES
    return held + (int(held * SENDING_SHARE) if load.sending else 0)


def processors(load: Load) -> int:
    return max(LEAST_PROCESSORS, math.ceil(load.series / SERIES_OF_A_PROCESSOR))


def kept(load: Load, sample_bytes: float = MOST_SAMPLE_BYTES) -> int:
    """The bytes of all samples that one Prometheus keeps."""
    return math.ceil(load.samples * load.retention * sample_bytes)


def room(volume: str) -> int:
    """The share of a volume that samples may fill, in whole megabytes."""
    return int(size_bytes(volume) * SAMPLES_SHARE) // 2**20 * 2**20


def needed(load: Load) -> Size:
    """Of one Prometheus."""
    disk = math.ceil(kept(load) / SAMPLES_SHARE)
    return Size(processors=processors(load), memory=memory(load), disk=disk)


def shards(load: Load) -> int:
    """Into how many parts the targets have to be divided."""
    return max(1, math.ceil(load.series / LARGEST_SERIES))


def shard(load: Load) -> Load:
    """What each part takes in. Several are seen as one only in a backend that all of them send to."""
    parts = shards(load)
    return Load(
        series=math.ceil(load.series / parts),
        samples=load.samples / parts,
        retention=load.retention,
        replicas=load.replicas,
        sending=load.sending or parts > 1,
    )


def mimir(load: Load) -> Size:
    """Of the ingesters and distributors of a Mimir that takes the samples of all replicas; queries come on top."""
    ingesters = load.series * MIMIR_COPIES / _INGESTER_SERIES
    distributors = load.samples * load.replicas / _DISTRIBUTOR_SAMPLES
    return Size(
        processors=math.ceil(ingesters + distributors),
        memory=math.ceil((ingesters * _INGESTER_MEMORY + distributors * _DISTRIBUTOR_MEMORY) * _MIMIR_SPARE),
        disk=math.ceil(ingesters * _INGESTER_DISK * _MIMIR_SPARE),
    )


def advice(load: Load) -> tuple[str, ...]:
    """What to do with so much, in sentences."""
    found = []
    if load.replicas == 1:
        found.append("One Prometheus is one that may fail: with `replicas: 2` another one goes on.")
    if (parts := shards(load)) == 1:
        found.append("One Prometheus holds it all.")
    else:
        found.append(
            f"Too much for one Prometheus. Divide the targets among {parts} environments of at most "
            f"{LARGEST_SERIES:,} series each, and let all of them send to one backend with `remote_write`, "
            "where they are seen together."
        )
    return tuple(found)
