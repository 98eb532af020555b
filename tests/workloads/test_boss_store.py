"""The task API over the real database, and its pool."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from asgi_client import Client, opened

from workloads.boss_workflow import BossWorkflow
from workloads.pool import Hold, Pool, PoolState, PoolTimeoutError

TASK = {"title": "Review the budget", "assignee": "ana", "priority": "high"}


@pytest.fixture(name="boss")
def _boss() -> Iterator[Client]:
    with opened(BossWorkflow(1, pace=0, keep=0, limit=1000).app) as client:
        yield client


def test_task_is_created_read_moved_and_audited(boss: Client) -> None:
    task = boss.post("/api/db/tasks", TASK).json()
    assert task["task_id"] == "TASK-1"
    assert task["status"] == "pending"
    assert boss.get("/api/db/tasks/TASK-1").json() == task
    assert boss.patch("/api/db/tasks/TASK-1", {"status": "in_progress"}).json()["status"] == "in_progress"
    assert boss.get("/api/db/tasks/TASK-1").json()["status"] == "in_progress"
    assert [found["task_id"] for found in boss.get("/api/db/tasks?status=in_progress").json()["tasks"]] == ["TASK-1"]
    (change,) = boss.get("/api/db/audit/TASK-1").json()["changes"]
    assert (change["was"], change["became"]) == ("pending", "in_progress")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/api/db/tasks", TASK | {"priority": "huge"}, 422, "give one of low, medium, high, urgent"),
        ("POST", "/api/db/tasks", TASK | {"title": ""}, 422, "give a text of 1 to 200 characters"),
        ("POST", "/api/db/tasks", TASK | {"title": "x" * 100_000}, 413, "the body is larger"),
        ("PATCH", "/api/db/tasks/TASK-1", {"status": "completed"}, 409, "accepted: in_progress, cancelled"),
        ("PATCH", "/api/db/tasks/TASK-1", {"status": "done"}, 422, "give one of pending"),
        ("PATCH", "/api/db/tasks/TASK-2", {"status": "in_progress"}, 404, "no task 'TASK-2'"),
        ("POST", "/api/ai/poem", {"text": "x"}, 404, "accepted: breakdown, priority, summary"),
    ],
)
def test_bad_request_is_refused(boss: Client, method: str, path: str, body: object, status: int, error: str) -> None:
    boss.post("/api/db/tasks", TASK)
    answer = boss.request(method, path, json=body)
    assert answer.status_code == status
    assert error in answer.json()["error"]


@pytest.mark.parametrize("task_id", ["TASK-2", "TASK-01", "1", "TASK-9999999999999999999", "TASK-1'--"])
def test_unknown_task_is_not_found(boss: Client, task_id: str) -> None:
    boss.post("/api/db/tasks", TASK)
    assert boss.get(f"/api/db/tasks/{task_id}").status_code == 404
    assert boss.get(f"/api/db/audit/{task_id}").status_code == 404


def test_prune_keeps_open_tasks_and_drops_finished_ones() -> None:
    application = BossWorkflow(1, pace=0, keep=0, limit=1000)
    with opened(application.app) as boss:
        for _ in range(4):
            boss.post("/api/db/tasks", TASK)
        boss.patch("/api/db/tasks/TASK-3", {"status": "cancelled"})
        boss.run(lambda: application.store.prune(kept=2))
        assert [task["task_id"] for task in boss.get("/api/db/tasks").json()["tasks"]] == ["TASK-4", "TASK-2"]
        assert boss.get("/api/db/audit/TASK-3").status_code == 404


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/db"])
def test_health_checks_are_told(boss: Client, path: str) -> None:
    answer = boss.get(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["checks"]["database"]["status"] == "healthy"


def test_liveness_asks_nothing(boss: Client) -> None:
    assert boss.get("/health/live").status_code == 200
    assert boss.get("/health/live").json()["checks"] == {}


def test_health_has_the_agreed_shape(boss: Client) -> None:
    report = boss.get("/health").json()
    assert sorted(report) == ["checks", "status", "timestamp", "version"]
    assert report["status"] == "healthy"
    assert sorted(report["checks"]) == ["database", "redis"]
    assert report["checks"]["database"]["duration_ms"] >= 0
    assert "message" not in report["checks"]["database"]


def test_tasks_are_counted_in_another_thread_while_queries_run() -> None:
    """A query never fails because a scrape reads, and the other way round."""
    application = BossWorkflow(1, pace=0, keep=0, limit=10_000)
    done = Event()

    def scrape(boss: Client) -> int:
        scrapes = 0
        while not done.is_set():
            boss.value("tasks_by_status")
            scrapes += 1
        return scrapes

    with opened(application.app) as boss, ThreadPoolExecutor(1) as pool:
        scraping = pool.submit(scrape, boss)
        try:
            answers = [boss.post("/api/db/tasks", TASK).status_code for _ in range(300)]
        finally:
            done.set()
        assert scraping.result() > 0
        assert set(answers) == {201}
        assert boss.value("tasks_by_status", status="pending") == 300
        assert boss.value("instrument_faults_total") == 0


def test_pool_keeps_its_size_and_closes_overflow() -> None:
    async def use() -> tuple[PoolState, PoolState]:
        pool = _pool()
        assert pool.state == PoolState(size=2, checked_in=0, checked_out=0, overflow=0)
        connections = [await pool.acquire() for _ in range(5)]
        busy = pool.state
        for connection in connections:
            pool.release(connection)
        after = pool.state
        pool.close()
        return busy, after

    busy, after = asyncio.run(use())
    assert busy == PoolState(size=2, checked_in=0, checked_out=5, overflow=3)
    assert after == PoolState(size=2, checked_in=2, checked_out=0, overflow=0)


def test_full_pool_refuses_after_its_timeout_and_serves_who_waits() -> None:
    async def use() -> None:
        pool = _pool()
        hold = Hold(pool)
        await hold.keep(99)
        assert pool.state.checked_out == 5
        with pytest.raises(PoolTimeoutError, match=r"in 0\.05 s: all 5 are in use"):
            await pool.acquire()
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        await hold.keep(4)
        (await waiting).close()
        await hold.keep(0)
        pool.close()

    asyncio.run(use())


def _pool() -> Pool:
    return Pool(lambda: sqlite3.connect(":memory:"), size=2, max_overflow=3, timeout=0.05)
