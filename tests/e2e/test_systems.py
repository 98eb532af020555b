"""Each of the systems, simulated, on the local target: its stack is green, and its data is what the profile says."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from exposition import differences, missing
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import apps
import catalogue
import dashboards
from apps import Drill, Job, Profile
from catalogue import observe
from dashboards import PanelQuery
from e2e.environments import Environment, eventually
from e2e.servers import POSTGRES_USER, postgres, redis
from toolchain import programs

pytestmark = pytest.mark.e2e

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# What promtool would name otherwise, and who gave the name.
NAMED_ELSEWHERE = {
    "lmmc_task_age_days": "the document of LMMC",
    "collections_total": "Qdrant",
    "pg_stat_activity_count": "postgres_exporter",
}
# A request of Phase 5 passes through more than one service.
SERVICES = {"phase5": 2}
# Medians of an hour: raised first, while little has gone well yet.
OF_AN_HOUR = {"GraphMemoryLowSimilarity", "LowPatternConfidence"}
# Average of five minutes near its limit: raised beside the others.
SLOW = {"HighCPUUsage"}
# What the simulated exporters would show, and real ones stand in their place here.
OF_REAL_SERVERS = {"GraphMemoryPostgresDown", "GraphMemoryRedisDown", "GraphMemoryRedisMemoryHigh"}
# The alert on the application as a whole, which fires soonest.
OUTAGES = {
    "boss-workflow": "ApplicationDown",
    "graphmemory": "APIDown",
    "lmmc": "LMMCServerDown",
    "phase5": "PodDown",
    "tdd-project": "StreamlitDown",
}
SERVERS = {"postgres": 41432, "redis": 41379}


@pytest.fixture(scope="module", params=apps.names())
def system(request: pytest.FixtureRequest, scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name: str = request.param
    environment = Environment(name, scratch, ("target=local",))
    with ExitStack() as around:
        environment.hasten(
            **(_real_servers(around, tmp_path_factory.mktemp("servers")) if name == "graphmemory" else {})
        )
        around.callback(_down, environment)
        environment.up()
        yield name


@pytest.fixture
def running(system: str, scratch: Path) -> Environment:
    return Environment(system, scratch, ("target=local",))


def _real_servers(around: ExitStack, directory: Path) -> dict[str, Any]:
    """Settings of GraphMemory with exporters for a PostgreSQL and a Redis that were started here."""
    sql = around.enter_context(postgres(directory, SERVERS["postgres"]))
    cache = around.enter_context(redis(directory, SERVERS["redis"]))
    exporters = {
        "postgres": {"address": f"127.0.0.1:{SERVERS['postgres']}", "user": POSTGRES_USER, "password": "postgres"},
        "redis": {"address": f"127.0.0.1:{SERVERS['redis']}", "password": "redis"},
    }
    return {
        "systems": {"graphmemory": {"workload": True, "exporters": exporters}},
        "secrets": {"postgres": {"file": str(sql.password_file)}, "redis": {"file": str(cache.password_file)}},
    }


def _down(environment: Environment) -> None:
    processes = environment.supervisor.pids()
    environment.down()
    assert not [pid for pid in processes if psutil.pid_exists(pid)]
    assert not environment.home.exists()


def _scrapes(running: Environment) -> list[tuple[Job, str]]:
    """The jobs of the system, each with the URLs that Prometheus scrapes for it."""
    jobs = {job.job: job for job in apps.profile(running.name).jobs}
    targets = running.get(9090, "/api/v1/targets", state="active")["data"]["activeTargets"]
    return [(jobs[found["labels"]["job"]], found["scrapeUrl"]) for found in targets if found["labels"]["job"] in jobs]


def test_selftest_is_green(running: Environment) -> None:
    answer = running.watchstack("selftest", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_its_dashboards_are_pictures(running: Environment, tmp_path: Path) -> None:
    for dashboard in apps.profile(running.name).dashboards:
        for attempt in eventually(90):
            with attempt:
                answer = running.watchstack("picture", dashboard, "--out", str(tmp_path), check=False)
                [made] = answer["pictures"]
                assert (made["errors"], made["empty"], answer["lacking"]) == ({}, [], "")
        # An empty page is some kilobytes.
        assert Path(made["png"]).stat().st_size > 20_000


def test_what_each_job_exposes_is_what_the_catalogue_says(running: Environment) -> None:
    scrapes = _scrapes(running)
    assert {job.job for job, _ in scrapes} == {job.job for job in apps.profile(running.name).jobs if job.enabled}
    for job, url in scrapes:
        text = httpx.get(url, trust_env=False).text
        real = running.name == "graphmemory" and job.job.endswith("-exporter")
        # A real exporter exposes more than the profile names, and that is in its own catalogue.
        assert (missing if real else differences)(running.name, job.job, text) == []
        if real and job.program and (known := catalogue.product(job.program)):
            assert observe.merged(known, known.product, known.version, observe.exposed(text)) == known


def test_the_exposition_is_openmetrics_and_promtool_has_nothing_against_it(running: Environment) -> None:
    for job, url in _scrapes(running):
        if running.name == "graphmemory" and job.job.endswith("-exporter"):
            continue
        openmetrics = httpx.get(url, headers={"Accept": OPENMETRICS}, trust_env=False)
        assert list(text_string_to_metric_families(openmetrics.text))  # type: ignore[no-untyped-call]
        text = httpx.get(url, trust_env=False).text
        promtool = [str(programs.program("promtool")), "check", "metrics"]
        done = subprocess.run(promtool, input=text, capture_output=True, text=True, check=False)
        found = [line for line in done.stderr.splitlines() if line.split(" ", 1)[0] not in NAMED_ELSEWHERE]
        assert found == []


def test_a_request_is_followed_from_log_line_to_trace_to_exemplar(running: Environment) -> None:
    histogram = next(
        metric.name
        for metric in apps.profile(running.name).metrics
        if metric.type == "histogram" and "http" in metric.name
    )
    for attempt in eventually(90):
        with attempt:
            seen = _traces_of_exemplars(running, histogram) & _traces_of_log_lines(running)
            services = [_services(running, trace) for trace in seen]
            assert any(len(found) >= SERVICES.get(running.name, 1) for found in services)


def _traces_of_exemplars(running: Environment, histogram: str) -> set[str]:
    span = {"start": str(time.time() - 900), "end": str(time.time())}
    series = running.get(9090, "/api/v1/query_exemplars", query=f"{histogram}_bucket", **span)["data"]
    return {exemplar["labels"]["trace_id"] for found in series for exemplar in found["exemplars"]}


def _traces_of_log_lines(running: Environment) -> set[str]:
    query = f'{{system="{running.name}"}} | trace_id != ""'
    streams = running.get(3100, "/loki/api/v1/query_range", query=query, limit="5000")["data"]["result"]
    return {stream["stream"]["trace_id"] for stream in streams}


def _services(running: Environment, trace: str) -> set[str]:
    """The services that a trace passed through; none while it is on its way."""
    answer = httpx.get(running.url(16686, f"/api/traces/{trace}"), trust_env=False)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return set()
    [found] = answer.raise_for_status().json()["data"]
    return {process["serviceName"] for process in found["processes"].values()}


def test_the_fault_of_every_alert_raises_it(running: Environment) -> None:
    """As far as pending: how long it has to last before it fires is proven by the tests of the rules."""
    profile = apps.profile(running.name)
    driver = next(process for process in profile.workload if process.drives)
    running.post(_port(profile, driver.service), "/_sim/rate", {"per_second": 80})
    assert not _raised(running) & {*profile.drills}
    drills = {alert: drill for alert, drill in profile.drills.items() if alert not in OF_REAL_SERVERS}
    slow = {alert: drills.pop(alert) for alert in sorted(SLOW & drills.keys())}
    with ExitStack() as meanwhile:
        for drill in slow.values():
            meanwhile.enter_context(_drilled(running, profile, drill))
        for alert, drill in sorted(drills.items(), key=lambda item: item[0] not in OF_AN_HOUR):
            with _drilled(running, profile, drill):
                _wait_raised(running, alert)
        for alert in slow:
            _wait_raised(running, alert)


def test_what_is_empty_by_nature_shows_the_fault(running: Environment) -> None:
    """Errors in the logs while requests fail, and alerts that fire while the application is away."""
    profile = apps.profile(running.name)
    drills = {alert.removeprefix("GraphMemory"): drill for alert, drill in profile.drills.items()}
    asked = [query for name in _boards(profile) for query in dashboards.queries(dashboards.build(name))]
    with _drilled(running, profile, drills["HighErrorRate"]):
        _wait_shown(running, [query for query in asked if "nothing is logged" in (query.empty_when or "")])
    with _drilled(running, profile, drills[OUTAGES[running.name]]):
        _wait_shown(running, [query for query in asked if (query.empty_when or "").endswith("fires")])


def _boards(profile: Profile) -> list[str]:
    return [*profile.dashboards, "start", "alertmanager", "logs-explorer"]


def _wait_shown(running: Environment, queries: list[PanelQuery]) -> None:
    assert queries
    for attempt in eventually(300):
        with attempt:
            assert [f"{query.dashboard}: {query.panel}" for query in queries if not _shown(running, query)] == []


def _shown(running: Environment, query: PanelQuery) -> bool:
    """Whether the panel would show anything for the last quarter of an hour."""
    expr = dashboards.runnable(query.expr, step_seconds=15, range_seconds=900)
    if query.datasource == "loki":
        start = str(time.time_ns() - 900 * 10**9)
        return bool(running.get(3100, "/loki/api/v1/query_range", query=expr, start=start)["data"]["result"])
    return bool(running.get(9090, "/api/v1/query", query=expr)["data"]["result"])


def _wait_raised(running: Environment, alert: str) -> None:
    for attempt in eventually(300):
        with attempt:
            assert alert in _raised(running)


def _port(profile: Profile, service: str) -> int:
    [process] = [process for process in profile.workload if process.service == service]
    return next(iter(process.ports.values()))


@contextmanager
def _drilled(running: Environment, profile: Profile, drill: Drill) -> Iterator[None]:
    """The fault, or a process that answers nobody, for the length of a block."""
    if drill.fault:
        port, fault = _port(profile, drill.service), {"fault": drill.fault, "value": drill.value}
        running.post(port, "/_sim/fault", fault)
        try:
            yield
        finally:
            running.post(port, "/_sim/fault", fault | {"value": 0})
    else:
        process = psutil.Process(running.pids()[drill.service])
        process.suspend()
        try:
            yield
        finally:
            process.resume()


def _raised(running: Environment) -> set[str]:
    """The alerts that are pending or firing."""
    alerts = running.get(9090, "/api/v1/alerts")["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts}
