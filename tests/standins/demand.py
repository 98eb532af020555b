"""Programs of the toolchain that only stand-ins need."""

import sys
from collections.abc import Sequence

from rich.console import Console

from toolchain.install import install
from toolchain.programs import Absent, ProgramMissing


def require(names: Sequence[str]) -> None:
    """Install the products that are absent, from the main thread alone. ProgramMissing says why one cannot be had."""
    for found in install(names, Console(file=sys.stderr, soft_wrap=True, highlight=False)):
        if isinstance(found, Absent):
            raise ProgramMissing(f"{found.product}: {found.reason}")
