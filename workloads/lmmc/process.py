"""What the three processes of LMMC have in common: how they log and trace."""

from instrument.logs import Logger, configure
from instrument.metrics import Metrics
from instrument.tracing import Tracing
from workloads.arguments import Arguments

SYSTEM = "lmmc"
_LOGGERS = {
    # They log every request that they send, and every connection.
    "httpx": Logger(level="WARNING", propagate=True),
    "websockets": Logger(level="WARNING", propagate=True),
    # A port that is taken must be visible to whoever started the program.
    "uvicorn": Logger(sinks=("errors",), propagate=True),
}


def tracing_of(service: str, asked: Arguments) -> Tracing:
    """Traces of a process, sent where its arguments say."""
    return Tracing(service, asked.otlp, ratio=asked.ratio, resource={"system": SYSTEM})


def report(service: str, asked: Arguments, tracing: Tracing, metrics: Metrics) -> None:
    """Set up logging; what cannot be logged or traced counts in these metrics."""
    configure(service, file=asked.log_file, loggers=_LOGGERS, metrics=metrics)
    tracing.report_to(metrics)
