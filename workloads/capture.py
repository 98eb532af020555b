"""A stand-in for the receivers of notifications: keeps what arrives, and shows it.

    python -m workloads.capture --listen http=127.0.0.1:19099 --listen smtp=127.0.0.1:19025 --data data

Alertmanager posts to `/discord`, `/webhook`, `/heartbeat` or any other path, and sends mail, which is kept as if it
had been posted to `/email`. `GET /` is a page for people, `GET /notifications` the same as JSON.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from instrument import logs
from instrument.timestamps import timestamp
from workloads import capture_mail
from workloads.arguments import parse
from workloads.body import json_body, refusal
from workloads.capture_page import page
from workloads.scrape import scraped
from workloads.serve import serve

LARGEST = 1024 * 1024
KEPT = 1000
KEPT_BYTES = 32 * 1024 * 1024
FILE_BYTES = 10 * 1024 * 1024
FILES = 3
# On the page. Heartbeats come every minute: of them it shows the last time only.
SHOWN = 200
MAIL = "/email"
KINDS = ("discord", "webhook", "heartbeat", "slack", "email", "other")

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Notification:
    """One request of a sender. `received` is Unix time, `raw` the body as JSON in UTF-8."""

    received: float
    path: str
    raw: bytes

    def told(self) -> dict[str, Any]:
        """What is shown of it."""
        return {"received": timestamp(self.received), "path": self.path, "body": json.loads(self.raw)}


class Notifications:
    """The newest notifications, bounded by number and size, and a file of all that came."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = RotatingFileHandler(
            directory / "notifications.jsonl", maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8"
        )
        self._kept: deque[Notification] = deque()
        self._bytes = 0

    def add(self, notification: Notification) -> None:
        """Keep it; the oldest make room."""
        self._kept.append(notification)
        self._bytes += len(notification.raw)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().raw)
        self._file.emit(logging.makeLogRecord({"msg": json.dumps(notification.told())}))

    def select(self, path: str = "", contains: str = "", since: float = 0) -> Iterator[Notification]:
        """Oldest first: of one path, with a text in the JSON, received at `since` (Unix time) or later."""
        for notification in self._kept:
            wanted = notification.received >= since and path in ("", notification.path)
            if wanted and contains.encode() in notification.raw:
                yield notification

    def clear(self) -> int:
        """Forget all, and tell how many; the file stays."""
        count = len(self._kept)
        self._kept.clear()
        self._bytes = 0
        return count

    def close(self) -> None:
        self._file.close()


class Capture:
    """The application. `app` is the ASGI application."""

    def __init__(self, directory: Path) -> None:
        self.notifications = Notifications(directory)
        self._registry = CollectorRegistry()
        self._count = Counter(
            "capture_notifications_total", "Notifications received.", ["path"], registry=self._registry
        )
        self._last = Gauge(
            "capture_last_notification_timestamp_seconds",
            "When the last notification came, 0: never.",
            ["path"],
            registry=self._registry,
        )
        for kind in KINDS:
            self._count.labels(kind)
            self._last.labels(kind)
        self.app = Starlette(routes=self._routes(), exception_handlers={HTTPException: refusal})

    def _routes(self) -> list[Route]:
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/notifications", self._select, methods=["GET"]),
            Route("/notifications", self._clear, methods=["DELETE"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/{path:path}", self._receive, methods=["POST"]),
        ]

    async def _receive(self, request: Request) -> Response:
        self.take(request.url.path, await json_body(request, LARGEST))
        # Slack's answer. Discord answers 204, and the other receivers take any 2xx.
        return PlainTextResponse("ok")

    def take(self, path: str, body: Any) -> None:
        """Keep what came to a path, and count it."""
        now = time.time()
        self.notifications.add(Notification(now, path, json.dumps(body, ensure_ascii=False).encode()))
        self._count.labels(_kind(path)).inc()
        self._last.labels(_kind(path)).set(now)

    async def _select(self, request: Request) -> Response:
        asked = request.query_params
        since = _since(asked["since"]) if "since" in asked else 0.0
        found = self.notifications.select(asked.get("path", ""), asked.get("contains", ""), since)
        return JSONResponse([notification.told() for notification in found])

    async def _clear(self, _request: Request) -> Response:
        return JSONResponse({"deleted": self.notifications.clear()})

    async def _page(self, _request: Request) -> Response:
        newest = list(self.notifications.select())[::-1]
        beats = [found for found in newest if _kind(found.path) == "heartbeat"]
        others = [found for found in newest if _kind(found.path) != "heartbeat"]
        shown = [found.told() for found in others[:SHOWN]]
        last = timestamp(beats[0].received) if beats else ""
        # What arrived is foreign text: nothing in it may run or load anything.
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        return HTMLResponse(page(shown, last), headers={"Content-Security-Policy": policy})

    async def _metrics(self, request: Request) -> Response:
        return scraped(self._registry, request)

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok")


def main() -> None:
    asked = parse("workloads.capture")
    logs.configure("capture", file=asked.log_file)
    capture = Capture(asked.data)
    smtp = asked.listen.get("smtp")
    take = partial(capture.take, MAIL)
    serve(
        {asked.listen["http"]: capture.app}, beside=partial(capture_mail.serve, smtp, take, LARGEST) if smtp else None
    )


def _kind(path: str) -> str:
    first = path.strip("/").split("/")[0]
    return first if first in KINDS else "other"


def _since(text: str) -> float:
    """Unix time of an ISO 8601 time with a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HTTPException(422, f"since {text!r} is not accepted; give a time such as 2026-01-31T12:00:00Z")
    return moment.timestamp()


if __name__ == "__main__":
    main()
