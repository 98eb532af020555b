"""Spans on their way to a collector: sampled, batched, and lost rather than waited for."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Seconds that a batch may take, repetitions included.
TIMEOUT = 5.0
# Seconds for the last batches when the application ends, then for one that is under way.
LAST = 1.5
GRACE = 0.3
# Seconds between batches.
EVERY = 1.0

_PROPAGATOR = TraceContextTextMapPropagator()


class Exporter(SpanExporter):
    """Sends batches; one that does not arrive is a fault, not a log line."""

    def __init__(self, otlp: str) -> None:
        self.fault: Callable[[str], None] = lambda _what: None
        self._inner = OTLPSpanExporter(f"{otlp.rstrip('/')}/v1/traces", timeout=TIMEOUT)
        self._stopped = False
        # The library logs every attempt and every batch.
        logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._stopped else self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self.fault("spans were not taken by the collector")
        return result

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._inner.shutdown()  # type: ignore[no-untyped-call]


class Pipeline:
    """From the start of a span to the collector. In no way global: each application has its own."""

    def __init__(self, resource: Mapping[str, str], otlp: str, ratio: float) -> None:
        self.exporter = Exporter(otlp)
        self._processor = BatchSpanProcessor(self.exporter, schedule_delay_millis=1000 * EVERY)
        provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio), resource=Resource.create(resource), shutdown_on_exit=False
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("instrument")
        atexit.register(self.close)

    def start(self, name: str, kind: str, attributes: Mapping[str, object]) -> AbstractContextManager[Span]:
        """A span that is the current one for the length of a block."""
        return self._tracer.start_as_current_span(name, kind=SpanKind[kind.upper()], attributes=attributes)  # type: ignore[arg-type]

    def inject(self) -> dict[str, str]:
        """W3C trace context of the current span."""
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers

    @contextmanager
    def extracted(self, headers: Mapping[str, str]) -> Iterator[None]:
        """W3C trace context of these headers, for the length of a block."""
        carrier = {name.lower(): value for name, value in headers.items()}
        token = context.attach(_PROPAGATOR.extract(carrier, context.Context()))
        try:
            yield
        finally:
            context.detach(token)

    def close(self) -> None:
        """Send what is left; give up after `LAST` seconds, as the processor would wait for half a minute."""
        atexit.unregister(self.close)
        last = threading.Thread(target=self._processor.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(LAST)
        if last.is_alive():
            self.exporter.shutdown()
            last.join(GRACE)
