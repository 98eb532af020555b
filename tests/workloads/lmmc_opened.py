"""The LMMC server in this process, with a Qdrant that can be stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from asgi_client import Client, opened

from workloads.lmmc.qdrant import Qdrant
from workloads.lmmc.server import Lmmc

TASK = {"content": "Review the budget", "repository": "web", "priority": "high"}


class Wire(httpx.AsyncBaseTransport):
    """The way to Qdrant; cut, nothing arrives."""

    def __init__(self, qdrant: Qdrant) -> None:
        self.cut = False
        self._inner = httpx.ASGITransport(qdrant.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("connection refused", request=request)
        return await self._inner.handle_async_request(request)


@dataclass(frozen=True)
class Opened:
    lmmc: Lmmc
    client: Client
    wire: Wire

    def switch(self, fault: str, value: float) -> None:
        answer = self.client.post("/_sim/fault", {"fault": fault, "value": value})
        assert (answer.status_code, answer.json()["value"]) == (200, value)

    def ask(self, operation: str = "suggest", task_id: str = "TASK-1") -> int:
        """Ask the AI, and wait for its answer; the status."""
        answer = self.client.post(f"/api/v1/ai/{operation}", {"task_id": task_id})
        self.client.run(self.lmmc.ai.settle)
        return answer.status_code


@contextmanager
def lmmc_opened(pace: float = 0, *, enabled: bool = True) -> Iterator[Opened]:
    wire = Wire(Qdrant(1, pace=0))
    qdrant = httpx.AsyncClient(transport=wire, base_url="http://qdrant")
    lmmc = Lmmc(1, qdrant, pace=pace, enabled=enabled, keep=0)
    with opened(lmmc.app) as client:
        yield Opened(lmmc, client, wire)
