"""The frontend of Phase 5: passes what users ask on to the backend.

    python -m workloads.phase5.frontend --listen http=127.0.0.1:13002 --peer phase5-backend=http://127.0.0.1:13001 \\
        --rate 20

It is its own users: `--rate` requests a second, and browsers that keep a WebSocket to the backend open.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from instrument.health import Check
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.body import json_object
from workloads.load import Load
from workloads.phase5.api import user
from workloads.phase5.browsers import Browsers
from workloads.phase5.metrics import AUDIT, BACKEND, COMPLETE, FRONTEND, TASK, TASKS, Phase5Metrics
from workloads.phase5.process import application, run, traces
from workloads.phase5.traffic import Traffic

# What each request is called in the logs, and whether it brings a body.
FORWARDED = {
    ("POST", TASKS): ("create", True),
    ("GET", TASKS): ("list", False),
    ("GET", TASK): ("read", False),
    ("PATCH", TASK): ("update", True),
    ("DELETE", TASK): ("delete", False),
    ("POST", COMPLETE): ("complete", False),
    ("GET", AUDIT): ("audit", False),
}
# One request in so many is logged; failures always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("phase5.frontend")


class Frontend:
    """`app`, which asks the backend through `client`."""

    def __init__(
        self, client: httpx.AsyncClient, *, tracing: Tracing | None = None, routes: Sequence[Route] = ()
    ) -> None:
        self._client = client
        self._tracing = tracing or Tracing(FRONTEND, None)
        self._requests = 0
        self.metrics = Phase5Metrics(exemplar=self._tracing.exemplar)
        forwarded = [Route(path, self._forward, methods=[method]) for method, path in FORWARDED]
        self.app = application(
            self.metrics,
            self._tracing,
            [*forwarded, *routes],
            [Check("backend", self._backend)],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    async def _backend(self) -> None:
        (await self._client.get("/health/live")).raise_for_status()

    async def _forward(self, request: Request) -> Response:
        operation, brings_body = FORWARDED[request.method, request.scope["route"].path]
        told = {"taskId": request.path_params.get("task_id"), "userId": user(request), "operation": operation}
        body = await json_object(request) if brings_body else None
        try:
            answer = await self._ask(request, body)
        except httpx.TransportError as problem:
            _LOG.error("backend does not answer", extra=told | {"error": repr(problem)})
            raise HTTPException(502, "the backend does not answer") from problem
        self._log(told | {"status": answer.status_code})
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def _ask(self, request: Request, body: dict[str, Any] | None) -> httpx.Response:
        url = self._client.base_url.join(request.url.path)
        attributes = {"http.request.method": request.method, "server.address": url.host, "url.full": str(url)}
        with self._tracing.span(request.method, kind="client", **attributes) as span:
            headers = {"X-User-Id": user(request), **self._tracing.headers()}
            answer = await self._client.request(request.method, url, json=body, headers=headers)
            span.set(**{"http.response.status_code": answer.status_code})
        return answer

    def _log(self, told: dict[str, Any]) -> None:
        self._requests += 1
        if told["status"] >= 500:
            _LOG.error("request failed", extra=told)
        elif self._requests % LOG_ONE_IN == 0:
            _LOG.info("request", extra=told)


def main() -> None:
    asked = parse("workloads.phase5.frontend")
    listen, backend = asked.listen["http"], asked.peers[BACKEND]
    tracing = traces(FRONTEND, asked)
    load = Load(Traffic(), asked.rate, asked.seed)
    browsers = Browsers(backend, random.Random(asked.seed), asked.rate)
    # However slow the backend is, no request waits for a connection.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    # trust_env: a proxy of the environment must not come between.
    client = httpx.AsyncClient(base_url=backend, limits=limits, timeout=60, trust_env=False)
    frontend = Frontend(client, tracing=tracing, routes=load.routes())

    async def users() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(listen))
            group.create_task(browsers.run())

    run(FRONTEND, asked, tracing, frontend.metrics, {listen: frontend.app}, beside=users)


if __name__ == "__main__":
    main()
