"""Two Prometheus and three Alertmanagers of a cluster are updated, one after the other, while alerts come in."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from standins.rehearse import ClusterGround

from e2e.environments import Environment, clone, eventually
from e2e.kubernetes import cluster_faults
from e2e.kubernetes.in_cluster import ask, reached
from e2e.test_high_availability import prepare
from stacks.plan import Plan

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

DRILLS = "drills"
EVERY = 5
# Each is raised for a minute.
RAISED = 12
# An application with a new drill every five seconds, by its clock.
SERVING = f"""
answer() {{
  now=$(($(date +%s) / {EVERY}))
  printf 'HTTP/1.0 200 OK\\r\\nContent-Type: text/plain; version=0.0.4\\r\\n\\r\\n'
  for before in $(seq 0 {RAISED - 1}); do printf 'drill{{drill="n-%s"}} 1\\n' $((now - before)); done
}}
while :; do answer | nc -l -p 8000; done
"""


@pytest.fixture(scope="module")
def staging(on_cluster: ClusterGround, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    copy = clone(tmp_path_factory.mktemp("staging"))
    # Of whatever job: the one that finds pods is in no profile.
    prepare(copy, "max by (drill) (drill) == 1")
    environment = Environment("staging", copy, variables=tuple(on_cluster.variables.items()))
    own = environment.shipped["kubernetes"]
    off = {"enabled": False}
    settings = on_cluster.settings({"kubernetes": {**own, "discover": [DRILLS]}})
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DRILLS}}
    asking = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
    spec = cluster_faults.pod(on_cluster, SERVING)
    on_cluster.cluster.apply(namespace, cluster_faults.single("drills", spec, namespace=DRILLS, annotations=asking))
    environment.hasten(**settings, loki=off, jaeger=off)
    try:
        with environment.running():
            yield environment
    finally:
        on_cluster.cluster.ask("DELETE", on_cluster.cluster.path("v1", "Namespace", "", DRILLS))
    assert environment.watchstack("audit")["left"] == []


@pytest.fixture(scope="module")
def plan(staging: Environment, on_cluster: ClusterGround) -> Iterator[Plan]:
    with reached(staging, on_cluster) as found:
        yield found


def _told(plan: Plan) -> set[int]:
    """The drills that the receiver was told of as firing."""
    notes = ask(plan, "capture", "/notifications", path="/discord")
    firing = [json.dumps(note["body"]) for note in notes if "[FIRING" in json.dumps(note["body"])]
    return {int(number) for text in firing for number in re.findall(r"drill-n-(\d+)", text)}


def _now() -> int:
    return int(time.time()) // EVERY


def test_a_rolling_update_loses_no_notification(staging: Environment, plan: Plan) -> None:
    for attempt in eventually(120):
        with attempt:
            assert _now() - 4 in _told(plan)
    first = _now()
    # The pages' address is an argument of both programs: another one makes all of their pods anew.
    moved = staging.settings["port_offset"] + 50
    staging.set({**staging.settings, "port_offset": moved})
    updated = staging.up()
    last = _now()
    assert len(re.findall(r"StatefulSet/staging-monitoring/(?:prometheus|alertmanager)\S* updated", updated)) == 5
    for attempt in eventually(120):
        with attempt:
            assert {*range(first, last + 1)} - _told(plan) == set()


def test_its_selftest_is_green(staging: Environment) -> None:
    answer = staging.watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []
