"""The test alert of the application: who may raise one, how often, and what reaches Alertmanager."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from asgi_client import Client, opened

from workloads.boss_workflow import BossWorkflow, admin

PATH = "/api/admin/test-alert"
WORD = "s3cret"
FINGERPRINT = "0123456789abcdef"
TOKEN = {"Authorization": "Bearer s3cret"}


class Alertmanager(ThreadingHTTPServer):
    """Takes alerts and lists them, as the real one does at `/api/v2/alerts`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.alerts: list[dict[str, Any]] = []
        self.refuses = False
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Api(BaseHTTPRequestHandler):
    server: Alertmanager

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refuses:
            self._answer(400, "bad matcher")
            return
        self.server.alerts += body
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(200, [alert | {"fingerprint": FINGERPRINT} for alert in self.server.alerts])

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: object = None) -> None:
        text = json.dumps(body).encode() if body else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture(name="alertmanager")
def _alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager() as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@contextmanager
def _boss(url: str | None, token: str | None = WORD) -> Iterator[Client]:
    with opened(BossWorkflow(1, pace=0, keep=0, token=lambda: token, alertmanager=url).app) as client:
        yield client


def _raised(boss: Client, query: str = "", headers: dict[str, str] = TOKEN) -> tuple[int, Any]:
    answer = boss.request("POST", PATH + query, headers=headers)
    return answer.status_code, answer.json()


def test_alert_is_raised_and_its_fingerprint_answered(alertmanager: Alertmanager) -> None:
    with _boss(alertmanager.url) as boss:
        status, told = _raised(boss)
        assert (status, told["fingerprint"]) == (200, FINGERPRINT)
        assert boss.value("http_requests_total", endpoint=PATH, status="200") == 1
    (alert,) = alertmanager.alerts
    assert alert["labels"] == {
        "alertname": "BossWorkflowTest",
        "component": "test",
        "severity": "warning",
        "system": "boss-workflow",
        "watchstack_test": "true",
    }
    assert alert["startsAt"] < alert["endsAt"]


@pytest.mark.parametrize("severity", ["critical", "info"])
def test_severity_is_chosen(alertmanager: Alertmanager, severity: str) -> None:
    with _boss(alertmanager.url) as boss:
        assert _raised(boss, f"?severity={severity}")[0] == 200
    assert alertmanager.alerts[0]["labels"]["severity"] == severity


def test_unknown_severity_is_refused(alertmanager: Alertmanager) -> None:
    with _boss(alertmanager.url) as boss:
        status, told = _raised(boss, "?severity=loud")
    assert status == 422
    assert told["error"] == "severity 'loud' is not accepted; give one of critical, warning, info"
    assert alertmanager.alerts == []


@pytest.mark.parametrize(
    "given", [None, "", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer Ü"]
)
def test_without_the_token_nothing_is_raised(alertmanager: Alertmanager, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    with _boss(alertmanager.url) as boss:
        answer = boss.request("POST", PATH, headers={name: value.encode() for name, value in headers.items()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert alertmanager.alerts == []


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_secret_it_is_off(alertmanager: Alertmanager, token: str | None) -> None:
    with _boss(alertmanager.url, token) as boss:
        status, told = _raised(boss, headers={"Authorization": "Bearer "})
    assert status == 503
    assert "no token in the file boss-admin-token" in told["error"]
    assert alertmanager.alerts == []


def test_without_an_alertmanager_it_says_so() -> None:
    with _boss(None) as boss:
        status, told = _raised(boss)
    assert status == 503
    assert "--peer alertmanager=URL" in told["error"]


def test_alertmanager_that_is_away_is_a_bad_gateway() -> None:
    with Alertmanager() as gone:
        pass
    with _boss(gone.url) as boss:
        status, told = _raised(boss)
    assert status == 502
    assert gone.url in told["error"]


def test_alertmanager_that_refuses_is_a_bad_gateway(alertmanager: Alertmanager) -> None:
    alertmanager.refuses = True
    with _boss(alertmanager.url) as boss:
        status, told = _raised(boss)
    assert status == 502
    assert "400" in told["error"]
    assert "bad matcher" in told["error"]


def test_calls_are_limited_before_the_token_is_looked_at(
    alertmanager: Alertmanager, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("workloads.boss_workflow.admin.time.monotonic", lambda: now)
    with _boss(alertmanager.url) as boss:
        statuses = [_raised(boss, headers={"Authorization": "Bearer guess"})[0] for _ in range(admin.CALLS)]
        assert statuses == [401] * admin.CALLS
        answer = boss.request("POST", PATH, headers=TOKEN)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert boss.value("rate_limit_violations_total", endpoint=PATH) == 1
    assert alertmanager.alerts == []


def test_token_is_read_anew_for_each_call(alertmanager: Alertmanager, tmp_path: Path) -> None:
    """A secret that is put in place later needs no restart."""
    secret = tmp_path / admin.SECRET
    boss = BossWorkflow(
        1, pace=0, token=lambda: secret.read_text() if secret.exists() else None, alertmanager=alertmanager.url
    )
    with opened(boss.app) as client:
        assert _raised(client)[0] == 503
        secret.write_text("s3cret")
        assert _raised(client)[0] == 200
