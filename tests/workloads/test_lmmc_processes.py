"""The three processes of LMMC, as a supervisor runs them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from exposition import differences
from websockets.sync.client import connect

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
# It takes 0.3 s; the rest is for a machine whose cores are all busy.
ENDED = 5
JOBS = {"qdrant": "qdrant", "lmmc-server": "server", "lmmc-cli": "cli"}


class Running:
    """Started processes by service."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = dict(zip(JOBS, _free_ports(len(JOBS)), strict=True))
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, service: str, *arguments: str) -> None:
        module = f"workloads.lmmc.{JOBS[service]}"
        peers = [each for name in JOBS if name != service for each in ("--peer", f"{name}={self.url(name)}")]
        listen = ("--listen", f"http=127.0.0.1:{self.ports[service]}", "--log-file", f"{service}.jsonl")
        self.processes[service] = subprocess.Popen(
            [sys.executable, "-m", module, *listen, *peers, *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def get(self, service: str, path: str) -> httpx.Response:
        return httpx.get(self.url(service) + path, trust_env=False)

    def stop(self, service: str) -> None:
        """End a process as the supervisor does: it must be quick and silent."""
        process = self.processes.pop(service)
        asked = time.monotonic()
        process.terminate()
        output, _ = process.communicate(timeout=10)
        assert (process.returncode, output) == (0, "")
        assert time.monotonic() - asked < ENDED

    def logged(self, service: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (self.directory / f"{service}.jsonl").read_text().splitlines()]


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    try:
        yield running
    finally:
        for process in running.processes.values():
            process.kill()
            process.communicate()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("it did not come true in 30 s")


def test_three_processes_work_together_and_end(running: Running) -> None:
    (running.directory / "data").mkdir()
    running.start("qdrant")
    _until(lambda: running.get("qdrant", "/readyz").status_code == 200)
    running.start("lmmc-server", "--rate", "50")
    _until(lambda: running.get("lmmc-server", "/health").json()["status"] == "healthy")
    running.start("lmmc-cli")
    _until(lambda: "websocket_connections_active 5.0" in running.get("lmmc-server", "/metrics").text)
    _until(lambda: 'status="success"} 1.0' in running.get("lmmc-cli", "/metrics").text)
    _until(lambda: 'lmmc_qdrant_operations_total{operation="upsert",status="success"} 0.0' not in _server(running))
    for service in JOBS:
        assert differences("lmmc", service, running.get(service, "/metrics").text) == []
    assert running.get("lmmc-cli", "/health/live").status_code == 200
    assert "lmmc_cli_commands_total" in (running.directory / "data" / "lmmc-cli.prom").read_text()
    _hear(running)
    for service in reversed(JOBS):
        running.stop(service)
    for service in JOBS:
        lines = running.logged(service)
        assert {line["service"] for line in lines} == {service}
        assert not [line for line in lines if line["level"] == "error" and "AI call" not in line["message"]]


def test_stopped_qdrant_is_found_again_with_its_collection_gone(running: Running) -> None:
    running.start("qdrant")
    running.start("lmmc-server")
    _until(lambda: running.get("lmmc-server", "/health").status_code == 200)
    task = {"content": "Rotate the keys", "repository": "web"}
    url = running.url("lmmc-server") + "/api/v1/tasks"
    assert httpx.post(url, json=task, trust_env=False).status_code == 201
    running.stop("qdrant")
    health = running.get("lmmc-server", "/health")
    assert (health.status_code, health.json()["checks"]["task_store"]["status"]) == (503, "healthy")
    assert httpx.post(url, json=task, trust_env=False).status_code == 201
    running.start("qdrant")
    _until(lambda: running.get("lmmc-server", "/health").status_code == 200)
    assert httpx.post(url, json=task, trust_env=False).status_code == 201
    assert running.get("qdrant", "/collections").json()["result"]["collections"] == [{"name": "tasks"}]
    assert 'lmmc_qdrant_operations_total{operation="upsert",status="success"} 2.0' in _server(running)


def _server(running: Running) -> str:
    return running.get("lmmc-server", "/metrics").text


def _hear(running: Running) -> None:
    """Subscribe, and wait for a task that the load generator moves."""
    with connect(f"ws://127.0.0.1:{running.ports['lmmc-server']}/ws", proxy=None) as client:
        client.send(json.dumps({"type": "subscribe", "repository": "api"}))
        kinds = {json.loads(client.recv(timeout=10))["type"] for _ in range(3)}
    assert "subscribed" in kinds
    assert kinds <= {"subscribed", "task", "answer"}
