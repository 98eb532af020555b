"""What every simulated part works with, and the faults that they can have."""

import random
from dataclasses import dataclass

from instrument.tracing import Tracing
from workloads.faults import Fault, Faults
from workloads.pause import Pause
from workloads.tdd_project.metrics import TddMetrics

FAULTS = (
    Fault("db_connect_errors", "share of connects to the database that fail", 1),
    Fault("db_latency", "seconds added to every query", 60),
    Fault("http_errors", "share of API requests answered with 500", 1),
    Fault("http_latency", "seconds added to every API request", 60),
    Fault("sqlite_corrupt", "1: a page of the database, of a table that nothing uses, is damaged", 1),
)


@dataclass(frozen=True)
class Simulation:
    metrics: TddMetrics
    tracing: Tracing
    faults: Faults
    pause: Pause
    rng: random.Random
