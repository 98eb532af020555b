"""The API over the real database file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from asgi_client import Client, opened

from workloads.tdd_project.app import TddProject

PASSED = {"outcome": "success", "seconds": 240}


@pytest.fixture(name="tdd")
def _tdd(tmp_path: Path) -> Iterator[Client]:
    with opened(TddProject(tmp_path, 1, pace=0).app) as client:
        client.post("/api/cycles", {"title": "Round the tax to cents"})
        yield client


def test_cycle_goes_from_red_to_green_to_refactor_to_done(tdd: Client) -> None:
    assert tdd.get("/api/cycles/1").json()["phase"] == "red"
    phases = [tdd.post("/api/cycles/1/phases", PASSED).json()["phase"] for _ in range(3)]
    assert phases == ["green", "refactor", "done"]
    assert tdd.get("/api/cycles/1").json()["phase"] == "done"
    history = tdd.get("/api/cycles/1/phases").json()["phases"]
    assert [phase["phase"] for phase in history] == ["red", "green", "refactor"]


def test_failed_phase_is_repeated(tdd: Client) -> None:
    assert tdd.post("/api/cycles/1/phases", {"outcome": "failure", "seconds": 60}).json()["phase"] == "red"
    assert tdd.post("/api/cycles/1/phases", PASSED).json()["phase"] == "green"
    assert tdd.get("/api/summary").json()["phases"] == [
        {"phase": "red", "outcome": "failure", "phases": 1, "mean_seconds": 60},
        {"phase": "red", "outcome": "success", "phases": 1, "mean_seconds": 240},
    ]


def test_list_is_newest_first_and_of_one_phase(tdd: Client) -> None:
    tdd.post("/api/cycles", {"title": "Sort by due date"})
    tdd.post("/api/cycles/1/phases", PASSED)
    assert [cycle["cycle_id"] for cycle in tdd.get("/api/cycles").json()["cycles"]] == [2, 1]
    assert [cycle["cycle_id"] for cycle in tdd.get("/api/cycles?phase=green").json()["cycles"]] == [1]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/api/cycles", {"title": ""}, 422, "give a text of 1 to 200 characters"),
        ("POST", "/api/cycles", {"title": "x" * 100_000}, 413, "the body is larger"),
        ("GET", "/api/cycles?phase=blue", None, 422, "give one of red, green, refactor, done"),
        ("POST", "/api/cycles/1/phases", {"outcome": "maybe", "seconds": 1}, 422, "give one of success, failure"),
        ("POST", "/api/cycles/1/phases", {"outcome": "success"}, 422, "give a number from 0 to 86400"),
        ("POST", "/api/cycles/1/phases", {"outcome": "success", "seconds": -1}, 422, "give a number from 0 to 86400"),
        ("POST", "/api/cycles/2/phases", PASSED, 404, "no cycle '2'"),
    ],
)
def test_bad_request_is_refused(tdd: Client, method: str, path: str, body: object, status: int, error: str) -> None:
    answer = tdd.request(method, path, json=body)
    assert answer.status_code == status
    assert error in answer.json()["error"]


def test_done_cycle_has_no_phase_to_end(tdd: Client) -> None:
    answers = [tdd.post("/api/cycles/1/phases", PASSED) for _ in range(4)]
    assert answers[3].status_code == 409
    assert "cycle 1 is done" in answers[3].json()["error"]


@pytest.mark.parametrize("cycle_id", ["2", "01", "-1", "1'--", "9" * 30, "%D9%A1"])
def test_unknown_cycle_is_not_found(tdd: Client, cycle_id: str) -> None:
    assert tdd.get(f"/api/cycles/{cycle_id}").status_code == 404
    assert tdd.get(f"/api/cycles/{cycle_id}/phases").status_code == 404


def test_prune_keeps_open_cycles_and_drops_finished_ones(tmp_path: Path) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app) as tdd:
        for title in ("one", "two", "three", "four"):
            tdd.post("/api/cycles", {"title": title})
        for _ in range(3):
            tdd.post("/api/cycles/3/phases", PASSED)
        tdd.run(lambda: project.store.prune(kept=2))
        assert [cycle["title"] for cycle in tdd.get("/api/cycles").json()["cycles"]] == ["four", "two"]
        assert tdd.get("/api/cycles/3/phases").status_code == 404
        assert tdd.get("/api/summary").json()["phases"] == []


def test_cycles_survive_a_restart(tmp_path: Path) -> None:
    for number in (1, 2):
        with opened(TddProject(tmp_path, 1, pace=0).app) as tdd:
            assert tdd.post("/api/cycles", {"title": "again"}).json()["cycle_id"] == number


def test_health_has_the_agreed_shape_and_tells_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = TddProject(tmp_path, 1, pace=0)
    with opened(project.app), opened(project.health) as health:
        report = health.get("/health").json()
        assert sorted(report) == ["checks", "status", "timestamp", "version"]
        assert report["status"] == "healthy"
        assert sorted(report["checks"]) == ["database", "disk"]
        monkeypatch.setattr("workloads.tdd_project.health.FREE_BYTES", 2**80)
        degraded = health.get("/health")
        assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
        assert "MiB are needed" in degraded.json()["checks"]["disk"]["message"]
        project.faults.switch("db_connect_errors", 1)
        failed = health.get("/health")
        assert (failed.status_code, failed.json()["status"]) == (503, "unhealthy")
        assert health.get("/health/ready").status_code == 503
        assert health.get("/health/live").status_code == 200
        text = health.get("/health/metrics").text
    assert 'application_health_status{component="database"} 0.0' in text
    assert 'application_health_status{component="disk"} 0.0' in text
