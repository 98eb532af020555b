"""What the three services of Phase 5 and the exporters expose is what the catalogue declares, and counts exactly."""

from collections.abc import Iterator

import pytest
from exposition import differences
from phase5_system import Phase5, system

import apps
from instrument import readings
from workloads.phase5.metrics import SERVED

PROFILE = apps.profile("phase5")
TASK = {"title": "Review the budget"}


@pytest.fixture(autouse=True)
def _fresh_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "KEEP", 0.0)


@pytest.fixture(name="phase5")
def _phase5() -> Iterator[Phase5]:
    with system() as phase5:
        yield phase5


def _differences(phase5: Phase5) -> dict[str, list[str]]:
    """By target, with the path and port of its job."""
    services = {"phase5-frontend": phase5.frontend, "phase5-backend": phase5.backend}
    clients = {**services, "phase5-reminder-agent": phase5.agent, **phase5.exporters}
    return {
        f"{job.job} {target.service}": differences("phase5", job.job, clients[target.service].get(job.path).text)
        for job in PROFILE.jobs
        for target in job.targets
    }


def _traffic(phase5: Phase5) -> None:
    for _ in range(6):
        phase5.ask("POST", "/api/tasks", TASK)
    phase5.ask("PATCH", "/api/tasks/task-1", {"title": "Call the supplier"})
    phase5.ask("POST", "/api/tasks/task-1/complete")
    phase5.ask("DELETE", "/api/tasks/task-2")
    phase5.remind()
    phase5.consume()


def test_every_target_exposes_the_catalogue_of_its_job(phase5: Phase5) -> None:
    found = _differences(phase5)
    assert len(found) == 9
    assert not any(found.values()), found


def test_traffic_of_all_kinds_adds_no_label_value(phase5: Phase5) -> None:
    _traffic(phase5)
    for path in ("/api/tasks", "/api/tasks/task-1", "/api/tasks/task-1/audit", "/api/tasks/x", "/health", "/x/y", "/"):
        phase5.ask("GET", path)
    phase5.ask("POST", "/api/tasks", {"title": 7})
    phase5.ask("PUT", "/api/tasks/task-1", TASK)
    phase5.ask("BREW", "/pot")
    for fault in phase5.backend.get("/_sim/faults").json():
        phase5.fault(fault["fault"], 1)
    phase5.ask("GET", "/api/tasks")
    found = _differences(phase5)
    assert not any(found.values()), found


def test_declared_operations_are_those_that_are_served(phase5: Phase5) -> None:
    for method, path in SERVED:
        phase5.ask(method, path.replace("{task_id}", "task-1"), TASK)
    for method, path in SERVED:
        assert phase5.frontend.value("http_requests_total", method=method, route=path) == 1


def test_scripted_operations_count_exactly(phase5: Phase5) -> None:
    _traffic(phase5)
    frontend, backend, agent = phase5.frontend, phase5.backend, phase5.agent
    for service in (frontend, backend):
        assert service.value("http_requests_total") == 9
        assert service.value("http_requests_total", method="POST", route="/api/tasks", status="201") == 6
        assert service.value("http_request_duration_seconds_count", method="DELETE", status="204") == 1
    assert backend.value("task_operations_total", operation="create", status="success") == 6
    assert backend.value("task_operations_total") == 9
    assert backend.value("audit_log_writes_total", status="success") == 9
    assert backend.value("database_query_duration_seconds_count", operation="create_task") == 6
    assert agent.value("events_processed_total", topic="task-events", status="success") == 9
    # Of six tasks one is done and one deleted.
    assert agent.value("reminder_deliveries_total", status="success") == 4
    assert agent.value("events_processed_total", topic="reminders", status="success") == 4
    assert agent.value("http_requests_total") == 0
    kafka = phase5.exporters["kafka-exporter"]
    assert kafka.value("kafka_topic_partition_current_offset", topic="task-events") == 9
    assert kafka.value("kafka_consumergroup_lag") == 0
    assert phase5.exporters["redis-exporter"].value("redis_commands_processed_total") == 9


def test_only_the_backend_has_a_pool(phase5: Phase5) -> None:
    assert phase5.backend.value("database_pool_max_connections") == 20
    for service in (phase5.frontend, phase5.agent):
        assert "\ndatabase_pool_max_connections" not in service.get("/metrics").text
        assert service.value("database_pool_connections") == 0


def test_task_of_another_user_is_audited_as_theirs(phase5: Phase5) -> None:
    task = phase5.ask("POST", "/api/tasks", TASK, user="ana").json()
    assert (task["userId"], task["status"]) == ("ana", "open")
    assert phase5.ask("POST", f"/api/tasks/{task['taskId']}/complete", user="bo").json()["status"] == "done"
    changes = phase5.ask("GET", f"/api/tasks/{task['taskId']}/audit").json()["changes"]
    assert [(change["userId"], change["operation"]) for change in changes] == [("ana", "create"), ("bo", "complete")]


def test_task_that_was_read_before_is_read_as_it_is_now(phase5: Phase5) -> None:
    phase5.ask("POST", "/api/tasks", TASK)
    for title in ("Review the budget", "Call the supplier"):
        phase5.ask("PATCH", "/api/tasks/task-1", {"title": title})
        for _ in range(2):
            assert phase5.ask("GET", "/api/tasks/task-1").json()["title"] == title
    assert phase5.backend.value("database_query_duration_seconds_count", operation="get_task") == 2
    assert phase5.ask("DELETE", "/api/tasks/task-1").status_code == 204
    assert phase5.ask("GET", "/api/tasks/task-1").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/tasks", {"title": ""}, 422),
        ("POST", "/api/tasks", ["a"], 422),
        ("PATCH", "/api/tasks/task-1", {}, 422),
        ("PATCH", "/api/tasks/task-1", TASK, 404),
        ("POST", "/api/tasks/17/complete", None, 404),
        ("DELETE", "/api/tasks/task-99", None, 404),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    phase5: Phase5, method: str, path: str, body: object, status: int
) -> None:
    answer = phase5.ask(method, path, body)
    assert answer.status_code == status
    assert answer.json()["error"]
