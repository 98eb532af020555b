"""The programs as a supervisor runs them: they start, work, and end on SIGTERM."""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from workloads.serve import Address, address

ROOT = Path(__file__).parents[2]
# It takes 0.4 s; the rest is for a machine whose cores are all busy.
ENDED = 5


@contextmanager
def _running(directory: Path, module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--listen", f"http=127.0.0.1:{port}", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def _wait(client: httpx.Client, path: str, text: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if text in client.get(path).text:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    pytest.fail(f"{path} did not show {text!r}")


def _stop(process: subprocess.Popen[str]) -> tuple[float, str]:
    asked = time.monotonic()
    process.terminate()
    output, _ = process.communicate(timeout=10)
    return time.monotonic() - asked, output


def test_application_drives_itself_and_stops_with_requests_under_way(tmp_path: Path) -> None:
    log = tmp_path / "log" / "app.jsonl"
    arguments = ("--log-file", str(log), "--seed", "1", "--rate", "100")
    with _running(tmp_path, "workloads.boss_workflow", *arguments) as (process, client):
        _wait(client, "/metrics", 'endpoint="/api/db/tasks",method="POST",status="201"} 1')
        client.post("/_sim/fault", json={"fault": "http_latency", "value": 30})
        while client.get("/_sim/rate").json()["in_flight"] < 10:
            time.sleep(0.02)
        seconds, output = _stop(process)
    assert process.returncode == 0
    assert seconds < ENDED
    assert output == ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "task created" in {line["message"] for line in lines}
    assert {"time", "level", "message", "logger", "service"} <= set.intersection(*(set(line) for line in lines))
    # One call of the AI in a hundred fails whatever happens.
    assert {line["message"] for line in lines if line["level"] == "error"} <= {"AI call failed"}
    assert not [line for line in lines if "traceback" in line]


def test_capture_starts_and_stops(tmp_path: Path) -> None:
    with _running(tmp_path, "workloads.capture", "--data", "data") as (process, client):
        _wait(client, "/healthz", "ok")
        assert client.post("/webhook", json={"alerts": []}).text == "ok"
        seconds, output = _stop(process)
    assert process.returncode == 0
    assert seconds < ENDED
    assert "Traceback" not in output
    assert json.loads((tmp_path / "data" / "notifications.jsonl").read_text())["path"] == "/webhook"


def test_address_is_host_and_port() -> None:
    assert address("127.0.0.1:18000") == Address("127.0.0.1", 18000)
    assert address("[::1]:80") == Address("::1", 80)


@pytest.mark.parametrize("text", ["18000", ":18000", "localhost:", "localhost:0", "localhost:65536", "a:b"])
def test_bad_address_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not host:port, such as"):
        address(text)
