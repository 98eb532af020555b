"""A script that runs anew at every click has one registry, and one server for it."""

import runpy
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from asgi_calls import counted

from instrument import Metrics, streamlit
from instrument.health import Check, Health
from instrument.streamlit import kept, serve

SCRIPT = """
from instrument import Metrics
from instrument.streamlit import kept, serve

class Page:
    def __init__(self):
        self.metrics = Metrics()
        self.views = self.metrics.counter("views_total", "Views.")
        serve(self.metrics, "127.0.0.1", {port})

page = kept("page", Page)
page.views.inc()
"""


@pytest.fixture(name="port")
def _port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A free port. What is kept and served in a test is gone after it."""
    monkeypatch.setattr(streamlit, "_KEPT", {})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    yield port
    if server := streamlit._SERVERS.get(("127.0.0.1", port)):
        server.close()


def _get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)


def test_script_run_again_counts_on_and_is_served_once(port: int, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text(SCRIPT.format(port=port))
    for _ in range(5):
        runpy.run_path(str(script), run_name="__main__")
    text = _get(port, "/metrics").text
    assert "\nviews_total 5.0\n" in text
    assert "instrument_faults_total{part=" in text
    assert 'part="exposition"} 1.0' not in text


def test_sessions_at_once_share_what_is_kept(port: int) -> None:
    made: list[Metrics] = []

    def make() -> Metrics:
        made.append(Metrics())
        serve(made[-1], "127.0.0.1", port)
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kept("metrics", make), range(8)))
    assert len(made) == 1
    assert all(each is made[0] for each in found)


def test_health_is_served_beside_the_metrics(port: int) -> None:
    def refuses() -> None:
        raise ConnectionError("refused")

    metrics = Metrics()
    checks = [Check("database", refuses), Check("cache", refuses, critical=False)]
    serve(metrics, "127.0.0.1", port, Health(metrics, checks, version="1.0.0"))
    answers = [_get(port, path) for path in ("/health", "/health/live", "/health/ready", "/none", "/metrics")]
    assert [answer.status_code for answer in answers] == [503, 200, 503, 404, 200]
    assert answers[0].json()["checks"].keys() == {"database", "cache"}
    assert answers[2].json()["checks"].keys() == {"database"}
    assert 'health_check_status{check="database"} 0.0' in answers[4].text


def test_port_that_is_taken_is_a_fault_and_no_exception(port: int) -> None:
    metrics = Metrics()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert serve(metrics, "127.0.0.1", port) is None
    assert counted(metrics, "instrument_faults_total") == {("exposition",): 1}
    assert serve(metrics, "127.0.0.1", port) is not None


def test_nothing_is_served_when_metrics_are_off(port: int) -> None:
    assert serve(Metrics(enabled=False), "127.0.0.1", port) is None
    with pytest.raises(httpx.ConnectError):
        _get(port, "/metrics")
