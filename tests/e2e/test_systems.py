"""Each of the systems, simulated, on the local target: its stack is green, and its data is what the profile says."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from exposition import differences, missing
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import apps
import catalogue
from apps import Job
from catalogue import observe
from e2e.drills import LOWERED, MEMORY, drilled, not_shown
from e2e.environments import FAST_FORWARD, Environment, eventually
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
# An alert of each, with the receivers that hear of it and how they are told.
FIRED = {
    "boss-workflow": ("HighErrorRate", {("discord-critical", "discord")}),
    "graphmemory": (
        "GraphMemoryAlertBridgeDown",
        {("graphmemory-bridge", "webhook"), ("graphmemory-direct", "webhook"), ("graphmemory-direct", "email")},
    ),
    "lmmc": ("LMMCServerDown", {("lmmc-critical", "webhook")}),
    "phase5": (
        "AuditLogFailures",
        {("phase5-agents", "slack"), ("phase5-critical", "slack"), ("phase5-critical", "email")},
    ),
    "tdd-project": ("StreamlitDown", {("web-hook", "webhook"), ("web-hook", "email")}),
}
# The others are drilled in containers, as their documents have them.
DRILLED = "tdd-project"
# What a real exporter shows only after an event may be new.
FEW = 5


@pytest.fixture(scope="module", params=apps.names())
def running(
    request: pytest.FixtureRequest, scratch: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """One after the other."""
    environment = Environment(request.param, scratch, ("target=local",))
    with ExitStack() as around:
        settings: dict[str, Any] = {}
        if request.param == "graphmemory":
            settings = _real_servers(around, tmp_path_factory.mktemp("servers"))
        elif request.param == DRILLED:
            settings = {"override": {MEMORY: LOWERED}}
        environment.hasten(fast_forward=FAST_FORWARD, **settings)
        around.callback(environment.end)
        environment.up()
        yield environment


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
    declared = {job.job for job in apps.profile(running.name).jobs if job.enabled}
    # On a busy machine a reading may be late for a scrape, and its series are not there.
    for attempt in eventually(60):
        with attempt:
            scrapes = _scrapes(running)
            assert {job.job for job, _ in scrapes} == declared
            assert [line for job, url in scrapes for line in _not_as_catalogued(running, job, url)] == []


def _not_as_catalogued(running: Environment, job: Job, url: str) -> list[str]:
    text = httpx.get(url, trust_env=False).text
    if not (running.name == "graphmemory" and job.job.endswith("-exporter")):
        return differences(running.name, job.job, text)
    # A real exporter exposes more than the profile names, and that is in its own catalogue.
    known = catalogue.product(job.program or "")
    assert known
    merged = observe.merged(known, known.product, known.version, observe.exposed(text))
    new = sorted(merged.observed.keys() - known.observed.keys())
    return missing(running.name, job.job, text) + (new if len(new) > FEW else [])


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


def test_a_test_notification_goes_where_the_alert_would(running: Environment) -> None:
    alert, told = FIRED[running.name]
    answer = running.watchstack("fire", alert, check=False)
    assert (answer["problem"], answer["passed"]) == ("", True)
    assert {(one["receiver"], one["integration"]) for one in answer["receivers"]} == told
    assert running.get(9099, "/notifications", contains="TEST: ")
    held = running.get(9093, "/api/v2/alerts", filter='watchstack_drill!=""')
    assert held == []


@pytest.mark.parametrize("running", [DRILLED], indirect=True)
def test_every_alert_is_raised_delivered_and_resolved(running: Environment) -> None:
    assert list(drilled(running)["not_drilled"]) == [MEMORY]
    assert not_shown(running) == []


@pytest.mark.parametrize("running", [DRILLED], indirect=True)
def test_the_alert_of_the_hosts_memory_is_mailed_and_ends_with_its_threshold(running: Environment) -> None:
    _mailed(running, "firing")
    running.hasten(fast_forward=FAST_FORWARD)
    running.up()
    _mailed(running, "resolved")


def _mailed(running: Environment, state: str) -> None:
    text = f"MemoryUsageHigh tdd-project/host warning {state}"
    for attempt in eventually(60):
        with attempt:
            assert running.get(9099, "/notifications", path="/email", contains=text)
