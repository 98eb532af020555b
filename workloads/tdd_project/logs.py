"""The loggers of the application: which of them lets through what, and where to."""

from pathlib import Path

from instrument import logs
from instrument.logs import Logger
from workloads.tdd_project.metrics import TddMetrics

LOGGERS = {
    "streamlit_extension": Logger("DEBUG", ("console", "file", "metrics")),
    "duration_system": Logger("DEBUG", ("console", "file")),
}


def configure(service: str, metrics: TddMetrics, file: Path | None) -> None:
    """Plain text of INFO and above to standard output, JSON lines to `file`, WARNING and above counted."""
    logs.configure(
        service,
        file=file,
        level="WARNING",
        sinks=("console", "file"),
        console="plain",
        console_level="INFO",
        file_level="DEBUG",
        loggers=LOGGERS,
        metrics=metrics,
        counter=metrics.log_messages,
    )
