"""Streamlit applications: Streamlit runs the script anew at every click, and serves no path of ours on its port.

    def start() -> Shop:
        metrics = Metrics("shop_")
        serve(metrics, "127.0.0.1", 9090)
        return Shop(metrics)

    shop = kept("shop", start)

Streamlit itself is not imported.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, TypeVar, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from instrument.metrics import Metrics
from instrument.wsgi import Environ, Exposition, StartResponse

if TYPE_CHECKING:
    from instrument.health import Health, Report

T = TypeVar("T")

_KEPT: dict[str, Any] = {}
_SERVERS: dict[tuple[str, int], Server] = {}
# A script that is kept may keep, and serve.
_LOCK = threading.RLock()


def kept(name: str, make: Callable[[], T]) -> T:
    """What `make` gives, made once in the process, however often scripts and sessions ask for it by this name."""
    with _LOCK:
        if name not in _KEPT:
            _KEPT[name] = make()
        return cast("T", _KEPT[name])


def serve(metrics: Metrics, host: str, port: int, health: Health | None = None) -> Server | None:
    """Serve `/metrics`, and `/health`, `/health/live`, `/health/ready`, in a thread, once in the process.

    The same server when called again. None, and a fault, when the port is taken; None when there is nothing to serve.
    """
    if not metrics.enabled and health is None:
        return None
    with _LOCK:
        if (host, port) not in _SERVERS:
            try:
                _SERVERS[host, port] = Server(_Pages(metrics, health), host, port)
            except OSError as problem:
                metrics.fault("exposition", f"{host}:{port}: {problem.strerror}")
                return None
        return _SERVERS[host, port]


class Server:
    """A WSGI application served in threads, until the process ends or it is closed."""

    def __init__(self, app: Callable[[Environ, StartResponse], list[bytes]], host: str, port: int) -> None:
        self._server = _Listening((host, port), _Silent)
        self._server.set_app(app)
        self._at = host, port
        threading.Thread(target=self._server.serve_forever, name=f"metrics-{port}", daemon=True).start()

    def close(self) -> None:
        """Stop. `serve` starts another when asked again."""
        with _LOCK:
            _SERVERS.pop(self._at, None)
        self._server.shutdown()
        self._server.server_close()


class _Pages:
    def __init__(self, metrics: Metrics, health: Health | None) -> None:
        self._exposition = Exposition(metrics)
        self._health = health

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return self._exposition(environ, start_response)
        if self._health and (report := _report(self._health, path)):
            reason = "OK" if report.code == 200 else "Service Unavailable"
            start_response(f"{report.code} {reason}", [("Content-Type", "application/json")])
            return [json.dumps(report.body()).encode()]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there are /metrics and /health\n"]


def _report(health: Health, path: str) -> Report | None:
    if path == "/health":
        return health.report_now()
    if path == "/health/live":
        return health.live()
    if path == "/health/ready":
        return health.report_now(*health.critical) if health.critical else health.live()
    return None


class _Listening(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has there
        """A scrape is nothing to tell."""
