"""The one place that knows whether prometheus-client is there: `library` is the module, or None."""

from typing import Any

library: Any
try:
    import prometheus_client.core
    import prometheus_client.exposition
    import prometheus_client.utils
except ImportError:
    library = None
else:
    library = prometheus_client
    # Catalogues have no `_created` series; the library has only this switch, for the whole process.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
