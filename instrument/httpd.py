"""A small HTTP server for scrapes, in threads, of the standard library alone."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from instrument.metrics import Metrics

# Seconds of silence after which a connection is closed.
IDLE = 30


class Server:
    """Answers `/metrics`, and `/health/live` (that the process answers), until closed. OSError: the port is taken."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._server = _Listening(metrics, host, port)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="scrapes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self.metrics = metrics
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever goes away in the middle of an answer is none of our faults."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listening
    server_version = "instrument"
    sys_version = ""
    timeout = IDLE

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, content_type = self.server.metrics.exposition(self.headers.get("Accept", ""))
            self._answer(200, body, content_type)
        elif path in ("/health/live", "/"):
            self._answer(200, b'{"status": "healthy"}', "application/json")
        else:
            self._answer(404, b"not found\n", "text/plain; charset=utf-8")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Nothing: a scrape every few seconds is no news."""
