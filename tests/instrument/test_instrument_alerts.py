"""A test alert is marked, ends by itself, and comes back with the fingerprint that Alertmanager gives it."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from instrument.alerts import AlertmanagerError, raise_test_alert


class Alertmanager:
    """As much of Alertmanager's interface as takes and lists alerts."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = [{"labels": {"watchstack_test": "true"}, "fingerprint": "another"}]
        self.status = 200
        self.answer: bytes | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/prefix/api/v2/alerts" and outer.status == 200:
                    outer.alerts += [alert | {"fingerprint": f"{number:016x}"} for number, alert in enumerate(body, 7)]
                self._say(outer.status, b"bad label" if outer.status != 200 else b"")

            def do_GET(self) -> None:
                filtered = self.path == "/prefix/api/v2/alerts?filter=watchstack_test%3D%22true%22"
                listed = json.dumps(outer.alerts).encode() if filtered else b"[]"
                self._say(200, listed if outer.answer is None else outer.answer)

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/prefix"


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    made = Alertmanager()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_alert_is_marked_and_ends_by_itself(alertmanager: Alertmanager) -> None:
    labels = {"system": "graphmemory", "alertname": "PostgresDown", "watchstack_test": "no", "empty": ""}
    found = raise_test_alert(f"{alertmanager.url}/", labels, {"summary": "Test."}, minutes=2)
    assert found == "0000000000000007"
    alert = alertmanager.alerts[-1]
    assert alert["labels"] == {
        "alertname": "PostgresDown",
        "severity": "info",
        "system": "graphmemory",
        "watchstack_test": "true",
    }
    assert alert["annotations"] == {"summary": "Test."}
    starts, ends = (datetime.fromisoformat(alert[key]) for key in ("startsAt", "endsAt"))
    assert ends - starts == timedelta(minutes=2)


def test_labels_may_be_left_out(alertmanager: Alertmanager) -> None:
    raise_test_alert(alertmanager.url)
    assert alertmanager.alerts[-1]["labels"]["alertname"] == "WatchstackTest"


def test_a_proxy_of_the_environment_is_not_asked(alertmanager: Alertmanager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert raise_test_alert(alertmanager.url)


def test_refusal_is_passed_on_with_its_reason(alertmanager: Alertmanager) -> None:
    alertmanager.status = 400
    with pytest.raises(AlertmanagerError, match=r"/api/v2/alerts answered 400: bad label"):
        raise_test_alert(alertmanager.url)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"[]", "took the alert but does not list it"),
        (b"{}", "does not list it"),
        (b'["alert", {"labels": 1}]', "does not list it"),
        (b"", "does not list it"),
        (b"<html>", "did not answer in JSON"),
    ],
)
def test_an_answer_that_is_none_is_said(alertmanager: Alertmanager, answer: bytes, says: str) -> None:
    alertmanager.answer = answer
    with pytest.raises(AlertmanagerError, match=says):
        raise_test_alert(alertmanager.url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/hostname", "is not an http URL"),
        ("alertmanager:9093", "is not an http URL"),
        ("http://[", "Invalid IPv6 URL"),
        ("http://a b", "control characters"),
        ("http://127.0.0.1:1", "refused"),
    ],
)
def test_a_url_that_leads_nowhere_is_named(url: str, says: str) -> None:
    with pytest.raises(AlertmanagerError, match=says):
        raise_test_alert(url)
