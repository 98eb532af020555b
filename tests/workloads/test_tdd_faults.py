"""Every fault moves the metric that its alert watches, and ends."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgi_client import Client, opened

from instrument import Metrics
from instrument.sqlite import Database
from workloads.tdd_project.app import TddProject
from workloads.tdd_project.store import FILE

ROUNDS = 30
PATH = "/api/cycles"


@pytest.fixture(name="tdd")
def _tdd(tmp_path: Path) -> Iterator[Client]:
    """Waits are a hundredth of what they simulate."""
    with opened(TddProject(tmp_path, 1, pace=0.01).app) as client:
        client.post(PATH, {"title": "Reject an empty basket"})
        yield client


def _switch(tdd: Client, fault: str, value: float) -> None:
    answer = tdd.post("/_sim/fault", {"fault": fault, "value": value})
    assert answer.status_code == 200
    assert answer.json()["value"] == value


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def _intact(path: Path) -> float:
    found = Database(Metrics(), path, keep=0).intact()
    assert isinstance(found, float)
    return found


def test_db_connect_errors_fail_that_share_and_end(tdd: Client) -> None:
    _switch(tdd, "db_connect_errors", 0.5)
    answers = [tdd.get(PATH) for _ in range(ROUNDS)]
    failed = [answer for answer in answers if answer.status_code == 503]
    assert 0 < len(failed) < ROUNDS
    assert "unable to open database file" in failed[0].json()["error"]
    assert tdd.value("database_connections_failed_total") == len(failed)
    assert tdd.value("http_requests_total", handler=PATH, status="503") == len(failed)
    assert tdd.value("database_query_duration_seconds_count", operation="list_cycles") == ROUNDS - len(failed)
    _switch(tdd, "db_connect_errors", 0)
    assert {tdd.get(PATH).status_code for _ in range(ROUNDS)} == {200}


def test_db_latency_is_in_the_query_histogram(tdd: Client) -> None:
    _switch(tdd, "db_latency", 2)
    tdd.get("/api/summary")
    assert tdd.value("database_query_duration_seconds_sum", operation="summary") >= 0.02
    assert tdd.value("database_query_duration_seconds_bucket", operation="summary", le="0.01") == 0


def test_http_errors_answer_500_for_that_share(tdd: Client) -> None:
    _switch(tdd, "http_errors", 0.3)
    statuses = [tdd.get(PATH).status_code for _ in range(ROUNDS)]
    assert 0 < statuses.count(500) < ROUNDS
    assert tdd.value("http_requests_total", handler=PATH, status="500") == statuses.count(500)


def test_http_latency_is_in_the_histogram(tdd: Client) -> None:
    _switch(tdd, "http_latency", 3)
    tdd.get("/api/summary")
    assert tdd.value("http_request_duration_seconds_sum", handler="/api/summary") >= 0.03
    assert tdd.value("http_request_duration_seconds_bucket", handler="/api/summary", le="0.025") == 0


def test_sqlite_corrupt_is_found_by_the_check_and_by_nobody_else(tdd: Client, tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert _intact(path) == 1
    _switch(tdd, "sqlite_corrupt", 1)
    assert _until(lambda: _intact(path) == 0)
    assert Database(Metrics(), path, keep=0).up() == 1
    for number in range(2, ROUNDS):
        assert tdd.post(PATH, {"title": f"cycle {number}"}).json()["cycle_id"] == number
        assert tdd.post(f"{PATH}/{number}/phases", {"outcome": "success", "seconds": 60}).status_code == 200
    assert _intact(path) == 0
    _switch(tdd, "sqlite_corrupt", 0)
    assert _until(lambda: _intact(path) == 1)
    assert len(tdd.get(f"{PATH}?phase=green").json()["cycles"]) == ROUNDS - 2


def test_damage_ends_with_the_application(tmp_path: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app):
        project.faults.switch("sqlite_corrupt", 1)
        assert _until(lambda: _intact(tmp_path / FILE) == 0)
    assert _sound(tmp_path / FILE)


def test_damage_that_a_killed_application_left_is_mended_at_the_next_start(tmp_path: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app) as tdd:
        tdd.post(PATH, {"title": "Report a broken upload"})
        project.faults.switch("sqlite_corrupt", 1)
        assert _until(lambda: _intact(tmp_path / FILE) == 0)
        # What a kill leaves: the file and its log, as they are.
        left = tmp_path / "left"
        left.mkdir()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{tmp_path / FILE}{suffix}", f"{left / FILE}{suffix}")
    assert not _sound(left / FILE)
    project = TddProject(left, 1, pace=0)
    assert _intact(left / FILE) == 1
    with opened(project.app) as tdd:
        assert len(tdd.get(PATH).json()["cycles"]) == 1


def test_database_is_whole_and_all_written_when_the_application_ends(tmp_path: Path) -> None:
    with opened(TddProject(tmp_path, 1, pace=0).app) as tdd:
        tdd.post(PATH, {"title": "Round the tax to cents"})
    assert _sound(tmp_path / FILE)
    assert not os.path.exists(f"{tmp_path / FILE}-wal")  # noqa: PTH110 - a suffix of a suffix


def _sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return bool(found == [("ok",)])
