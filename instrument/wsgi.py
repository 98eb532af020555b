"""HTTP metrics of a WSGI application, and `/metrics` for it.

    http = Http(metrics, operations=operations(app.url_map.iter_rules()))
    app.wsgi_app = measured(app.wsgi_app, http)

Route templates are those of Flask. For other frameworks the path is compared with the operations of `http`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from instrument.http import CLIENT_GONE, SCRAPE_TIMEOUT, UNCOUNTED, Http, scraped
from instrument.http.paths import is_below
from instrument.metrics import UNMATCHED, Metrics

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_PARAMETER = re.compile(r"<(?:[^<>]*:)?(\w+)>")


def measured(app: WSGIApp, http: Http, *, uncounted: tuple[str, ...] = UNCOUNTED) -> WSGIApp:
    """The application, its requests counted except those for `uncounted`; itself when metrics are off.

    An exception counts as 500, a client that went away before its answer was complete as 499.
    """
    if not http.metrics.enabled:
        return app

    def counted(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if is_below(environ.get("PATH_INFO", ""), uncounted):
            return app(environ, start_response)
        request = _Request(http, environ)
        try:
            return request.answer(app(environ, request.starting(start_response)))
        except BaseException:
            request.count(500)
            raise

    return counted


def operations(rules: Iterable[Any], *, uncounted: tuple[str, ...] = UNCOUNTED) -> list[tuple[str, str]]:
    """The pairs of method and route template of Werkzeug's rules, without those for `uncounted`."""
    pairs = ((method, _template_of(rule.rule)) for rule in rules for method in sorted(rule.methods or {"GET"}))
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != "HEAD" and not is_below(pair[1], uncounted)))


class _Request:
    """One request under way, counted once."""

    def __init__(self, http: Http, environ: Environ) -> None:
        self._http = http
        self._environ = environ
        # As the client gave it: an application that is mounted below another finds another here.
        self._path = environ.get("PATH_INFO", "")
        self._status = 500
        self._left: int | None = None
        self._open = True
        http.flying.append(None)
        self._started = perf_counter()

    def starting(self, start_response: StartResponse) -> StartResponse:
        def started(status: str, headers: list[tuple[str, str]], *problem: Any) -> Any:
            self._status = int(status[:3]) if status[:3].isdecimal() else 0
            lengths = [value for name, value in headers if name.lower() == "content-length"]
            self._left = int(lengths[0]) if lengths and lengths[0].isdecimal() else None
            return start_response(status, headers, *problem)

        return started

    def answer(self, answer: Iterable[bytes]) -> Iterable[bytes]:
        """The same, observed to its end. What is there as a whole, and what the server sends itself, stays as it is."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(answer, list | tuple) or (isinstance(wrapper, type) and isinstance(answer, wrapper)):
            self.count(self._status)
            return answer
        return _Answer(self, answer)

    def sending(self, size: int) -> None:
        """A part is about to be sent. With the last one the client has its answer."""
        if self._left is not None:
            self._left -= size
            if self._left <= 0:
                self.ended()

    def ended(self) -> None:
        self.count(self._status)

    def closed(self) -> None:
        """The server wants no more. Of some answers it wants nothing at all."""
        bodiless = self._environ.get("REQUEST_METHOD") == "HEAD" or self._status in (204, 304)
        self.count(self._status if bodiless else CLIENT_GONE)

    def count(self, status: int) -> None:
        if not self._open:
            return
        self._open = False
        self._http.flying.pop()
        try:
            label = self._http.paths.label(self._decoded(), _template(self._environ), status)
            self._http.recorder(self._environ["REQUEST_METHOD"], label, status)(perf_counter() - self._started)
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, the application answers
            self._http.metrics.fault("middleware", repr(problem))

    def _decoded(self) -> str:
        # WSGI gives the bytes of the path as characters.
        return str(self._path.encode("latin-1", "replace").decode("utf-8", "replace"))


class _Answer:
    """The parts of an answer on their way."""

    def __init__(self, request: _Request, answer: Iterable[bytes]) -> None:
        self._request = request
        self._answer = answer
        self._parts = iter(answer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part = next(self._parts)
        except StopIteration:
            self._request.ended()
            raise
        except BaseException:
            self._request.count(500)
            raise
        self._request.sending(len(part))
        return part

    def close(self) -> None:
        try:
            if close := getattr(self._answer, "close", None):
                close()
        finally:
            self._request.closed()


def _template(environ: Environ) -> str | None:
    request: Any = environ.get("werkzeug.request")
    if not hasattr(request, "url_rule"):
        return None
    return _template_of(request.url_rule.rule) if request.url_rule else UNMATCHED


def _template_of(rule: str) -> str:
    return _PARAMETER.sub(r"{\1}", rule)


class Exposition:
    """`/metrics`: a WSGI application that answers a scrape in the format asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        timeout = environ.get(f"HTTP_{SCRAPE_TIMEOUT.upper().replace('-', '_')}", "")
        status, body, content_type = scraped(self._metrics, environ.get("HTTP_ACCEPT", ""), timeout)
        reason = "OK" if status == 200 else "Service Unavailable"
        start_response(f"{status} {reason}", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]
