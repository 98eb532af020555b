"""The disk can hold what the volumes may grow to."""

import shutil
from pathlib import Path

from stacks.plan import Plan
from stacks.targets.home import home
from stacks.units import size_text

_MEGABYTE = 2**20


def check(plan: Plan, _tree: Path) -> list[str]:
    if plan.ground.target != "local":
        return []
    place = home(plan.settings.environment)
    volumes = [(service.name, volume) for service in plan.services for volume in service.volumes]
    needed = sum(volume.size for _, volume in volumes)
    used = sum(_size(place / name / volume.path) for name, volume in volumes)
    there = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed <= used + free:
        return []
    sizes = ", ".join(f"{name} {size_text(volume.size)}" for name, volume in volumes)
    have = f"{there} has {_megabytes(used + free)} for them"
    remedy = "lower watchstack:prometheus.volume or watchstack:loki.volume, or free space"
    return [f"the volumes may grow to {_megabytes(needed)} ({sizes}), and {have}; {remedy}"]


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _megabytes(count: int) -> str:
    return f"{count // _MEGABYTE} MB"
