"""The Kubernetes target, end to end, on a real cluster: Phase 5 up, found, drilled, edited, and nothing left."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import seen
from standins import images, leaks
from standins.rehearse import ClusterGround

import rules
from e2e.environments import FAST_FORWARD, Environment, eventually
from e2e.kubernetes import cluster_faults
from e2e.kubernetes.in_cluster import ask, reached
from stacks.plan import Plan
from stacks.targets import manifests

pytestmark = pytest.mark.e2e

SECRET = "n0b0dy-reads-this-0123456789abcd"  # noqa: S105 - what is looked for everywhere
APPLICATIONS = "phase5-production"
ADDRESS = "phase5/HighResponseTime"
# Raised by what goes wrong in the cluster itself, and so by no fault of the simulation.
OF_THE_CLUSTER = {
    "DeploymentReplicaMismatch",
    "DiskSpaceLow",
    "HPAMaxedOut",
    "HighCPUUsage",
    "HighMemoryUsage",
    "PodDown",
    "PodRestartingTooOften",
}
# A pod that restarts is down in between.
INHIBITING = {"PodDown", "PodRestartingTooOften"}


@pytest.fixture(scope="module")
def phase5(on_cluster: ClusterGround, scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment("phase5", scratch, variables=tuple(on_cluster.variables.items()))
    given = tmp_path_factory.mktemp("secrets") / "slack"
    given.write_text(f"http://127.0.0.1:9/{SECRET}")
    heartbeat = {"capture": "heartbeat"}
    settings = {"secrets": {"slack-webhook": {"capture": "slack"}, "heartbeat": heartbeat}}
    environment.hasten(fast_forward=FAST_FORWARD, **settings, **on_cluster.settings({}))
    with environment.running():
        yield environment
    assert environment.watchstack("audit")["left"] == []


@pytest.fixture(scope="module")
def plan(phase5: Environment, on_cluster: ClusterGround) -> Iterator[Plan]:
    with reached(phase5, on_cluster) as found:
        yield found


def _query(plan: Plan, expr: str) -> list[Any]:
    found: list[Any] = ask(plan, "prometheus", "/api/v1/query", query=expr)["data"]["result"]
    return found


def _pods(there: ClusterGround) -> dict[str, tuple[str, int]]:
    """Id and restarts of the pods of the environment, by name."""
    asked = there.cluster.ask("GET", "/api/v1/pods?labelSelector=watchstack.environment%3Dphase5")
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(each["restartCount"] for each in pod["status"]["containerStatuses"]),
        )
        for pod in asked["items"]
    }


def test_its_selftest_is_green(phase5: Environment) -> None:
    answer = phase5.watchstack("selftest", "--timeout", "180", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_a_second_up_changes_nothing(phase5: Environment) -> None:
    assert "unchanged" in phase5.up("--expect-no-changes", preview=True)


def test_three_namespaces_have_what_their_names_say(phase5: Environment, on_cluster: ClusterGround) -> None:
    asked = on_cluster.cluster.ask("GET", "/api/v1/pods?labelSelector=watchstack.environment%3Dphase5")
    places: dict[str, set[str]] = {}
    for pod in asked["items"]:
        places.setdefault(pod["metadata"]["namespace"], set()).add(pod["metadata"]["labels"]["watchstack.service"])
    assert places == {
        "monitoring": {
            "alertmanager",
            "capture",
            "kube-state-metrics",
            "loki",
            "otel-collector",
            "prometheus",
        },
        "monitoring-host": {"log-collector", "node-exporter"},
        "tracing": {"jaeger"},
        APPLICATIONS: {"phase5-backend", "phase5-frontend", "phase5-reminder-agent"},
    }
    commands = json.loads(phase5.pulumi("stack", "output", "--json"))["port_forwards"]
    assert commands["jaeger"] == "kubectl -n tracing port-forward service/jaeger 31986:16686"


def test_a_pod_is_scraped_if_it_says_so_and_not_otherwise(plan: Plan, on_cluster: ClusterGround) -> None:
    serving = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nsold_total 7\\n' | nc -l -p 8000; done"
    spec = cluster_faults.pod(on_cluster, serving)
    asking = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
    with _there(
        on_cluster,
        cluster_faults.single("shop", spec, labels={"app": "phase5-shop-agent"}, annotations=asking),
        cluster_faults.single("quiet", spec, labels={"app": "phase5-quiet-agent"}),
    ):
        for attempt in eventually(60):
            with attempt:
                found = _query(plan, 'up{pod="shop"}')
                assert found
    [series] = found
    labels = {key: series["metric"][key] for key in ("instance", "job", "namespace", "service", "system")}
    assert labels == {
        "instance": "shop:8000",
        "job": "kubernetes-pods",
        "namespace": APPLICATIONS,
        "service": "phase5-shop-agent",
        "system": "phase5",
    }
    assert _query(plan, 'up{pod="quiet"}') == []


def test_every_recording_rule_returns_data(plan: Plan) -> None:
    records = {record.name for file in rules.pack("phase5", "v1", {}).files for record in file.records}
    assert len(records) == 13
    for attempt in eventually(120):
        with attempt:
            assert [name for name in sorted(records) if not _query(plan, name)] == []


def test_logs_of_pods_are_found_by_application_and_namespace(plan: Plan) -> None:
    for attempt in eventually(60):
        with attempt:
            found = ask(plan, "loki", "/loki/api/v1/label/app/values")["data"]
            assert {"phase5-backend", "phase5-frontend", "phase5-reminder-agent", "prometheus", "loki"} <= {*found}
    line = ask(plan, "loki", "/loki/api/v1/query_range", query='{app="phase5-backend"}', limit="1")
    [stream] = line["data"]["result"]
    assert stream["stream"]["k8s_namespace_name"] == APPLICATIONS
    assert stream["stream"]["system"] == "phase5"


@contextmanager
def _there(there: ClusterGround, *objects: Mapping[str, Any]) -> Iterator[None]:
    """Objects in the namespace of the applications, for the length of a block."""
    placed = [{**one, "metadata": {**one["metadata"], "namespace": APPLICATIONS}} for one in objects]
    there.cluster.apply(*placed)
    try:
        yield
    finally:
        for one in placed:
            path = there.cluster.path(one["apiVersion"], one["kind"], APPLICATIONS, one["metadata"]["name"])
            there.cluster.ask("DELETE", path, params={"gracePeriodSeconds": "0"})


def test_every_alert_is_raised_by_faults_of_the_application_and_of_the_cluster(
    phase5: Environment, plan: Plan, on_cluster: ClusterGround, small_disk: Path
) -> None:
    faults = cluster_faults.faults(on_cluster)
    assert {*faults, "DiskSpaceLow"} == OF_THE_CLUSTER
    cluster_faults.fill(small_disk)
    # A pod that is down silences what is no more than a warning of its kind.
    down = [one for name in INHIBITING for one in faults.pop(name)]
    with _there(on_cluster, *(one for objects in faults.values() for one in objects)):
        _hear(plan, OF_THE_CLUSTER - INHIBITING)
    with _there(on_cluster, *down):
        _hear(plan, {"PodDown"})
        for attempt in eventually(120):
            with attempt:
                assert "PodRestartingTooOften" in _firing(plan)
    small_disk.joinpath("used").unlink()
    for attempt in eventually(120):
        with attempt:
            assert not _firing(plan) & OF_THE_CLUSTER
    answer = phase5.watchstack("drill", "--timeout", "120", check=False)
    assert {drill["alert"]: drill["problem"] for drill in answer["drills"] if not drill["passed"]} == {}
    drilled = {drill["alert"].partition("/")[2] for drill in answer["drills"]}
    assert drilled | OF_THE_CLUSTER == {alert.name for alert in plan.alerts if alert.pack == "phase5"}
    assert not drilled & OF_THE_CLUSTER


def _hear(plan: Plan, names: set[str]) -> None:
    for attempt in eventually(240):
        with attempt:
            assert names - _told(plan) == set()


def _firing(plan: Plan) -> set[str]:
    return {one["metric"]["alertname"] for one in _query(plan, 'ALERTS{alertstate="firing",system="phase5"}')}


def _told(plan: Plan) -> set[str]:
    """The alerts whose names stand in what Slack would have got."""
    notes = ask(plan, "capture", "/notifications", path="/slack")
    return {name for name in OF_THE_CLUSTER for note in notes if name in json.dumps(note["body"])}


def test_a_rule_edit_is_one_object_and_live_without_a_restart(
    phase5: Environment, plan: Plan, on_cluster: ClusterGround
) -> None:
    before = _pods(on_cluster)
    own = phase5.settings
    edit = {"threshold": 2, "because": "a test of an edit", "seen": seen(ADDRESS)}
    try:
        phase5.set({**own, "override": {ADDRESS: edit}})
        steps = json.loads(phase5.output("preview", "--json"))["steps"]
        changed = [(step["op"], step["urn"].rpartition("::")[2]) for step in steps if step["op"] != "same"]
        assert changed == [("update", "ConfigMap/monitoring/prometheus")]
        phase5.up()
        # Which waits until it is in force.
        phase5.watchstack("status")
        groups = ask(plan, "prometheus", "/api/v1/rules")["data"]["groups"]
        [query] = [rule["query"] for group in groups for rule in group["rules"] if rule["name"] == "HighResponseTime"]
        assert query == "phase5:http_request_duration:p95 > 2"
        assert _pods(on_cluster) == before
    finally:
        phase5.set(own)
        phase5.up()


def test_one_secret_is_changed_and_is_nowhere_else(
    phase5: Environment, on_cluster: ClusterGround, tmp_path: Path
) -> None:
    own, given = phase5.settings, tmp_path / "slack"
    given.write_text(f"http://127.0.0.1:9/{SECRET}")
    before = _secret(on_cluster)
    try:
        phase5.set({**own, "secrets": {**own["secrets"], "slack-webhook": {"file": str(given)}}})
        previewed = phase5.output("preview", "--json")
        diff = phase5.pulumi("preview", "--diff")
        phase5.up()
        after = _secret(on_cluster)
        assert {key for key in after if after[key] != before[key]} == {"slack-webhook"}
        state = phase5.pulumi("stack", "export")
        objects = json.dumps(on_cluster.cluster.ask("GET", "/api/v1/configmaps"))
        pods = json.dumps(on_cluster.cluster.ask("GET", "/api/v1/pods"))
        places = {"preview": previewed, "diff": diff, "state": state, "configmaps": objects, "pods": pods}
        assert leaks.leaks(SECRET, places) == []
    finally:
        phase5.set(own)
        phase5.up()


def _secret(there: ClusterGround) -> dict[str, str]:
    found: dict[str, str] = there.cluster.ask("GET", "/api/v1/namespaces/monitoring/secrets/alertmanager")["data"]
    return found


_STRANGER = """
import socket, sys, time
for address in sys.argv[1:]:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print("reached", address, flush=True)
    except OSError as problem:
        print("refused", address, problem, flush=True)
print("done", flush=True)
time.sleep(3600)
"""


def test_who_is_in_no_flow_of_the_plan_gets_through_to_nobody(plan: Plan, on_cluster: ClusterGround) -> None:
    closed = ["prometheus.monitoring:9090", "loki.monitoring:3100", f"phase5-backend.{APPLICATIONS}:3001"]
    # That it can reach anything at all.
    open_ = [on_cluster.cluster.server.removeprefix("https://")]
    image = images.local(on_cluster.registry, images.ours())
    command = ["python3", "-c", _STRANGER, *closed, *open_]
    with _there(
        on_cluster, cluster_faults.single("stranger", cluster_faults.pod(on_cluster, "", image=image, command=command))
    ):
        for attempt in eventually(60):
            with attempt:
                path = f"/api/v1/namespaces/{APPLICATIONS}/pods/stranger/log"
                said = on_cluster.cluster.api.get(path).raise_for_status().text.splitlines()
                assert said[-1:] == ["done"]
    assert [line.split()[:2] for line in said[:-1]] == [
        *(["refused", address] for address in closed),
        *(["reached", address] for address in open_),
    ]
    assert [target for target in _targets(plan) if target["health"] != "up"] == []


def _targets(plan: Plan) -> list[Any]:
    found: list[Any] = ask(plan, "prometheus", "/api/v1/targets")["data"]["activeTargets"]
    return found


def test_what_is_admitted_in_spite_of_restricted_is_what_the_plan_says(plan: Plan, on_cluster: ClusterGround) -> None:
    for namespace in manifests.namespaces(plan):
        name = namespace["metadata"]["name"]
        labels = on_cluster.cluster.ask("GET", f"/api/v1/namespaces/{name}")["metadata"]["labels"]
        level = labels["pod-security.kubernetes.io/enforce"]
        assert level == ("privileged" if name == "monitoring-host" else "restricted")
    spec = cluster_faults.pod(on_cluster, "sleep 1", securityContext={"privileged": True})
    with pytest.raises(Exception, match='violates PodSecurity "restricted:latest"'):
        on_cluster.cluster.apply(cluster_faults.single("bold", spec, namespace="monitoring"))


def test_every_declared_job_has_targets_that_answer(plan: Plan) -> None:
    up = {target["labels"]["job"] for target in _targets(plan) if target["health"] == "up"}
    assert up == {job.job for job in plan.jobs}
    kubelet = next(target for target in _targets(plan) if target["labels"]["job"] == "kubelet")
    assert re.match(r"https://[\d.]+:10250/metrics", kubelet["scrapeUrl"])
