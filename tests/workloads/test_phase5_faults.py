"""Every fault of Phase 5 moves the series that its alert watches, and ends."""

import time
from collections.abc import Callable, Iterator

import pytest
from phase5_system import Phase5, system

from instrument import readings
from workloads.phase5.backend import FAULTS, FOLLOW_EVERY
from workloads.phase5.cluster import Cluster

TASK = {"title": "Review the budget"}
ROUNDS = 40
KUBE, KUBELET = "kube-state-metrics", "kubelet"
BACKEND = {"pod": "phase5-backend-0"}


@pytest.fixture(autouse=True)
def _fresh_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "KEEP", 0.0)


@pytest.fixture(name="phase5")
def _phase5() -> Iterator[Phase5]:
    """Waits are a hundredth of what they simulate."""
    with system(pace=0.01) as phase5:
        yield phase5


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_http_errors_answer_500_in_both_services(phase5: Phase5) -> None:
    phase5.fault("http_errors", 0.2)
    statuses = [phase5.ask("GET", "/api/tasks").status_code for _ in range(ROUNDS)]
    assert 0.05 * ROUNDS < statuses.count(500) < ROUNDS / 2
    for service in (phase5.frontend, phase5.backend):
        assert service.value("http_requests_total", route="/api/tasks", status="500") == statuses.count(500)
    assert phase5.backend.get("/health").status_code == 200


def test_http_latency_is_in_both_histograms(phase5: Phase5) -> None:
    phase5.fault("http_latency", 15)
    phase5.ask("GET", "/api/tasks")
    for service in (phase5.frontend, phase5.backend):
        assert service.value("http_request_duration_seconds_sum", route="/api/tasks") >= 0.15
        assert service.value("http_request_duration_seconds_bucket", route="/api/tasks", le="0.1") == 0


def test_db_pool_hold_takes_that_share_and_lets_go(phase5: Phase5) -> None:
    phase5.fault("db_pool_hold", 0.95)
    backend = phase5.backend
    assert _until(lambda: backend.value("database_pool_connections", state="active") == 19)
    assert phase5.exporters["postgres-exporter"].value("pg_stat_activity_count", datname="phase5", state="active") == 19
    assert phase5.ask("POST", "/api/tasks", TASK).status_code == 201
    phase5.fault("db_pool_hold", 0)
    assert _until(lambda: backend.value("database_pool_connections", state="active") == 0)


def test_pool_without_a_free_connection_answers_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.phase5.store.POOL_TIMEOUT", 0.1)
    with system() as phase5:
        phase5.fault("db_pool_hold", 1)
        assert _until(lambda: phase5.backend.value("database_pool_connections", state="active") == 20)
        answer = phase5.ask("POST", "/api/tasks", TASK)
        assert (answer.status_code, answer.json()["error"][:28]) == (503, "no connection became free in")
        assert phase5.backend.value("task_operations_total", operation="create", status="failure") == 1
        assert phase5.backend.get("/health").status_code == 503
        phase5.remind()


def test_audit_errors_count_as_failures_and_tasks_are_created(phase5: Phase5) -> None:
    phase5.fault("audit_errors", 1)
    assert phase5.ask("POST", "/api/tasks", TASK).status_code == 201
    assert phase5.backend.value("audit_log_writes_total", status="failure") == 1
    assert phase5.backend.value("audit_log_writes_total", status="success") == 0
    assert phase5.ask("GET", "/api/tasks/task-1/audit").json()["changes"] == []


def test_consumer_pause_makes_the_lag_grow_past_1000_within_a_minute(phase5: Phase5) -> None:
    for _ in range(30):
        phase5.ask("POST", "/api/tasks", TASK)
    phase5.consume()
    phase5.fault("consumer_pause", 1)
    for _ in range(60):
        phase5.remind()
    phase5.consume()
    kafka = phase5.exporters["kafka-exporter"]
    assert kafka.value("kafka_consumergroup_lag", topic="reminders") == 60 * 25
    assert phase5.agent.value("events_processed_total") == 30
    phase5.fault("consumer_pause", 0)
    for _ in range(5):
        phase5.consume()
    assert kafka.value("kafka_consumergroup_lag") == 0
    assert phase5.agent.value("events_processed_total") == 60 * 25 + 30


def test_reminder_errors_count_as_failures_of_the_agent(phase5: Phase5) -> None:
    for _ in range(25):
        phase5.ask("POST", "/api/tasks", TASK)
    phase5.fault("reminder_errors", 0.3)
    for _ in range(8):
        phase5.remind()
    phase5.consume()
    failed = phase5.agent.value("reminder_deliveries_total", status="failure")
    assert 0.2 * 200 < failed < 0.4 * 200
    assert phase5.agent.value("reminder_deliveries_total") == 200
    assert phase5.agent.value("events_processed_total", topic="reminders", status="failure") == failed
    phase5.fault("reminder_errors", 0)
    phase5.consume()
    phase5.remind()
    phase5.consume()
    assert phase5.agent.value("reminder_deliveries_total", status="failure") <= failed + 1


@pytest.mark.parametrize(
    ("fault", "value", "exporter", "name", "labels", "usual", "then"),
    [
        ("pod_not_ready", 1, KUBE, "kube_pod_status_ready", BACKEND | {"condition": "true"}, 1, 0),
        ("replicas_missing", 1, KUBE, "kube_deployment_status_replicas_available", {}, 3, 2),
        ("hpa_max", 1, KUBE, "kube_horizontalpodautoscaler_status_current_replicas", {}, 3, 5),
        ("restarts", 3, KUBE, "kube_pod_container_status_restarts_total", BACKEND, 0, 3),
        (
            "disk_free",
            0.05,
            KUBELET,
            "kubelet_volume_stats_available_bytes",
            {"persistentvolumeclaim": "data-postgres-0"},
            6442450944,
            536870912,
        ),
    ],
)
def test_cluster_shows_the_fault(
    phase5: Phase5, fault: str, value: float, exporter: str, name: str, labels: dict[str, str], usual: int, then: int
) -> None:
    client = phase5.exporters[exporter]
    assert client.value(name, **labels) == usual
    phase5.fault(fault, value)
    assert client.value(name, **labels) == then
    phase5.fault(fault, 0)
    # What has been counted stays.
    assert client.value(name, **labels) == (then if fault == "restarts" else usual)


def test_autoscaler_at_its_maximum_is_no_missing_replica(phase5: Phase5) -> None:
    kube = phase5.exporters[KUBE]
    phase5.fault("hpa_max", 1)
    assert kube.value("kube_deployment_spec_replicas") == kube.value("kube_deployment_status_replicas_available")
    maximum = kube.value("kube_horizontalpodautoscaler_spec_max_replicas", horizontalpodautoscaler="phase5-backend")
    current = "kube_horizontalpodautoscaler_status_current_replicas"
    assert kube.value(current, horizontalpodautoscaler="phase5-backend") == maximum


def test_container_memory_is_that_share_of_the_limit(phase5: Phase5) -> None:
    labels = {"container": "phase5-backend"}
    limit = phase5.exporters[KUBE].value("kube_pod_container_resource_limits", resource="memory", **labels)
    used = "container_memory_working_set_bytes"
    cadvisor = phase5.exporters[KUBELET]

    def share() -> float:
        line = next(line for line in cadvisor.get("/metrics/cadvisor").text.splitlines() if line.startswith(_of(used)))
        return float(line.split()[-1]) / limit

    assert share() < 0.8
    phase5.fault("container_memory", 0.9)
    assert share() == pytest.approx(0.9)


def _of(name: str) -> str:
    return f'{name}{{container="phase5-backend"'


def test_container_cpu_is_that_share_of_the_limit(phase5: Phase5) -> None:
    now = 100.0
    faults = phase5.simulation.faults
    cluster = Cluster(faults, lambda: now)

    def used() -> float:
        family = next(iter(cluster.containers()))
        return sum(sample.value for sample in family.samples if sample.labels["container"] == "phase5-backend")

    now += 60
    assert used() == pytest.approx(60 * 0.35)
    phase5.fault("container_cpu", 0.9)
    now += 60
    assert used() == pytest.approx(60 * 0.35 + 60 * 0.9)


def test_restarts_are_seen_even_if_nobody_scrapes_while_they_are_asked_for(phase5: Phase5) -> None:
    kube = phase5.exporters[KUBE]
    phase5.fault("restarts", 2)
    time.sleep(2 * FOLLOW_EVERY)
    phase5.fault("restarts", 0)
    assert kube.value("kube_pod_container_status_restarts_total") == 2


def test_all_faults_are_told_with_what_they_accept(phase5: Phase5) -> None:
    told = {fault["fault"]: fault["accepted"] for fault in phase5.backend.get("/_sim/faults").json()}
    assert told == {fault.name: [0, fault.most] for fault in FAULTS}
    assert len(told) == 13
