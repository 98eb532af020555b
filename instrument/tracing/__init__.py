"""Traces by OpenTelemetry, sent to a collector by OTLP over HTTP; no-op when off.

tracing = Tracing("shop", "http://otel-collector:4318", ratio=0.1, resource={"system": "shop"})
metrics = Metrics("shop_", exemplar=tracing.exemplar)
tracing.report_to(metrics)
app = tracing.asgi(Starlette(...))
with tracing.span("take order", kind="producer", channel="web"):
    send(order, headers=tracing.headers())
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from instrument.metrics import Metrics
from instrument.tracing.asgi import Traced
from instrument.tracing.spans import ids

if TYPE_CHECKING:
    from instrument.asgi import ASGIApp
    from instrument.tracing.export import Pipeline

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attribute = str | bool | int | float

# Requests that would be nothing but noise among the traces.
UNTRACED = ("/metrics", "/health", "/_sim/")

_LOG = logging.getLogger(__name__)


class Span:
    """The span of a block; without tracing, nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, **attributes: Attribute) -> None:
        """Say more about what happens."""
        if self._span:
            self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        if self._span:
            self._span.update_name(name)

    def fail(self, why: str | None = None) -> None:
        """Mark it as an error, where no exception says so."""
        if self._span:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - OpenTelemetry is optional

            self._span.set_status(StatusCode.ERROR, why)


class Tracing:
    """Traces of a service. `otlp` is the collector's base URL; None, or no OpenTelemetry: off.

    A trace that comes from elsewhere is kept as its sender decided; of the others `ratio` (0 to 1) are kept.
    `resource` is said of every span, beside `service.name`.
    """

    def __init__(
        self, service: str, otlp: str | None, *, ratio: float = 1.0, resource: Mapping[str, str] | None = None
    ) -> None:
        self._pipeline: Pipeline | None = None
        if otlp is None:
            return
        try:
            from instrument.tracing.export import Pipeline  # noqa: PLC0415 - OpenTelemetry is optional
        except ImportError:
            _LOG.warning("traces are off: opentelemetry-sdk and its OTLP exporter are not installed")
            return
        self._pipeline = Pipeline({"service.name": service, **(resource or {})}, otlp, ratio)

    @property
    def enabled(self) -> bool:
        return self._pipeline is not None

    def report_to(self, metrics: Metrics) -> None:
        """Count spans that cannot be sent in the faults of these metrics."""
        if self._pipeline:
            self._pipeline.exporter.fault = lambda what: metrics.fault("trace", what)

    def span(self, name: str, *, kind: Kind = "internal", **attributes: Attribute) -> AbstractContextManager[Span]:
        """A span for the length of a block, below the one under way. An exception makes it an error, and passes."""
        return self._span(name, kind, attributes) if self._pipeline else nullcontext(Span())

    def exemplar(self) -> dict[str, str] | None:
        """The labels of an exemplar: the span that is under way, if it is exported."""
        return ids(sampled=True) or None

    def headers(self) -> dict[str, str]:
        """What to send along with a request or a message, for the receiver to go on with this trace."""
        return self._pipeline.inject() if self._pipeline else {}

    def remote(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Go on with the trace of whoever sent these headers, for the length of a block."""
        return self._pipeline.extracted(headers) if self._pipeline else nullcontext()

    def asgi(self, app: ASGIApp, *, untraced: tuple[str, ...] = UNTRACED) -> ASGIApp:
        """`app` with a span for each request, other than those whose path begins with one of `untraced`."""
        if not self._pipeline:
            return app
        return Traced(app, self, untraced)

    def close(self) -> None:
        """Send what is left, for at most two seconds."""
        if self._pipeline:
            self._pipeline.close()

    @contextmanager
    def _span(self, name: str, kind: Kind, attributes: Mapping[str, Attribute]) -> Iterator[Span]:
        assert self._pipeline is not None  # noqa: S101 - asked for only when tracing is on
        with self._pipeline.start(name, kind, attributes) as span:
            yield Span(span)
