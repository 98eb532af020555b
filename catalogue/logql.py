"""As much of LogQL as names are in: the selectors of its streams, and the labels that it groups by."""

import re

from catalogue.inference import Found

_QUOTED = r'"(?:\\.|[^"\\])*"|`[^`]*`'
# Quoted text, in which braces mean nothing, or the selector of streams.
_STREAMS = re.compile(rf"{_QUOTED}|(?P<selector>\{{(?:{_QUOTED}|[^{{}}\"`])*\}})")
_GROUPED = re.compile(r"\bby\s*\(([^)]*)\)")


def selectors(expr: str) -> list[str]:
    """The selectors of streams, which are written like those of series."""
    return [found["selector"] for found in _STREAMS.finditer(expr) if found["selector"]]


def found(expr: str) -> Found:
    """The labels of the result. Where it does not group all that it selects, the lines decide."""
    groups = _GROUPED.findall(re.sub(_QUOTED, "", expr))
    labels = {label.strip(): None for group in groups for label in group.split(",") if label.strip()}
    return Found(labels=labels, unclear=len(groups) < len(selectors(expr)))
