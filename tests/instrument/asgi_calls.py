"""Calls an ASGI application as a server would, without one."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from instrument import Metrics
from instrument.asgi import ASGIApp

Message = MutableMapping[str, Any]
# Long enough for whoever waits to be stuck for good.
FOREVER = 3600
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def scope(method: str, path: str, **more: Any) -> dict[str, Any]:
    headers: list[tuple[bytes, bytes]] = []
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, **more}


async def call(
    app: ASGIApp, method: str, path: str, *, said: Sequence[Message] = (), **more: Any
) -> list[MutableMapping[str, Any]]:
    """The messages of the answer. The client says `said`, and then nothing more."""
    answer: list[MutableMapping[str, Any]] = []
    waiting = iter(said)

    async def receive() -> Message:
        for message in waiting:
            return message
        return await asyncio.sleep(FOREVER, {})

    async def send(message: Message) -> None:
        answer.append(message)

    await app(scope(method, path, **more), receive, send)
    return answer


def get(app: ASGIApp, *paths: str, method: str = "GET", **more: Any) -> list[int]:
    """The statuses of these requests."""

    async def ask() -> list[int]:
        return [(await call(app, method, path, **more))[0]["status"] for path in paths]

    return asyncio.run(ask())


def families(metrics: Metrics) -> list[Metric]:
    """What is exposed, as Prometheus reads it."""
    text = metrics.exposition(OPEN_METRICS)[0].decode()
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def counted(metrics: Metrics, name: str = "http_requests_total") -> dict[tuple[str, ...], float]:
    """The samples of this name that are not 0, by their label values in the order of their names."""
    samples = [sample for family in families(metrics) for sample in family.samples if sample.name == name]
    return {_values(sample.labels): sample.value for sample in samples if sample.value}


def series(metrics: Metrics, name: str = "http_requests_total") -> set[tuple[str, ...]]:
    """The label values of all series of this name, in the order of their names."""
    return {_values(sample.labels) for family in families(metrics) for sample in family.samples if sample.name == name}


def growth(work: Callable[[], object]) -> int:
    """Bytes in use after the work beyond those before it."""
    tracemalloc.start()
    try:
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def _values(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for _, value in sorted(labels.items()))
