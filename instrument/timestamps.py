"""Times as text: RFC 3339 in UTC with milliseconds."""

import time
from datetime import UTC, datetime


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with milliseconds; without `seconds` (Unix time), now."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
