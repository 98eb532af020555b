"""Where a local environment lives."""

from pathlib import Path

from toolchain import programs
from toolchain.versions import table

ROOT = Path(__file__).resolve().parents[2]


def home(environment: str) -> Path:
    """The directory of an environment on this machine, inside the clone and ignored by git."""
    return ROOT / ".watchstack" / "run" / environment


def missing(target: str) -> dict[str, str]:
    """The optional products that cannot be had, with the reason: on this machine, or there as an image."""
    optional = [name for name, product in table().items() if product.optional]
    wanted = [name for name in optional if target == "local" or table()[name].image is None]
    found = {name: programs.find(name) for name in wanted}
    return {name: result.reason for name, result in found.items() if isinstance(result, programs.Absent)}
