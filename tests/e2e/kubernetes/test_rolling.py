"""Two Prometheus and three Alertmanagers of a cluster are updated, one after the other, while alerts come in.

What they and Loki take in is kept in a bucket outside the cluster, and found there.
"""

import json
import re
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from standins.rehearse import ClusterGround

from e2e.environments import Environment, clone, eventually
from e2e.kubernetes import cluster_faults
from e2e.kubernetes.in_cluster import ask, reached
from e2e.object_store import BUCKET, KEY, SECRET, ObjectStore, object_store
from e2e.test_high_availability import prepare
from stacks.plan import Plan
from stacks.service import Endpoint
from stacks.services import thanos
from toolchain import interrupted

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
def store(on_cluster: ClusterGround, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """On this machine, where pods reach it."""
    with object_store(tmp_path_factory.mktemp("store"), f"{on_cluster.cluster.node}:21999") as there:
        yield there


@pytest.fixture(scope="module")
def staging(
    on_cluster: ClusterGround, store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
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
    environment.hasten(
        **settings,
        jaeger=off,
        object_storage=store.settings,
        thanos={"volume": "256MB"},
        loki={"bucket": {"name": BUCKET, "since": date(2024, 1, 2)}, "volume": "512MB"},
        secrets={"bucket": {"file": str(store.credentials)}},
    )
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


UP = 'up{job="alertmanager"}'


def _asked(plan: Plan, query: str, **parameters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(plan, thanos.QUERY, "/api/v1/query", query=query, **parameters)["data"]["result"]
    return found


def test_the_querier_takes_both_replicas_for_one(plan: Plan) -> None:
    for attempt in eventually(60):
        with attempt:
            each = _asked(plan, UP, dedup="false")
            assert {found["metric"]["replica"] for found in each} == {"prometheus", "prometheus-2"}
            assert len(_asked(plan, UP, dedup="true")) == 3
    assert all(found["metric"].keys().isdisjoint({"replica", "receive"}) for found in _asked(plan, UP, dedup="true"))


def test_what_the_receiver_holds_is_in_the_bucket_when_its_pod_goes_and_the_store_answers_from_there(
    plan: Plan, on_cluster: ClusterGround, store: ObjectStore
) -> None:
    pod = on_cluster.cluster.path("v1", "Pod", plan.ground.namespace_of(thanos.RECEIVE), f"{thanos.RECEIVE}-0")
    on_cluster.cluster.ask("DELETE", pod)
    for attempt in eventually(60):
        with attempt:
            assert store.blocks("staging")
    there = {"storeMatch[]": f'{{__address__=~"{thanos.STORE}.*:{thanos.GRPC[thanos.STORE]}"}}'}
    for attempt in eventually(120):
        with attempt:
            found = _asked(plan, f"count_over_time({UP}[1h])", dedup="false", **there)
            assert {each["metric"]["replica"] for each in found} == {"prometheus", "prometheus-2"}


def test_logs_are_in_the_bucket(plan: Plan, store: ObjectStore) -> None:
    loki = plan.find("loki")
    assert loki is not None
    stream = {"stream": {"system": "boss-workflow"}, "values": [[str(time.time_ns()), "kept for long"]]}
    for path, body in (("/loki/api/v1/push", {"streams": [stream]}), ("/flush", None)):
        url = plan.url(loki, Endpoint(port="http", path=path))
        httpx.post(url, json=body, trust_env=False, timeout=30).raise_for_status()
    for attempt in eventually(30):
        with attempt:
            assert {"fake", "staging"} <= {name.partition("/")[0] for name in store.objects()}


def test_the_key_is_in_the_secrets_of_who_asks_the_bucket_and_nowhere_else(
    staging: Environment, on_cluster: ClusterGround, store: ObjectStore
) -> None:
    assert not store.let_in_without_a_key()
    there = on_cluster.cluster
    secrets = there.ask("GET", there.path("v1", "Secret", "staging-monitoring"))["items"]
    with_key = {one["metadata"]["name"] for one in secrets if "object-storage" in one.get("data", {})}
    assert with_key == {"loki", *thanos.NAMES} - {thanos.QUERY}
    for kind in ("ConfigMap", "Pod"):
        assert SECRET not in json.dumps(there.ask("GET", there.path("v1", kind)))
    [file] = (staging.clone / ".watchstack" / "state").rglob("staging.json.zst")
    state = interrupted.plain(file).decode()
    assert BUCKET in state
    assert SECRET not in state
    assert KEY not in state


def test_who_has_no_key_previews_that_nothing_changes_and_is_refused_an_update(
    staging: Environment, store: ObjectStore
) -> None:
    assert "unchanged" in staging.up("--expect-no-changes")
    aside = store.credentials.rename(store.credentials.with_suffix(".aside"))
    try:
        said = f"watchstack:secrets.bucket.file: {store.credentials}: no such file"
        assert said in staging.pulumi("preview", "--expect-no-changes")
        assert f"secrets: {said}" in staging.up(check=False)
    finally:
        aside.rename(store.credentials)
    assert "unchanged" in staging.up("--expect-no-changes")
