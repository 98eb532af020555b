"""What to watch of an application: requests, errors, durations, and how full it is, as far as it exposes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scaffold.exposition import Exposed

# The usual names of the label with the status of an answer, the most telling first.
STATUS = ("status", "status_code", "code", "http_status", "http_status_code", "http_response_status_code")

_IN_FLIGHT = re.compile(r"requests?_?(in_?flight|in_?progress|active)|(in_?flight|in_?progress|active)_?requests?")
_DURATION = re.compile(r"(request|response|server).*(duration|latency|time).*_seconds$|(duration|latency)_seconds$")


@dataclass(frozen=True, kw_only=True)
class Signals:
    """None where there is no such metric. `status` is the label of `requests` with the status."""

    requests: Exposed | None
    status: str
    duration: Exposed | None
    in_flight: Exposed | None
    files: bool
    memory: bool
    processor: bool

    @property
    def failed(self) -> str:
        """The value of the label for a server error, as the application writes such values."""
        written = self.requests.labels[self.status] if self.requests else ()
        return "5xx" if any(value.endswith("xx") for value in written) else "500"


def of(found: Sequence[Exposed]) -> Signals:
    """The metrics to watch; of several that fit, that of requests, and the histogram with the finest buckets."""
    names = {metric.name for metric in found}
    counters = [metric for metric in found if metric.type == "counter" and {*metric.labels} & {*STATUS}]
    requests = min(counters, key=lambda metric: ("requests" not in metric.name, len(metric.name)), default=None)
    timed = [metric for metric in found if metric.type == "histogram" and _DURATION.search(metric.name)]
    gauges = [metric for metric in found if metric.type == "gauge" and _IN_FLIGHT.search(metric.name)]
    return Signals(
        requests=requests,
        status=next((label for label in STATUS if requests and label in requests.labels), ""),
        duration=max(timed, key=lambda metric: len(metric.buckets), default=None),
        in_flight=min(gauges, key=lambda metric: len(metric.name), default=None),
        files={"process_open_fds", "process_max_fds"} <= names,
        memory="process_resident_memory_bytes" in names,
        processor="process_cpu_seconds_total" in names,
    )
