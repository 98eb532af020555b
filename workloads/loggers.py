"""What the libraries of all simulated applications log, and where."""

from instrument.logs import Logger

LOGGERS = {
    # It logs every request that it sends.
    "httpx": Logger(level="WARNING", propagate=True),
    # A port that is taken must be visible to whoever started the program.
    "uvicorn": Logger(sinks=("errors",), propagate=True),
}
