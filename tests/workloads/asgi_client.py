"""A client that calls an ASGI application in this process, its lifespan included."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

T = TypeVar("T")


class Client:
    """Requests of a test. They run on the loop of the application, in another thread."""

    def __init__(self, portal: BlockingPortal, http: httpx.AsyncClient) -> None:
        self._portal = portal
        self._http = http

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: object) -> httpx.Response:
        return self.request("POST", path, json=body)

    def patch(self, path: str, body: object) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(partial(self._http.request, method, path, **options))

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        result: T = self._portal.call(work)
        return result

    def value(self, name: str, **labels: str) -> float:
        """The sum of the scraped samples of this name that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics").text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@contextmanager
def opened(app: Starlette) -> Iterator[Client]:
    """A client for the length of a block; the application starts before it and stops after it."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        yield Client(portal, http)
        portal.call(http.aclose)
