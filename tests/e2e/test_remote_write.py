"""Two Prometheus that send every sample to a real one with a password, and to a receiver that looks at the token."""

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import dashboards
from e2e.environments import PAIR, Environment, clone, eventually
from toolchain.programs import program

pytestmark = pytest.mark.e2e

PASSWORD, TOKEN = "open sesame", "sesame-42"
# What `caddy hash-password` makes of the password.
HASHED = "$2b$05$9uMKCEke48WqQaA33JvSkO2xzm9S8Lm7lyWEyPljL6mcYL8nzeeOK"
VAULT = "127.0.0.1:17999"
PANELS = {"Age of the last sample sent", "Samples refused", "Samples sent"}


@dataclass
class Receiver:
    """Takes what it is sent, or answers with another status."""

    status: int = 204
    asked: list[Mapping[str, str]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.asked.append(dict(self.headers))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Nobody wants to read of every request."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/v1/push"
        server.shutdown()
        server.server_close()


@contextmanager
def _vault(directory: Path) -> Iterator[str]:
    """A real Prometheus that takes samples from who knows the password."""
    (directory / "web.yml").write_text(f"basic_auth_users: {{watch: '{HASHED}'}}\n")
    (directory / "prometheus.yml").write_text("{}\n")
    line = [str(program("prometheus")), "--config.file=prometheus.yml", "--web.config.file=web.yml"]
    line += ["--web.enable-remote-write-receiver", "--storage.tsdb.path=data", f"--web.listen-address={VAULT}"]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(line, cwd=directory, stderr=log)
    try:
        yield f"http://{VAULT}/api/v1/write"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(scope="module")
def remote(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    place = tmp_path_factory.mktemp("remote")
    (place / "password").write_text(PASSWORD)
    (place / "token").write_text(TOKEN)
    environment = Environment("remote", clone(place))
    off = {"enabled": False}
    with receiver.serving() as mimir, _vault(place) as vault:
        environment.write(
            systems={"boss-workflow": {"targets": {"boss-workflow": "127.0.0.1:9"}}},
            prometheus={
                **PAIR,
                "remote_write": {
                    "vault": {"url": vault, "username": "watch", "password": "vault"},
                    "mimir": {"url": mimir, "bearer": "mimir", "headers": {"X-Scope-OrgID": "payments"}},
                },
            },
            secrets={
                "discord-webhook": {"capture": "discord"},
                "heartbeat": {"capture": "heartbeat"},
                "vault": {"file": str(place / "password")},
                "mimir": {"file": str(place / "token")},
            },
            loki=off,
            jaeger=off,
            grafana=off,
            node_exporter=off,
        )
        with environment.running():
            yield environment


def _found(remote: Environment, query: str) -> dict[str, float]:
    """The values of a query of the first Prometheus, by backend."""
    result = remote.get(9090, "/api/v1/query", query=query)["data"]["result"]
    return {each["metric"]["remote_name"]: float(each["value"][1]) for each in result}


def _in_the_vault(query: str) -> list[dict[str, str]]:
    url, login = f"http://{VAULT}/api/v1/query", ("watch", PASSWORD)
    answer: Any = httpx.get(url, params={"query": query}, auth=login, trust_env=False).raise_for_status().json()
    return [each["metric"] for each in answer["data"]["result"]]


@pytest.mark.usefixtures("remote")
def test_samples_of_both_replicas_arrive_where_a_password_is_asked_for() -> None:
    assert httpx.post(f"http://{VAULT}/api/v1/write", trust_env=False).status_code == 401
    for attempt in eventually(60):
        with attempt:
            found = _in_the_vault('up{job="alertmanager"} == 1')
            assert {each["replica"] for each in found} == {"prometheus", "prometheus-2"}
            assert {each["environment"] for each in found} == {"remote"}


@pytest.mark.usefixtures("remote")
def test_every_request_has_the_token_and_the_tenant(receiver: Receiver) -> None:
    for attempt in eventually(60):
        with attempt:
            assert receiver.asked
    assert {(each["Authorization"], each["X-Scope-Orgid"]) for each in receiver.asked} == {
        (f"Bearer {TOKEN}", "payments")
    }


def test_the_panels_on_it_have_data(remote: Environment) -> None:
    queries = [each for each in dashboards.queries(dashboards.build("prometheus")) if each.panel in PANELS]
    assert {each.panel for each in queries} == PANELS
    for attempt in eventually(60):
        with attempt:
            for each in queries:
                assert _found(remote, dashboards.runnable(each.expr, 15, 60)).keys() == {"vault", "mimir"}, each


def test_what_is_refused_and_what_is_held_up_shows_in_what_the_alerts_look_at(
    remote: Environment, receiver: Receiver
) -> None:
    failed = "sum by (remote_name) (prometheus_remote_storage_samples_failed_total)"
    age = "time() - min by (remote_name) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds)"
    assert _found(remote, failed) == {"vault": 0, "mimir": 0}
    receiver.status = 401
    for attempt in eventually(60):
        with attempt:
            assert _found(remote, failed)["mimir"] > 0
    receiver.status = 503
    for attempt in eventually(60):
        with attempt:
            assert _found(remote, age)["mimir"] > 20
    assert _found(remote, age)["vault"] < 10
    assert _found(remote, failed)["vault"] == 0
    receiver.status = 204
    for attempt in eventually(60):
        with attempt:
            assert _found(remote, age)["mimir"] < 10
