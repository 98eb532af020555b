"""Port 5001: takes what Alertmanager sends, keeps it and lists it."""

import json
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.body import json_body, refusal
from workloads.capture import LARGEST, Notification, Notifications


class WebhookSink:
    """`POST /webhook` keeps a JSON body, `GET /webhook` lists them, oldest first. `app` is the ASGI application."""

    def __init__(self, directory: Path) -> None:
        self._arrived = Notifications(directory)
        self.app = Starlette(
            routes=[
                Route("/webhook", self._receive, methods=["POST"]),
                Route("/webhook", self._list, methods=["GET"]),
            ],
            exception_handlers={HTTPException: refusal},
        )

    def close(self) -> None:
        """Close the file of what arrived."""
        self._arrived.close()

    async def _receive(self, request: Request) -> Response:
        body = await json_body(request, LARGEST)
        raw = json.dumps(body, ensure_ascii=False).encode()
        self._arrived.add(Notification(time.time(), request.url.path, raw))
        return JSONResponse({"status": "kept"})

    async def _list(self, request: Request) -> Response:
        found = self._arrived.select(contains=request.query_params.get("contains", ""))
        return JSONResponse([notification.told() for notification in found])
