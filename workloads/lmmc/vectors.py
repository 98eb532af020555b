"""The memory's search: tasks as vectors in Qdrant, over its HTTP interface."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from instrument.families import Operations
from instrument.tracing import Tracing
from workloads.faults import Faults

COLLECTION = "tasks"
DIMENSIONS = 8
TIMEOUT = 2.0


class VectorError(Exception):
    """Qdrant does not answer, or refuses."""


def embed(text: str) -> list[float]:
    """A vector for a text: texts that share words are near each other."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        code = zlib.crc32(word.encode())
        for place in range(DIMENSIONS):
            vector[place] += (code >> 4 * place & 15) - 7.5
    return vector


class Vectors:
    """Operations of Qdrant: each is counted and timed, and open to the fault `qdrant_errors`."""

    def __init__(self, client: httpx.AsyncClient, operations: Operations, faults: Faults, tracing: Tracing) -> None:
        self._client = client
        self._operations = operations
        self._faults = faults
        self._tracing = tracing

    async def upsert(self, number: int, text: str, payload: dict[str, str]) -> None:
        """Put a task into the collection; VectorError."""
        points = [{"id": number, "vector": embed(text), "payload": payload}]
        with self._operation("upsert"):
            await self._call("PUT", "/points", {"points": points})

    async def search(self, text: str, limit: int) -> list[tuple[int, float]]:
        """The nearest tasks and how near they are (1 is the same); VectorError."""
        with self._operation("search"):
            answer = await self._call("POST", "/points/search", {"vector": embed(text), "limit": limit})
        return [(point["id"], point["score"]) for point in answer["result"]]

    async def delete(self, numbers: list[int]) -> None:
        """Take tasks out of the collection; VectorError."""
        with self._operation("delete"):
            await self._call("POST", "/points/delete", {"points": numbers})

    async def ready(self) -> None:
        """Prove that Qdrant answers; VectorError."""
        answer = await self._send("GET", "/readyz")
        if answer.is_error:
            raise VectorError(f"Qdrant is not ready: {answer.status_code}")

    @contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        with self._tracing.span(f"qdrant {name}", kind="client"), self._operations.attempt(operation=name):
            yield

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Work on the collection, which is made when Qdrant has lost it or never had it."""
        below = f"/collections/{COLLECTION}"
        answer = await self._send(method, below + path, body)
        if answer.status_code == 404:
            await self._send("PUT", below, {"vectors": {"size": DIMENSIONS, "distance": "Cosine"}})
            answer = await self._send(method, below + path, body)
        if answer.is_error:
            raise VectorError(f"Qdrant answers {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        if self._faults.strikes("qdrant_errors"):
            raise VectorError("no connection to Qdrant (injected by the fault qdrant_errors)")
        try:
            return await self._client.request(method, path, json=body, headers=self._tracing.headers())
        except httpx.TransportError as problem:
            raise VectorError(f"no connection to Qdrant: {problem!r}") from problem
