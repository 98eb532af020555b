"""Qdrant, simulated: collections of points in memory, and the metrics that Qdrant has.

python -m workloads.lmmc.qdrant --listen http=127.0.0.1:6333
"""

import math
import operator
import random
from collections import OrderedDict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from instrument.asgi import Exposition, measured, operations
from instrument.http import Http
from instrument.metrics import OTHER, Metrics
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.body import json_object
from workloads.lmmc.process import report, tracing_of
from workloads.pause import Pause
from workloads.serve import serve

# Upper bounds in seconds, as Qdrant has them.
BUCKETS = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50)
STATUSES = ("200", "400", "404", "500", OTHER)
COLLECTIONS = 20
# Points of a collection; the ones that were longest not written go.
KEPT = 1000
MOST_FOUND = 100

Vector = tuple[float, ...]


class Collection:
    """Points by id, with vectors of length 1."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._points: OrderedDict[int, tuple[Vector, Any]] = OrderedDict()

    def put(self, number: int, vector: Vector, payload: object) -> None:
        self._points[number] = (vector, payload)
        self._points.move_to_end(number)
        if len(self._points) > KEPT:
            self._points.popitem(last=False)

    def drop(self, number: int) -> None:
        self._points.pop(number, None)

    def nearest(self, vector: Vector, limit: int) -> list[dict[str, Any]]:
        """The points with the highest cosine, best first."""
        scored = [
            {"id": number, "score": sum(map(operator.mul, vector, near)), "payload": payload, "version": 0}
            for number, (near, payload) in self._points.items()
        ]
        return sorted(scored, key=lambda point: -point["score"])[:limit]


class Qdrant:
    """The server. `app` is the ASGI application; `pace` stretches simulated waits (0: none)."""

    def __init__(self, seed: int, *, pace: float = 1.0, tracing: Tracing | None = None) -> None:
        self._rng = random.Random(seed)
        self._pause = Pause(pace)
        self._collections: dict[str, Collection] = {}
        tracing = tracing or Tracing("qdrant", None)
        served = [
            Route("/collections", self._list, methods=["GET"]),
            Route("/collections/{name}", self._create, methods=["PUT"]),
            Route("/collections/{name}/points", self._upsert, methods=["PUT"]),
            Route("/collections/{name}/points/search", self._search, methods=["POST"]),
            Route("/collections/{name}/points/delete", self._delete, methods=["POST"]),
            *(Route(f"/{name}", _passed, methods=["GET"]) for name in ("healthz", "livez", "readyz")),
        ]
        self.metrics = metrics = Metrics(exemplar=tracing.exemplar, keep=0)
        metrics.read("collections_total", "Collections.", lambda: len(self._collections))
        http = Http(
            metrics,
            operations=operations(served),
            statuses=STATUSES,
            total="rest_responses_total",
            duration="rest_responses_duration_seconds",
            duration_labels=("method", "endpoint", "status"),
            buckets=BUCKETS,
        )
        self.app = Starlette(
            routes=[*served, Route("/metrics", Exposition(metrics))],
            middleware=[Middleware(tracing.asgi), Middleware(measured, http=http)],
            exception_handlers={HTTPException: _refused},
        )

    def stop(self) -> None:
        """Let requests under way end at once."""
        self._pause.stop()

    async def _list(self, _request: Request) -> Response:
        return _answer({"collections": [{"name": name} for name in self._collections]})

    async def _create(self, request: Request) -> Response:
        name = request.path_params["name"]
        vectors = (await json_object(request)).get("vectors")
        size = vectors.get("size") if isinstance(vectors, dict) else None
        if not isinstance(size, int) or not 0 < size <= 1024:
            raise HTTPException(422, f"vectors.size {size!r} is not accepted; give an integer from 1 to 1024")
        if name in self._collections or len(self._collections) >= COLLECTIONS:
            raise HTTPException(400, f"collection {name!r} exists already, or there are {COLLECTIONS}")
        self._collections[name] = Collection(size)
        return _answer(result=True)

    async def _upsert(self, request: Request) -> Response:
        collection = self._collection(request)
        for point in _list_of(await json_object(request), "points"):
            number = point.get("id") if isinstance(point, dict) else None
            if not isinstance(number, int):
                raise HTTPException(400, "each point has an integer `id`")
            collection.put(number, _unit(point.get("vector"), collection.size), point.get("payload"))
        await self._take(0.004)
        return _answer({"operation_id": 0, "status": "acknowledged"})

    async def _search(self, request: Request) -> Response:
        collection = self._collection(request)
        asked = await json_object(request)
        limit = asked.get("limit")
        if not isinstance(limit, int) or not 0 < limit <= MOST_FOUND:
            raise HTTPException(422, f"limit {limit!r} is not accepted; give an integer from 1 to {MOST_FOUND}")
        found = collection.nearest(_unit(asked.get("vector"), collection.size), limit)
        await self._take(0.008)
        return _answer(found)

    async def _delete(self, request: Request) -> Response:
        collection = self._collection(request)
        for number in _list_of(await json_object(request), "points"):
            if not isinstance(number, int):
                raise HTTPException(400, "`points` holds integer ids")
            collection.drop(number)
        await self._take(0.004)
        return _answer({"operation_id": 0, "status": "acknowledged"})

    def _collection(self, request: Request) -> Collection:
        name = request.path_params["name"]
        if name not in self._collections:
            raise HTTPException(404, f"Not found: Collection `{name}` doesn't exist!")
        return self._collections[name]

    async def _take(self, seconds: float) -> None:
        await self._pause(min(0.5, self._rng.lognormvariate(math.log(seconds), 0.5)))


def _list_of(asked: dict[str, Any], key: str) -> list[Any]:
    value = asked.get(key)
    if not isinstance(value, list):
        raise HTTPException(422, f"`{key}` is not a list")
    return value


def _unit(vector: object, size: int) -> Vector:
    """A vector made as long as 1."""
    if not isinstance(vector, list) or len(vector) != size or not all(isinstance(each, int | float) for each in vector):
        raise HTTPException(400, f"Wrong input: Vector dimension error: expected dim: {size}")
    length = math.sqrt(sum(each * each for each in vector)) or 1.0
    return tuple(each / length for each in vector)


def _answer(result: object) -> JSONResponse:
    return JSONResponse({"result": result, "status": "ok", "time": 0.0})


async def _refused(_request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette calls it for the class it is set for
    return JSONResponse({"result": None, "status": {"error": problem.detail}, "time": 0.0}, problem.status_code)


async def _passed(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("check passed")


def main() -> None:
    asked = parse("workloads.lmmc.qdrant")
    tracing = tracing_of("qdrant", asked)
    qdrant = Qdrant(asked.seed, tracing=tracing)
    report("qdrant", asked, tracing, qdrant.metrics)
    try:
        serve({asked.listen["http"]: qdrant.app}, stopping=qdrant.stop)
    finally:
        tracing.close()


if __name__ == "__main__":
    main()
