"""What the three jobs expose is what the profile says, and counts what happened."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asgi_client import Client, opened
from exposition import differences
from prometheus_client.parser import text_string_to_metric_families

from instrument import Metrics
from instrument.sqlite import Database
from workloads.load import Call
from workloads.tdd_project.app import TddProject
from workloads.tdd_project.store import FILE
from workloads.tdd_project.traffic import TddTraffic

SYSTEM = "tdd-project"
CALLS = 600


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> TddProject:
    return TddProject(tmp_path, 1, pace=0)


@contextmanager
def _ports(project: TddProject) -> Iterator[tuple[Client, Client]]:
    with opened(project.app) as http, opened(project.health) as health:
        yield http, health


def _drive(tdd: Client, calls: int) -> list[tuple[Call, int]]:
    """Send what users do: each call with the status of its answer."""
    traffic, rng = TddTraffic(), random.Random(1)
    sent = []
    for _ in range(calls):
        call = traffic(rng)
        answer = tdd.request(call.method, call.path, json=call.json)
        if call.answered:
            call.answered(answer)
        sent.append((call, answer.status_code))
    return sent


def _exported(path: Path) -> str:
    metrics = Metrics(keep=0)
    Database(metrics, path, keep=0)
    return metrics.exposition()[0].decode()


def test_exposition_is_the_catalogue_at_the_start(project: TddProject, tmp_path: Path) -> None:
    with _ports(project) as (http, health):
        assert differences(SYSTEM, "app-metrics", http.get("/metrics").text) == []
        assert differences(SYSTEM, "streamlit-app", health.get("/health/metrics").text) == []
        exported = _exported(tmp_path / FILE)
    assert differences(SYSTEM, "sqlite-exporter", exported) == []


def test_exposition_is_the_catalogue_after_traffic_and_faults(project: TddProject, tmp_path: Path) -> None:
    with _ports(project) as (http, health):
        for fault, value in (("db_connect_errors", 0.2), ("http_errors", 0.2), ("sqlite_corrupt", 1)):
            project.faults.switch(fault, value)
        _drive(http, CALLS)
        http.request("BREW", "/api/cycles")
        http.request("DELETE", "/api/cycles/1")
        http.request("POST", "/api/cycles", content=b"no JSON")
        assert differences(SYSTEM, "app-metrics", http.get("/metrics").text) == []
        assert http.value("instrument_faults_total") == 0
        assert differences(SYSTEM, "streamlit-app", health.get("/health/metrics").text) == []
        exported = _exported(tmp_path / FILE)
    assert differences(SYSTEM, "sqlite-exporter", exported) == []


def test_traffic_reaches_every_handler_query_and_phase_without_an_error(project: TddProject) -> None:
    with opened(project.app) as tdd:
        sent = _drive(tdd, CALLS)
        text = tdd.get("/metrics").text
        assert tdd.value("http_requests_total") == len(sent)
        assert tdd.value("http_request_duration_seconds_count") == len(sent)
        assert tdd.value("http_requests_total", status="500") + tdd.value("http_requests_total", status="503") == 0
    assert len(_values(text, "http_requests_total", "handler")) == 5
    asked_for = _values(text, "database_query_duration_seconds_count", "operation")
    assert asked_for == {"start_cycle", "get_cycle", "list_cycles", "end_phase", "get_history", "summary"}
    assert _values(text, "tdd_phase_duration_seconds_count", "phase") == {"red", "green", "refactor"}
    assert _values(text, "tdd_phases_completed_total", "outcome") == {"success", "failure"}


def _values(text: str, name: str, label: str) -> set[str]:
    """The values of a label whose samples are not 0."""
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return {sample.labels[label] for sample in samples if sample.name == name and sample.value}


def test_same_seed_gives_the_same_calls(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        with opened(TddProject(tmp_path / name, 1, pace=0).app) as tdd:
            runs.append([(call.method, call.path, call.json) for call, _ in _drive(tdd, 100)])
    assert runs[0] == runs[1]


def test_application_answers_the_same_without_metrics(tmp_path: Path) -> None:
    answers = []
    for name, metered in (("with", True), ("without", False)):
        with opened(TddProject(tmp_path / name, 1, pace=0, metered=metered).app) as tdd:
            answers.append([(call.path, status) for call, status in _drive(tdd, 100)])
            exposed = tdd.get("/metrics").text
    assert answers[0] == answers[1]
    assert exposed == ""


def test_phase_is_counted_with_the_time_it_took(project: TddProject) -> None:
    with opened(project.app) as tdd:
        tdd.post("/api/cycles", {"title": "Keep the time zone"})
        tdd.post("/api/cycles/1/phases", {"outcome": "failure", "seconds": 45})
        tdd.post("/api/cycles/1/phases", {"outcome": "success", "seconds": 500})
        tdd.post("/api/cycles/1/phases", {"outcome": "maybe", "seconds": 1})
        assert tdd.value("tdd_phases_completed_total", phase="red", outcome="failure") == 1
        assert tdd.value("tdd_phases_completed_total", phase="red", outcome="success") == 1
        assert tdd.value("tdd_phase_duration_seconds_sum", phase="red") == 545
        assert tdd.value("tdd_phase_duration_seconds_bucket", phase="red", le="60.0") == 1
        assert tdd.value("tdd_phase_duration_seconds_count", phase="green") == 0


def test_connections_are_one_kept_and_none_left_over(project: TddProject) -> None:
    with opened(project.app) as tdd:
        assert tdd.value("database_connections_active") == 1
        _drive(tdd, 20)
        assert tdd.value("database_connections_active") == 1


def test_health_metrics_and_simulation_are_not_counted_as_requests(project: TddProject) -> None:
    with _ports(project) as (http, health):
        for path in ("/health", "/health/live", "/health/metrics"):
            assert health.get(path).status_code == 200
        http.get("/_sim/faults")
        http.get("/metrics")
        assert http.value("http_requests_total") == 0
        families = text_string_to_metric_families(health.get("/health/metrics").text)
        assert [family.name for family in families] == ["application_health_status"]
        assert "application_health_status" not in http.get("/metrics").text
