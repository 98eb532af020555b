"""The two processes as a supervisor runs them, side by side in directories of their own."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
# It takes 0.4 s; the rest is for a machine whose cores are all busy.
ENDED = 5


class Running:
    """A process and a client for each of its ports."""

    def __init__(self, directory: Path, module: str, *ports: str, more: tuple[str, ...] = ()) -> None:
        directory.mkdir()
        self.clients = {}
        listen = []
        for name, port in zip(ports, _free(len(ports)), strict=True):
            listen += ["--listen", f"{name}=127.0.0.1:{port}"]
            self.clients[name] = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *listen, *more],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self) -> tuple[float, str]:
        """Ask it to end: how long that took, and what it wrote."""
        asked = time.monotonic()
        self.process.terminate()
        output, _ = self.process.communicate(timeout=10)
        return time.monotonic() - asked, output

    def wait(self, port: str, path: str, pattern: str) -> str:
        """The text of a page, once it matches somewhere."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if re.search(pattern, answer := self.clients[port].get(path).text):
                    return answer
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        pytest.fail(f"{path} did not show {pattern!r}")

    def end(self) -> None:
        for client in self.clients.values():
            client.close()
        self.process.kill()
        self.process.communicate()


def _free(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for_damage(path: Path) -> None:
    """The exporter keeps what it found for ten seconds: its first look must be late enough."""
    deadline = time.monotonic() + 10
    while _sound(path):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _sound(path: Path) -> bool:
    # A connection of its own: pages that it has read once it does not read again.
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA quick_check").fetchall()
    connection.close()
    return bool(found == [("ok",)])


@contextmanager
def _application(tmp_path: Path, *more: str) -> Iterator[Running]:
    log = ("--log-file", "log/app.log", "--seed", "1", *more)
    running = Running(tmp_path / "tdd-app", "workloads.tdd_project", "http", "health", "webhook", more=log)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def _exporter(tmp_path: Path) -> Iterator[Running]:
    data = ("--data", "../tdd-app/data")
    running = Running(tmp_path / "sqlite-exporter", "workloads.tdd_project.exporter", "http", more=data)
    try:
        yield running
    finally:
        running.end()


def test_application_drives_itself_and_stops_with_requests_under_way(tmp_path: Path) -> None:
    with _application(tmp_path, "--rate", "100") as application:
        application.wait("http", "/metrics", 'tdd_phases_completed_total{outcome="success",phase="red"} [1-9]')
        application.wait("health", "/health/metrics", 'application_health_status{component="database"} 1.0')
        assert application.clients["webhook"].post("/webhook", json={"alerts": []}).status_code == 200
        assert len(application.clients["webhook"].get("/webhook").json()) == 1
        http = application.clients["http"]
        http.post("/_sim/fault", json={"fault": "http_latency", "value": 30})
        while http.get("/_sim/rate").json()["in_flight"] < 10:
            time.sleep(0.02)
        seconds, output = application.stop()
    assert application.process.returncode == 0
    assert seconds < ENDED
    assert "Traceback" not in output
    assert " INFO streamlit_extension: cycle started" in output
    lines = [json.loads(line) for line in (tmp_path / "tdd-app" / "log" / "app.log").read_text().splitlines()]
    assert {"streamlit_extension", "duration_system"} <= {str(line["logger"]) for line in lines}
    assert not [line for line in lines if line["level"] == "error" or "traceback" in line]


def test_exporter_reads_the_database_beside_it_and_sees_its_damage(tmp_path: Path) -> None:
    with _application(tmp_path) as application:
        application.wait("http", "/_sim/faults", "sqlite_corrupt")
        application.clients["http"].post("/_sim/fault", json={"fault": "sqlite_corrupt", "value": 1})
        _wait_for_damage(tmp_path / "tdd-app" / "data" / "tdd.db")
        with _exporter(tmp_path) as exporter:
            text = exporter.wait("http", "/metrics", "sqlite_up 1.0")
            assert "sqlite_integrity_ok 0.0" in text
            seconds, output = exporter.stop()
        assert exporter.process.returncode == 0
        assert seconds < ENDED
        assert "Traceback" not in output
        assert application.clients["http"].post("/api/cycles", json={"title": "on"}).status_code == 201


def test_exporter_without_a_database_says_that_it_is_down(tmp_path: Path) -> None:
    with _exporter(tmp_path) as exporter:
        exporter.wait("http", "/metrics", "sqlite_up 0.0")
    assert not (tmp_path / "tdd-app").exists()
