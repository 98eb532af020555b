"""What both processes of GraphMemory begin with: logs and traces."""

import sys
from collections.abc import Sequence

from instrument import logs
from instrument.tracing import Tracing
from workloads.arguments import Arguments
from workloads.loggers import LOGGERS


def check_ports(asked: Arguments, names: Sequence[str]) -> None:
    """End the program unless it was given its first port, and none that it does not have."""
    known = ", ".join(names)
    if unknown := sorted(asked.listen.keys() - set(names)):
        sys.exit(f"--listen {unknown[0]}: there is no such port; there are {known}")
    if names[0] not in asked.listen:
        sys.exit(f"--listen {names[0]}=HOST:PORT is missing")


def begin(service: str, asked: Arguments) -> Tracing:
    """Set up the logging of this process; its tracing, to close at the end."""
    logs.configure(service, file=asked.log_file, loggers=LOGGERS)
    return Tracing(service, asked.otlp, ratio=asked.ratio, resource={"system": "graphmemory"})
