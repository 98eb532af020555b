"""The processes of GraphMemory as a supervisor runs them: their ports, the way between them, and their end."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TOKEN = "not-a-secret"  # noqa: S105 - of this test
# It takes 0.4 s; the rest is for a machine whose cores are all busy.
ENDED = 5


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _running(directory: Path, module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"workloads.graphmemory.{module}", "--log-file", f"log/{module}.log", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _get(port: int, path: str) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=5).text
    except httpx.TransportError:
        return ""


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("it did not come")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    asked = time.monotonic()
    process.terminate()
    output, _ = process.communicate(timeout=10)
    assert time.monotonic() - asked < ENDED
    return process.returncode, output


def test_api_and_bridge_serve_their_ports_see_each_other_and_stop(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "graphmemory-bridge").write_text(f"{TOKEN}\n")
    http, postgres, redis, hooks = (_free() for _ in range(4))
    peer = f"graphmemory-bridge=http://127.0.0.1:{hooks}"
    ports = {"http": http, "postgres-exporter": postgres, "redis-exporter": redis}
    listen = [part for name, port in ports.items() for part in ("--listen", f"{name}=127.0.0.1:{port}")]
    with (
        _running(tmp_path, "bridge", "--listen", f"http=127.0.0.1:{hooks}", "--escalation", "1", "2", "3") as bridge,
        _running(tmp_path, "api", *listen, "--peer", peer, "--rate", "50") as api,
    ):
        _wait(lambda: bool(re.search(r'operation="create",status="success"} [1-9]', _get(http, "/metrics"))))
        assert "\npg_up 1" in _get(postgres, "/metrics")
        assert "\nredis_up 1" in _get(redis, "/metrics")
        _wait(lambda: "graphmemory_alerts_received_total" in _get(hooks, "/metrics"))
        assert '"bridge":{"status":"healthy"' in _get(http, "/health")
        webhook = f"http://127.0.0.1:{hooks}/alerts"
        batch = {"version": "4", "alerts": []}
        assert httpx.post(webhook, json=batch, trust_env=False).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(webhook, json=batch, headers=headers, trust_env=False).status_code == 200
        assert _stop(bridge) == (0, "")
        _wait(lambda: 'graphmemory_health_check_status{check="bridge"} 0.0' in _get(http, "/metrics"))
        fault = {"fault": "http_latency", "value": 30}
        assert httpx.post(f"http://127.0.0.1:{http}/_sim/fault", json=fault, trust_env=False).status_code == 200
        _wait(lambda: json.loads(_get(http, "/_sim/rate"))["in_flight"] > 10)
        assert _stop(api) == (0, "")
    lines = [json.loads(line) for line in (tmp_path / "log" / "api.log").read_text().splitlines()]
    assert {line["service"] for line in lines} == {"graphmemory-api"}
    assert {"request", "knowledge extracted"} <= {line["message"] for line in lines}
    # One text in a hundred is beyond it whatever happens.
    assert {line["error"] for line in lines if line["level"] == "error"} <= {
        "the model gave no answer that can be read"
    }
    assert not [line for line in lines if "traceback" in line]


def test_only_the_ports_that_are_given_are_opened(tmp_path: Path) -> None:
    http, postgres = _free(), _free()
    ports = ("--listen", f"http=127.0.0.1:{http}", "--listen", f"postgres-exporter=127.0.0.1:{postgres}")
    with _running(tmp_path, "api", *ports) as api:
        _wait(lambda: "pg_up" in _get(postgres, "/metrics"))
        assert "graphmemory_http_requests_total" not in _get(postgres, "/metrics")
        opened = {each.laddr.port for each in psutil.Process(api.pid).net_connections("tcp") if each.status == "LISTEN"}
        assert opened == {http, postgres}
        assert _stop(api) == (0, "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mysql-exporter", "no such port; there are http, postgres-exporter, redis-exporter"),
        ("redis-exporter", "--listen http=HOST:PORT is missing"),
    ],
)
def test_ports_that_it_cannot_serve_are_refused(tmp_path: Path, name: str, said: str) -> None:
    with _running(tmp_path, "api", "--listen", f"{name}=127.0.0.1:{_free()}") as api:
        output, _ = api.communicate(timeout=20)
        assert api.returncode == 1
        assert said in output
