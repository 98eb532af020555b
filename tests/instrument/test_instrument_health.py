"""Checks run side by side, answer in time whatever they do, and show on the page and in the gauge alike."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from asgi_client import opened
from starlette.applications import Starlette

from instrument import Metrics
from instrument.health import Check, Health


def _works() -> None:
    pass


def _refuses() -> None:
    raise ConnectionError("connection refused")


async def _hangs() -> None:
    await asyncio.sleep(60)


def _blocking(until: threading.Event) -> Callable[[], bool]:
    return lambda: until.wait(60)


def _health(*checks: Check, metrics: Metrics | None = None) -> Health:
    return Health(metrics, checks, version="1.2.3")


def test_body_has_the_agreed_fields() -> None:
    body = _health(Check("database", _works), Check("cache", _refuses, critical=False)).report_now().body()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(body.pop("timestamp")))
    checks = body.pop("checks")
    assert isinstance(checks, dict)
    assert all(isinstance(check.pop("duration_ms"), float) for check in checks.values())
    assert checks == {
        "database": {"status": "healthy"},
        "cache": {"status": "unhealthy", "message": "connection refused"},
    }
    assert body == {"status": "degraded", "version": "1.2.3"}


@pytest.mark.parametrize(
    ("first", "second", "status", "code"),
    [
        (_works, _works, "healthy", 200),
        (_works, _refuses, "degraded", 200),
        (_refuses, _works, "unhealthy", 503),
        (_refuses, _refuses, "unhealthy", 503),
    ],
)
def test_only_a_critical_failure_takes_the_application_out(
    first: Callable[[], None], second: Callable[[], None], status: str, code: int
) -> None:
    report = _health(Check("database", first), Check("cache", second, critical=False)).report_now()
    assert (report.status, report.code) == (status, code)


def test_probes_that_hang_are_given_up_side_by_side() -> None:
    release = threading.Event()
    # One after the other they would take three times as long.
    checks = [
        Check("loop", _hangs, timeout=1),
        Check("thread", _blocking(release), timeout=1),
        Check("again", _blocking(release), timeout=1),
        Check("well", _works),
    ]
    started = time.perf_counter()
    report = _health(*checks).report_now()
    assert time.perf_counter() - started < 2.5
    release.set()
    messages = {name: result.message for name, result in report.checks.items()}
    late = "no answer in 1 s"
    assert messages == {"loop": late, "thread": late, "again": late, "well": ""}


def test_a_probe_that_still_hangs_gets_no_second_thread() -> None:
    release = threading.Event()
    health = _health(Check("store", _blocking(release), timeout=0.05))
    health.report_now()
    before = threading.active_count()
    for _ in range(3):
        assert health.report_now().checks["store"].message == "no answer in 0.05 s"
    assert threading.active_count() == before
    release.set()


def test_any_exception_is_a_failure_with_a_message() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    def leaves() -> None:
        raise SystemExit("gone")

    def silent() -> None:
        raise ValueError

    def long() -> None:
        raise ValueError("x" * 10_000)

    checks = [Check(probe.__name__, probe) for probe in (cancelled, leaves, silent, long)]
    results = _health(*checks).report_now().checks
    assert results["cancelled"].message == "cancelled"
    assert results["leaves"].message == "gone"
    assert results["silent"].message == "ValueError"
    assert len(results["long"].message) == 300


def test_a_plain_function_may_give_something_to_await() -> None:
    async def fails() -> None:
        raise OSError("disk full")

    def plain() -> Awaitable[None]:
        return fails()

    assert _health(Check("disk", plain)).report_now().checks["disk"].message == "disk full"


def test_pages_run_all_checks_none_and_the_critical_ones() -> None:
    asked: list[str] = []
    health = _health(
        Check("database", lambda: asked.append("database")), Check("cache", lambda: asked.append("cache"), False)
    )
    with opened(Starlette(routes=list(health.routes()))) as client:
        assert client.get("/health/live").json()["checks"] == {}
        assert asked == []
        assert list(client.get("/health/ready").json()["checks"]) == ["database"]
        answer = client.get("/health")
        assert sorted(answer.json()["checks"]) == ["cache", "database"]
        assert answer.headers["cache-control"] == "no-store"


def test_unhealthy_page_answers_503_and_live_still_200() -> None:
    with opened(Starlette(routes=list(_health(Check("database", _refuses)).routes()))) as client:
        assert client.get("/health").status_code == 503
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200


def test_gauge_follows_the_probes_at_each_scrape() -> None:
    metrics = Metrics("shop_", keep=0)
    down: list[str] = []

    def database() -> None:
        if down:
            raise ConnectionError

    _health(Check("database", database), Check("cache", _refuses, False), metrics=metrics)
    text = metrics.exposition()[0].decode()
    assert 'shop_health_check_status{check="database"} 1.0' in text
    assert 'shop_health_check_status{check="cache"} 0.0' in text
    down.append("database")
    assert 'shop_health_check_status{check="database"} 0.0' in metrics.exposition()[0].decode()


def test_gauge_may_have_another_name_and_label() -> None:
    metrics = Metrics()
    Health(metrics, [Check("app", _works)], version="1", gauge="application_health_status", label="component")
    assert 'application_health_status{component="app"} 1.0' in metrics.exposition()[0].decode()


def test_scrapes_ask_asynchronous_probes_on_the_loop_of_the_application() -> None:
    metrics = Metrics()
    loops: set[int] = set()

    async def probe() -> None:
        loops.add(id(asyncio.get_running_loop()))

    health = _health(Check("client", probe), metrics=metrics)
    with opened(Starlette(routes=list(health.routes()))) as client:
        client.get("/health")
        text = metrics.exposition()[0].decode()
    assert 'health_check_status{check="client"} 1.0' in text
    assert len(loops) == 1


def test_names_and_timeouts_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        _health(Check("a", _works), Check("a", _works))
    with pytest.raises(ValueError, match="slow: a scrape waits for 5 s only"):
        _health(Check("slow", _works, timeout=6), metrics=Metrics())


def test_the_blocking_report_is_refused_where_it_would_block_a_loop() -> None:
    async def ask() -> None:
        _health().report_now()

    with pytest.raises(RuntimeError, match="await report instead"):
        asyncio.run(ask())


@pytest.mark.parametrize("module", ["health", "logs", "tracing", "cli", "sqlite", "alerts", "bridge"])
def test_modules_need_prometheus_client_alone(module: str) -> None:
    program = (
        "import sys\n"
        "for name in ('starlette', 'httpx', 'yaml', 'opentelemetry', 'pydantic'): sys.modules[name] = None\n"
        f"import instrument.{module}\n"
    )
    environment = {"PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
