"""Instrumentation for Python applications: metrics, health, logs and traces as Watchstack's dashboards expect them.

Installs with prometheus-client alone. See README.md.
"""

from instrument.metrics import FAST, SLOW, Counter, Gauge, Histogram, Metrics

__all__ = ["FAST", "SLOW", "Counter", "Gauge", "Histogram", "Metrics"]
__version__ = "1.0.0"
