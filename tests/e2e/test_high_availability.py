"""Three Alertmanagers and two Prometheus: 200 alerts at once, whoever dies, are each told at least once.

The figures are printed, and seen with `pytest -s`.
"""

import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from e2e.environments import PAIR, Environment, clone, eventually
from instrument.timestamps import timestamp

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

ALERTS = 200
EXACTLY_ONCE = 0.99
ALERTMANAGERS = {"alertmanager": 9093, "alertmanager-2": 9193, "alertmanager-3": 9293}
PROMETHEUS = {"prometheus": 9090, "prometheus-2": 9190}
# The turn of the third to notify comes 20 seconds after that of the first.
ALL_TURNS = 22

RULE: dict[str, Any] = {
    "alert": "Drill",
    "expr": 'max by (drill) (drill{job="boss-workflow"}) == 1',
    "for": "0s",
    "labels": {"severity": "critical", "system": "boss-workflow", "component": "drill"},
    "annotations": {
        "summary": "A drill.",
        "description": "This is drill-{{ $labels.drill }}.",
        "runbook_url": "https://watchstack.dev/runbooks/Drill",
    },
}


METRIC = {"name": "drill", "type": "gauge", "unit": "", "meaning": "Drills.", "labels": {"drill": None}}


class Application:
    """A monitored application whose only metric is 1 for each alert that should be raised."""

    def __init__(self) -> None:
        self.drills: list[str] = []
        application = self

        class Metrics(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = "".join(f'drill{{drill="{name}"}} 1\n' for name in application.drills)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_arguments: object) -> None:
                """Nobody wants to read of every scrape."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)

    @contextmanager
    def serving(self) -> Iterator[str]:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{self.server.server_port}"
        self.server.shutdown()
        self.server.server_close()

    def raise_batch(self, batch: str) -> None:
        self.drills = [*self.drills, *(f"{batch}-{number:03}" for number in range(ALERTS))]


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    application = Application()
    with application.serving():
        yield application


@pytest.fixture(scope="module")
def many(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    copy = clone(tmp_path_factory.mktemp("many"))
    prepare(copy)
    environment = Environment("many", copy)
    off = {"enabled": False}
    environment.write(
        systems={"boss-workflow": {"targets": {"boss-workflow": f"127.0.0.1:{application.server.server_port}"}}},
        prometheus=PAIR,
        alertmanager={"replicas": 3},
        loki=off,
        jaeger=off,
        grafana=off,
        node_exporter=off,
    )
    with environment.running():
        yield environment


def prepare(copy: Path, expr: str = RULE["expr"]) -> None:
    """A group for each drill, told at once, and a rule that makes them."""
    path = copy / "apps" / "boss-workflow.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["routing"] |= {"group_by": ["alertname", "drill"], "group_interval": "30s"}
    profile["metrics"].append(METRIC)
    path.write_text(yaml.safe_dump(profile))
    pack = copy / "rules" / "boss-workflow" / "v1"
    manifest = yaml.safe_load((pack / "pack.yaml").read_text())
    manifest["files"]["drill.yml"] = {"requires": []}
    (pack / "pack.yaml").write_text(yaml.safe_dump(manifest))
    document = {"groups": [{"name": "boss-workflow.drill", "rules": [{**RULE, "expr": expr}]}]}
    (pack / "drill.yml").write_text(yaml.safe_dump(document))


def _told(many: Environment, since: float) -> Counter[str]:
    """How often each drill has been told since then, as firing."""
    found = many.get(9099, "/notifications", path="/discord", since=timestamp(since))
    firing = [str(each["body"]) for each in found if "[FIRING" in str(each["body"])]
    return Counter(drill for text in firing for drill in re.findall(r"drill-(\w+-\d+)", text))


def _cluster(many: Environment, port: int) -> dict[str, Any]:
    found: dict[str, Any] = many.get(port, "/api/v2/status")["cluster"]
    return found


def _wait_for_the_cluster(many: Environment) -> None:
    for attempt in eventually(60):
        with attempt:
            clusters = [_cluster(many, port) for port in ALERTMANAGERS.values()]
            assert [(each["status"], len(each["peers"])) for each in clusters] == [("ready", 3)] * 3


def _leader(many: Environment) -> str:
    """The Alertmanager whose turn comes first: they are sorted by the names that they gave themselves."""
    return min(ALERTMANAGERS, key=lambda service: str(_cluster(many, ALERTMANAGERS[service])["name"]))


def _wait_for_all(many: Environment, batch: str, since: float) -> Counter[str]:
    """What has been told of a batch, and of those before it, once nobody's turn is still to come."""
    wanted = {f"{batch}-{number:03}" for number in range(ALERTS)}
    for attempt in eventually(45):
        with attempt:
            assert wanted <= _told(many, since).keys()
    time.sleep(ALL_TURNS)
    return _told(many, since)


def _figures(what: str, batch: str, told: Counter[str]) -> float:
    """The share of a batch that was told exactly once; shown."""
    mine = [count for drill, count in told.items() if drill.startswith(f"{batch}-")]
    once = sum(count == 1 for count in mine)
    sys.stdout.write(
        f"\n{what}: {len(mine)} of {ALERTS} told, {once} exactly once, at most {max(mine)} times; "
        f"{sum(told.values()) - sum(mine)} of earlier ones told again\n"
    )
    return once / ALERTS


@contextmanager
def _suspended(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_alerts_of_both_prometheus_are_told_once_by_three_alertmanagers(
    many: Environment, application: Application
) -> None:
    _wait_for_the_cluster(many)
    for port in PROMETHEUS.values():
        active = many.get(port, "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        assert len(active) == len(ALERTMANAGERS)
    since = time.time()
    application.raise_batch("all")
    told = _wait_for_all(many, "all", since)
    assert _figures("all alive", "all", told) >= EXACTLY_ONCE
    # Each Alertmanager knows the alerts of both, and each alert but once: nothing of a replica is left on it.
    for port in ALERTMANAGERS.values():
        alerts = many.get(port, "/api/v2/alerts", filter='alertname="Drill"')
        assert len(alerts) == ALERTS
        assert not [alert for alert in alerts if "replica" in alert["labels"]]


def test_nothing_is_lost_when_the_first_to_notify_is_killed_as_it_does(
    many: Environment, application: Application
) -> None:
    leader = _leader(many)
    victim = psutil.Process(many.pids()[leader])
    keeper = psutil.Process(int((many.home / "supervisord.pid").read_text()))
    # A supervisor that stands still starts nobody again.
    with _suspended(keeper):
        since = time.time()
        application.raise_batch("killed")
        while not _told(many, since):
            time.sleep(0.01)
        victim.kill()
        before = len(_told(many, since))
        told = _wait_for_all(many, "killed", since)
        assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
    _figures(f"{leader} killed, {before} were told by then", "killed", told)
    assert max(told.values()) <= len(ALERTMANAGERS)


def test_the_killed_one_joins_again_and_tells_nothing_anew(many: Environment) -> None:
    since = time.time()
    _wait_for_the_cluster(many)
    assert not _told(many, since)


def test_no_alert_is_lost_and_none_doubled_without_one_prometheus(many: Environment, application: Application) -> None:
    with _suspended(psutil.Process(many.pids()["prometheus"])):
        since = time.time()
        application.raise_batch("one")
        told = _wait_for_all(many, "one", since)
    assert _figures("one Prometheus hung", "one", told) >= EXACTLY_ONCE
    # Nor is anything told again, or as resolved, of what only the living one still raises.
    assert len(told) == ALERTS


def test_a_hung_alertmanager_holds_up_neither_prometheus_nor_the_others(
    many: Environment, application: Application
) -> None:
    with _suspended(psutil.Process(many.pids()[_leader(many)])):
        since = time.time()
        application.raise_batch("hung")
        told = _wait_for_all(many, "hung", since)
    assert _figures("the first to notify hung", "hung", told) >= EXACTLY_ONCE


def test_a_second_up_changes_nothing_and_the_selftest_asks_every_replica(many: Environment) -> None:
    _wait_for_the_cluster(many)
    many.up("--expect-no-changes")
    answer = many.watchstack("selftest", "--timeout", "32", check=False)
    steps = {step["step"]: step for step in answer["steps"]}
    # The application has none of the metrics of Boss Workflow.
    assert [name for name, step in steps.items() if not step["passed"]] == ["panels have data"]
    assert re.fullmatch(r"(prometheus(-2)? has \d+ targets of \d+ jobs(; )?){2}", steps["targets up"]["detail"])
    # The alert that only the last one has waits for its turn.
    assert steps["alert delivered"]["seconds"] > ALL_TURNS - 5


def test_one_that_is_down_is_named_and_does_not_keep_up_from_mending_another(many: Environment) -> None:
    config = many.home / "prometheus-2" / "etc" / "prometheus.yml"
    text = config.read_text()
    with _suspended(psutil.Process(many.pids()["alertmanager-2"])):
        config.write_text(text + "# edited\n")
        many.up()
        states = {state["service"]: state["ready"] for state in many.watchstack("status", check=False)["services"]}
    assert config.read_text() == text
    assert [service for service, ready in states.items() if not ready] == ["alertmanager-2"]
