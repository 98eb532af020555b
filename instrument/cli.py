"""Metrics of programs that end: a file for node-exporter's textfile collector, or an endpoint while they run.

commands = Commands(metrics, ("import", "export"))
with commands.run("import"):
    ...
write_textfile(metrics, Path("/var/lib/node-exporter/shop.prom"))
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from instrument.families import OUTCOMES, Operations
from instrument.httpd import Server
from instrument.metrics import SLOW, Metrics

PORT = 9081


class Commands:
    """Runs of commands by outcome, their time, and when each ran last. `statuses` are those of success and failure."""

    def __init__(
        self,
        metrics: Metrics,
        names: Sequence[str],
        *,
        statuses: Sequence[str] = OUTCOMES,
        total: str = "cli_commands_total",
        duration: str = "cli_command_duration_seconds",
        last: str = "cli_last_run_timestamp_seconds",
    ) -> None:
        labels = {"command": names}
        self._runs = Operations(
            metrics, total, duration, labels=labels, meaning="Commands run", buckets=SLOW, outcomes=statuses
        )
        self._last = metrics.gauge(last, "When the command ran last, Unix time.", **labels)

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """Count and time the block. An exception is a failure, leaving with status 0 is none; both pass."""
        left: BaseException | None = None
        try:
            with self._runs.attempt(command=name):
                try:
                    yield
                except BaseException as problem:
                    if not _is_success(problem):
                        raise
                    left = problem
        finally:
            self._last.set(time.time(), command=name)
        if left:
            raise left


def write_textfile(metrics: Metrics, path: Path) -> None:
    """Write all metrics to `path`, in one step; a failure is a fault, as the program has done its work."""
    if not metrics.enabled:
        return
    text, _ = metrics.exposition()
    # node-exporter reads every *.prom, so the unfinished file has another suffix.
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as problem:
        metrics.fault("exposition", f"{path.name}: {problem.strerror}")
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as problem:
        metrics.fault("exposition", f"{path.name}: {problem.strerror}")
        with suppress(OSError):
            Path(name).unlink()


def serve(metrics: Metrics, host: str = "127.0.0.1", port: int = PORT) -> Server | None:
    """Answer scrapes in a thread until the program ends or the server is closed. A port that is taken is a fault."""
    if not metrics.enabled:
        return None
    try:
        return Server(metrics, host, port)
    except OSError as problem:
        metrics.fault("exposition", f"{host}:{port}: {problem.strerror}")
        return None


def _is_success(problem: BaseException) -> bool:
    """Leaving on purpose: `sys.exit()` and the like of click and typer."""
    if isinstance(problem, SystemExit):
        return problem.code in (None, 0)
    return getattr(problem, "exit_code", None) == 0
