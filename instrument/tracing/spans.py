"""The ids of the span that is under way, for logs and exemplars; nothing without OpenTelemetry."""

from __future__ import annotations

import sys
from typing import Any


def ids(*, sampled: bool = False) -> dict[str, str]:
    """`trace_id` and `span_id` in hexadecimal, or nothing. With `sampled`, only of a span that is exported."""
    # Where nobody has loaded OpenTelemetry no span can be under way, and loading it takes a quarter of a second.
    trace: Any = sys.modules.get("opentelemetry.trace")
    context = trace.get_current_span().get_span_context() if trace else None
    if context is None or not context.is_valid or (sampled and not context.trace_flags.sampled):
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
