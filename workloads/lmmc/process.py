"""What the three processes of LMMC have in common: how they log and trace."""

from instrument.logs import Logger, configure
from instrument.metrics import Metrics
from instrument.tracing import Tracing
from workloads.arguments import Arguments
from workloads.loggers import LOGGERS

SYSTEM = "lmmc"
# It logs every connection.
_LOGGERS = {**LOGGERS, "websockets": Logger(level="WARNING", propagate=True)}


def tracing_of(service: str, asked: Arguments) -> Tracing:
    """Traces of a process, sent where its arguments say."""
    return Tracing(service, asked.otlp, ratio=asked.ratio, resource={"system": SYSTEM})


def report(service: str, asked: Arguments, tracing: Tracing, metrics: Metrics) -> None:
    """Set up logging; what cannot be logged or traced counts in these metrics."""
    configure(service, file=asked.log_file, loggers=_LOGGERS, metrics=metrics)
    tracing.report_to(metrics)
