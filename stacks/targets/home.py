"""Where a local environment lives."""

from pathlib import Path

from toolchain import programs
from toolchain.versions import table

ROOT = Path(__file__).resolve().parents[2]


def home(environment: str) -> Path:
    """The directory of an environment on this machine, inside the clone and ignored by git."""
    return ROOT / ".watchstack" / "run" / environment


def missing() -> dict[str, str]:
    """The optional products that this machine does not have, with the reason."""
    found = {name: programs.find(name) for name, product in table().items() if product.optional}
    return {name: result.reason for name, result in found.items() if isinstance(result, programs.Absent)}
