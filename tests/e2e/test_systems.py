"""Each of the systems, simulated, on the local target: its stack is green, and its data is what the profile says."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from conftest import seen
from exposition import differences, missing
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import apps
import catalogue
import dashboards
from apps import Job, Profile
from catalogue import observe
from dashboards import PanelQuery
from e2e.environments import Environment, eventually
from e2e.servers import POSTGRES_USER, asked, postgres, redis
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
SERVERS = {"postgres": 41432, "redis": 41379}
# Told by a service of the system: the capture receiver does not see it.
ELSEWHERE = {
    "graphmemory": {"graphmemory-bridge (webhook)"},
    "tdd-project": {"web-hook (webhook)"},
}
# For drills: five minutes are five seconds, and ranges four scrapes.
FACTOR = 60
# So many environments are drilled at a time: mostly they wait.
AT_ONCE = 3
# The memory of the host cannot be used up for a test: the threshold is lowered below it in its place.
MEMORY = "tdd-project/MemoryUsageHigh"


@pytest.fixture(scope="module")
def environments(scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Environment]]:
    """All of them, up at the same time."""
    with ExitStack() as around:
        settings = {
            "graphmemory": _real_servers(around, tmp_path_factory.mktemp("servers")),
            "tdd-project": {
                "override": {
                    MEMORY: {
                        "threshold": 0.5,
                        "because": "the drill of a host with memory to spare",
                        "seen": seen(MEMORY),
                    }
                }
            },
        }
        made = {name: Environment(name, scratch, ("target=local",)) for name in apps.names()}
        for name, environment in made.items():
            environment.hasten(fast_forward=FACTOR, **settings.get(name, {}))
            around.callback(_down, environment)
            environment.up()
        yield made


@pytest.fixture(params=apps.names())
def running(request: pytest.FixtureRequest, environments: dict[str, Environment]) -> Environment:
    return environments[request.param]


def _real_servers(around: ExitStack, directory: Path) -> dict[str, Any]:
    """Settings of GraphMemory with exporters for a PostgreSQL and a Redis that were started here."""
    sql = around.enter_context(postgres(directory, SERVERS["postgres"]))
    cache = around.enter_context(redis(directory, SERVERS["redis"]))
    around.enter_context(asked(cache))
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
    answer = running.watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_its_dashboards_are_pictures(running: Environment, tmp_path: Path) -> None:
    out = Path(os.environ.get("WATCHSTACK_ARTEFACTS", tmp_path)) / running.name
    table = []
    for dashboard in apps.profile(running.name).dashboards:
        for attempt in eventually(90):
            with attempt:
                answer = running.watchstack("picture", dashboard, "--out", str(out), check=False)
                [made] = answer["pictures"]
                assert (made["errors"], made["empty"], answer["lacking"]) == ({}, [], "")
        # An empty page is some kilobytes.
        assert Path(made["png"]).stat().st_size > 20_000
        table.append(made)
    # Dashboard, panels, series and slowest query, beside the pictures.
    (out / "table.json").write_text(json.dumps(table, indent=2, sort_keys=True))


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


def test_every_alert_of_every_system_is_raised_delivered_and_resolved(environments: dict[str, Environment]) -> None:
    # Simulations in place of the real servers, which cannot be made to fail, and of their exporters: those hold the
    # ports until they are gone.
    _down(environments["graphmemory"])
    environments["graphmemory"].hasten(fast_forward=FACTOR)
    environments["graphmemory"].up()
    # Those with the most alerts first.
    order = sorted(apps.names(), key=lambda name: -len(apps.profile(name).drills))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(order, pool.map(lambda name: _drilled(environments[name]), order), strict=True))
    for name, answer in answers.items():
        drills = {drill["alert"].partition("/")[2]: drill for drill in answer["drills"]}
        assert {alert: drill["problem"] for alert, drill in drills.items() if not drill["passed"]} == {}
        assert (answer["problem"], answer["passed"]) == ("", True)
        assert set(drills) == set(apps.profile(name).drills)
        # None is silent, and each is seen where it arrives, but for those that a service of the system takes.
        assert [alert for alert, drill in drills.items() if drill["inhibited"]] == []
        elsewhere = {one["name"] for drill in drills.values() for one in drill["channels"] if not one["captured"]}
        assert elsewhere == ELSEWHERE.get(name, set())
    assert list(answers["tdd-project"]["not_drilled"]) == [MEMORY]
    assert _heard_by_the_bridge(environments["graphmemory"]) >= (
        # While it is stopped it hears nothing.
        apps.profile("graphmemory").drills.keys() - {"GraphMemoryAlertBridgeDown"}
    )


def _drilled(environment: Environment) -> Any:
    return environment.watchstack("drill", "--timeout", "120", check=False)


def _heard_by_the_bridge(environment: Environment) -> set[str]:
    return {alert["name"] for group in environment.get(8001, "/groups") for alert in group["alerts"]}


def test_what_is_empty_by_nature_has_shown_the_faults_of_the_drills(running: Environment) -> None:
    asked = [
        query for name in _boards(apps.profile(running.name)) for query in dashboards.queries(dashboards.build(name))
    ]
    faulty = [query for query in asked if "nothing is logged" in (query.empty_when or "") or _fires(query)]
    assert faulty
    assert [f"{query.dashboard}: {query.panel}" for query in faulty if not _has_shown(running, query)] == []


def _boards(profile: Profile) -> list[str]:
    return [*profile.dashboards, "start", "alertmanager", "logs-explorer"]


def _fires(query: PanelQuery) -> bool:
    return (query.empty_when or "").endswith("fires")


def _has_shown(running: Environment, query: PanelQuery) -> bool:
    """Whether the panel showed anything in the last half hour, in which the drills were."""
    expr = dashboards.runnable(query.expr, step_seconds=2, range_seconds=1800)
    if query.datasource == "loki":
        start = str(time.time_ns() - 1800 * 10**9)
        return bool(running.get(3100, "/loki/api/v1/query_range", query=expr, start=start)["data"]["result"])
    span = {"start": str(time.time() - 1800), "end": str(time.time()), "step": "2"}
    return bool(running.get(9090, "/api/v1/query_range", query=expr, **span)["data"]["result"])


def test_the_alert_of_the_hosts_memory_is_mailed_and_ends_with_its_threshold(
    environments: dict[str, Environment],
) -> None:
    environment = environments["tdd-project"]
    for attempt in eventually(60):
        with attempt:
            assert _mailed(environment, "tdd-project/host warning firing")
    environment.hasten(fast_forward=FACTOR)
    environment.up()
    for attempt in eventually(60):
        with attempt:
            assert _mailed(environment, "tdd-project/host warning resolved")


def _mailed(environment: Environment, text: str) -> list[Any]:
    found: list[Any] = environment.get(9099, "/notifications", path="/email", contains=f"MemoryUsageHigh {text}")
    return found


@pytest.mark.parametrize(
    ("name", "alert", "told"),
    [
        ("boss-workflow", "HighErrorRate", {("discord-critical", "discord")}),
        (
            "phase5",
            "AuditLogFailures",
            {("phase5-agents", "slack"), ("phase5-critical", "slack"), ("phase5-critical", "email")},
        ),
        ("tdd-project", "StreamlitDown", {("web-hook", "webhook"), ("web-hook", "email")}),
    ],
)
def test_a_test_notification_goes_where_the_alert_would(
    environments: dict[str, Environment], name: str, alert: str, told: set[tuple[str, str]]
) -> None:
    environment = environments[name]
    answer = environment.watchstack("fire", alert, check=False)
    assert (answer["problem"], answer["passed"]) == ("", True)
    assert {(one["receiver"], one["integration"]) for one in answer["receivers"]} == told
    assert environment.get(9099, "/notifications", contains="TEST: ")
    held = environment.get(9093, "/api/v2/alerts", filter='watchstack_drill!=""')
    assert held == []
