"""`/metrics/default`: the process, the Python runtime, and the sizes of requests and answers."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instrument import Metrics, client
from instrument.http import UNCOUNTED
from instrument.metrics import UNMATCHED

SIZES = (256, 1024, 4096, 16384, 65536, 262144, 1048576)


class RuntimeMetrics(Metrics):
    """A registry of its own: the one of the application stays free of what every process has."""

    def __init__(self, endpoints: Sequence[str], *, enabled: bool = True) -> None:
        super().__init__(enabled=enabled)
        declared = (*endpoints, UNMATCHED)
        self.asked = self.histogram("http_request_size_bytes", "Body of a request.", SIZES, endpoint=declared)
        self.answered = self.histogram("http_response_size_bytes", "Body of an answer.", SIZES, endpoint=declared)
        if self.enabled and client.library:
            for collector in ("ProcessCollector", "PlatformCollector", "GCCollector"):
                getattr(client.library, collector)(registry=self.registry)


def sized(app: ASGIApp, metrics: RuntimeMetrics) -> ASGIApp:
    """ASGI middleware: measures the bodies of the requests that are counted. Of a request, what is read of it."""
    if not metrics.enabled:
        return app

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNCOUNTED):
            await app(scope, receive, send)
            return
        asked = answered = 0

        async def reading() -> Message:
            nonlocal asked
            message = await receive()
            asked += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal answered
            answered += len(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                endpoint = getattr(scope.get("route"), "path", UNMATCHED)
                metrics.asked.observe(asked, endpoint=endpoint)
                metrics.answered.observe(answered, endpoint=endpoint)
            await send(message)

        await app(scope, reading, sending)

    return measured
