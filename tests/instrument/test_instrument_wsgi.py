"""Requests of a WSGI application are counted once, by their route, however they end."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from asgi_calls import OPEN_METRICS, counted, series

from instrument import Metrics
from instrument.http import Http
from instrument.wsgi import Environ, Exposition, StartResponse, WSGIApp, measured, operations


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    return Metrics()


def _ask(app: WSGIApp, method: str, path: str, parts: int | None = None, **more: Any) -> tuple[str, list[bytes]]:
    """The status and parts of the answer, of which the client takes `parts`."""
    status = ""

    def start_response(given: str, _headers: list[tuple[str, str]], *_problem: Any) -> None:
        nonlocal status
        status = given

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.file_wrapper": FileWrapper, **more}
    answer = app(environ, start_response)
    taken = [part for _, part in zip(range(1000 if parts is None else parts), answer, strict=False)]
    if close := getattr(answer, "close", None):
        close()
    return status, taken


def _app(*parts: bytes, status: str = "200 OK", length: bool = False, broken: bool = False) -> WSGIApp:
    """Answers with these parts, one by one."""

    def app(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response(status, [("Content-Length", str(len(b"".join(parts))))] if length else [])
        yield from parts
        if broken:
            raise OSError("disk")

    return app


def _whole(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    return [b"fine"]


@pytest.mark.parametrize("app", [_whole, _app(b"a", b"b"), _app(b"a", b"b", length=True), _app()])
def test_answer_counts_once(metrics: Metrics, app: WSGIApp) -> None:
    assert _ask(measured(app, Http(metrics)), "GET", "/tasks/TASK-7")[0] == "200 OK"
    assert counted(metrics) == {("/tasks/{task_id}", "GET", "200"): 1}
    assert counted(metrics, "http_request_duration_seconds_count") == {("/tasks/{task_id}", "GET"): 1}
    assert counted(metrics, "http_requests_in_flight") == {}


def test_answer_that_is_there_as_a_whole_stays_as_it_is(metrics: Metrics) -> None:
    assert isinstance(measured(_whole, Http(metrics))({"REQUEST_METHOD": "GET"}, lambda *_: None), list)


def test_file_is_left_to_the_server(metrics: Metrics, tmp_path: Any) -> None:
    (tmp_path / "page").write_bytes(b"page")

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"]((tmp_path / "page").open("rb"))
        return wrapped

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/page", "wsgi.file_wrapper": FileWrapper}
    answer = measured(app, Http(metrics))(environ, lambda *_: None)
    assert isinstance(answer, FileWrapper)
    assert list(answer) == [b"page"]
    answer.close()
    assert counted(metrics) == {("/page", "GET", "200"): 1}


def test_wrapped_application_keeps_to_the_protocol(metrics: Metrics) -> None:
    environ: Environ = {"SERVER_NAME": "test", "SERVER_PORT": "80", "SCRIPT_NAME": "", "wsgi.version": (1, 0)}
    environ |= {"wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False}
    environ |= {"wsgi.run_once": False, "wsgi.input": _Stream(), "wsgi.errors": _Stream(), "QUERY_STRING": ""}
    environ |= {"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}

    def app(_environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    checked = validator(measured(validator(app), Http(metrics)))
    answer = checked(environ, lambda *_: lambda _body: None)
    assert list(answer) == [b"fine"]
    answer.close()  # type: ignore[attr-defined]
    assert counted(metrics) == {("/a", "GET", "200"): 1}


@pytest.mark.parametrize(
    ("template", "label"), [("/users/<name>", "/users/{name}"), ("/users/<int:user>", "/users/{user}")]
)
def test_route_of_flask_is_the_label(metrics: Metrics, template: str, label: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["werkzeug.request"] = SimpleNamespace(url_rule=SimpleNamespace(rule=template))
        return _whole(environ, start_response)

    _ask(measured(app, Http(metrics)), "GET", "/users/7")
    assert counted(metrics) == {(label, "GET", "200"): 1}


def test_path_without_a_route_of_flask_is_unmatched(metrics: Metrics) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["werkzeug.request"] = SimpleNamespace(url_rule=None)
        return _whole(environ, start_response)

    _ask(measured(app, Http(metrics)), "GET", "/login/redirected")
    assert counted(metrics) == {("unmatched", "GET", "200"): 1}


def test_operations_are_the_pairs_of_flask_rules() -> None:
    rules = [
        SimpleNamespace(rule="/users/<int:user>", methods={"GET", "HEAD", "PATCH"}),
        SimpleNamespace(rule="/metrics", methods={"GET"}),
    ]
    assert operations(rules) == [("GET", "/users/{user}"), ("PATCH", "/users/{user}")]


def test_declared_pairs_are_all_there_is(metrics: Metrics) -> None:
    app = measured(_app(b"a"), Http(metrics, operations=[("GET", "/users/{name}"), ("POST", "/users")]))
    before = series(metrics)
    for method in ("GET", "POST", "BREW"):
        for path in ("/users/ana", "/users", "/none", "/users/\xc3\xa4"):
            _ask(app, method, path)
    assert series(metrics) == before
    assert counted(metrics)["/users/{name}", "GET", "200"] == 2


def test_exception_counts_as_500_and_is_raised_on(metrics: Metrics) -> None:
    def app(_environ: Environ, _start_response: StartResponse) -> list[bytes]:
        raise OSError("disk")

    http = Http(metrics)
    with pytest.raises(OSError, match="disk"):
        _ask(measured(app, http), "GET", "/a")
    with pytest.raises(OSError, match="disk"):
        _ask(measured(_app(b"half", broken=True), http), "GET", "/b")
    assert counted(metrics) == {("/a", "GET", "500"): 1, ("/b", "GET", "500"): 1}


def test_answer_that_never_starts_counts_as_500(metrics: Metrics) -> None:
    _ask(measured(lambda _environ, _start: iter(()), Http(metrics)), "GET", "/a")
    assert counted(metrics) == {("/a", "GET", "500"): 1}


def test_client_that_leaves_counts_as_499(metrics: Metrics) -> None:
    app = measured(_app(b"a", b"b", b"c"), Http(metrics))
    assert _ask(app, "GET", "/a", parts=1)[1] == [b"a"]
    assert counted(metrics) == {("/a", "GET", "499"): 1}
    assert counted(metrics, "http_requests_in_flight") == {}
    assert _ask(app, "GET", "/a")[1] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_answer_without_a_body_that_the_server_does_not_ask_for_is_complete(
    metrics: Metrics, method: str, status: str
) -> None:
    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [])
        return iter((b"body",))

    _ask(measured(app, Http(metrics)), method, "/a", parts=0)
    assert counted(metrics) == {("/a", method, status[:3]): 1}


def test_request_is_counted_before_the_last_part_of_its_answer_is_sent(metrics: Metrics) -> None:
    app = measured(_app(b"a", b"b", length=True), Http(metrics))
    parts = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda *_: None)
    assert [sum(counted(metrics).values()) for _ in parts] == [0, 1]


@pytest.mark.parametrize("status", ["teapot", "", "2"])
def test_status_that_is_none_counts_as_other(metrics: Metrics, status: str) -> None:
    _ask(measured(_app(b"a", status=status), Http(metrics)), "GET", "/a")
    assert counted(metrics) == {("/a", "GET", "other"): 1}


def test_paths_of_metrics_are_not_counted(metrics: Metrics) -> None:
    app = measured(_whole, Http(metrics))
    for path in ("/metrics", "/_sim/faults"):
        _ask(app, "GET", path)
    assert counted(metrics) == {}


def test_requests_of_many_threads_all_count(metrics: Metrics) -> None:
    app = measured(_app(b"a", b"b"), Http(metrics))
    ready = threading.Barrier(8)

    def many() -> None:
        ready.wait(10)
        for _ in range(500):
            _ask(app, "GET", "/a")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: many(), range(8)))
    assert counted(metrics) == {("/a", "GET", "200"): 4000}
    assert counted(metrics, "http_request_duration_seconds_count") == {("/a", "GET"): 4000}
    assert counted(metrics, "http_requests_in_flight") == {}


def test_application_answers_when_counting_fails(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no label")

    http = Http(metrics)
    monkeypatch.setattr(http.paths, "label", broken)
    assert _ask(measured(_whole, http), "GET", "/a") == ("200 OK", [b"fine"])
    assert counted(metrics, "instrument_faults_total") == {("middleware",): 1}


def test_application_is_itself_when_metrics_are_off() -> None:
    assert measured(_whole, Http(Metrics(enabled=False))) is _whole


def test_scrape_is_answered_in_the_format_asked_for(metrics: Metrics) -> None:
    status, (body,) = _ask(Exposition(metrics), "GET", "/metrics", HTTP_ACCEPT=OPEN_METRICS)
    assert status == "200 OK"
    assert body.endswith(b"# EOF\n")
    assert _ask(Exposition(metrics), "HEAD", "/metrics") == ("200 OK", [b""])


class _Stream:
    """What the validator wants of the two streams."""

    def _nothing(self, *_: object) -> bytes:
        return b""

    read = readline = readlines = __iter__ = flush = write = writelines = _nothing
