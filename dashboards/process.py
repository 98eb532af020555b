"""What a process of the platform uses, in the same two panels wherever Go's own metrics are there."""

from dashboards import promql
from dashboards.board import Panel, Query
from dashboards.panels import row, suffix, timeseries
from dashboards.promql import RATE


def process(selector: str) -> tuple[Panel, ...]:
    """Processor and memory of each instance that the selector finds."""
    return (
        row("Process"),
        timeseries(
            "Process CPU",
            Query(expr=promql.rate("process_cpu_seconds_total", selector, ("instance",), RATE), legend="{{instance}}"),
            unit=suffix("cores"),
            description="Cores that each keeps busy.",
        ),
        timeseries(
            "Process memory",
            Query(expr=f"process_resident_memory_bytes{{{selector}}}", legend="{{instance}}"),
            unit="bytes",
            description="Resident memory of each.",
        ),
    )
