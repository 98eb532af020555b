"""The alert bridge over HTTP, for Starlette."""

from __future__ import annotations

import hmac
import json
import logging
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from instrument.bridge.webhook import BadPayload

if TYPE_CHECKING:
    from instrument.bridge import Bridge

# Bytes of a payload.
LARGEST = 4 * 2**20

_LOG = logging.getLogger(__name__)


def routes(bridge: Bridge, token: str | None) -> list[Route]:
    """`POST /alerts` and `POST /groups/{id}/ack`, with the bearer token if one is given; `GET /alerts`, `/groups`."""

    async def post_alerts(request: Request) -> Response:
        if not _allowed(request, token):
            return _refusal(401, "a bearer token is needed")
        body = await _body(request)
        if body is None:
            return _refusal(413, f"more than {LARGEST} bytes")
        try:
            alerts = await bridge.handle(_json(body))
        except BadPayload as problem:
            _LOG.warning("payload refused: %s", problem)
            return _refusal(400, str(problem))
        return JSONResponse({"received": len(alerts)})

    async def get_alerts(_request: Request) -> Response:
        return JSONResponse(bridge.alerts())

    async def get_groups(_request: Request) -> Response:
        return JSONResponse(bridge.groups())

    async def acknowledge(request: Request) -> Response:
        if not _allowed(request, token):
            return _refusal(401, "a bearer token is needed")
        group = bridge.acknowledge(request.path_params["id"])
        return JSONResponse(group) if group else _refusal(404, "no such open group")

    return [
        Route("/alerts", post_alerts, methods=["POST"]),
        Route("/alerts", get_alerts),
        Route("/groups", get_groups),
        Route("/groups/{id}/ack", acknowledge, methods=["POST"]),
    ]


def _allowed(request: Request, token: str | None) -> bool:
    if token is None:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too large to be a batch of alerts."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return None
    return bytes(body)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise BadPayload("payload: not JSON") from problem


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
