"""The stand-in for the Kubernetes provider, with a small stack of all that Watchstack makes, on its own API server.

No pod runs: there is no node. What a kubelet would say of one, a test says.
"""

import base64
import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from standins.control_plane import ClusterFailed, ControlPlane, control_plane, free_port
from standins.stack import Stack, served

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parent / "kubernetes_program"
TOKEN = "open-sesame-0123456789"  # noqa: S105
EVERYTHING = {
    *("account", "role", "role-binding", "cluster-role", "cluster-role-binding", "priority", "config", "secret"),
    *("claim", "service", "headless", "stateful", "deployment", "daemon", "job", "budget", "policy", "ingress"),
}
# What the pods of the program need to be made.
POD_NEEDS = ["account", "priority", "config"]
BASE = {
    "name": "standin",
    "provider": {},
    "labels": {},
    # Nobody gives it an address here.
    "annotations": {"ingress": {"pulumi.com/skipAwait": "true"}},
    "ignore": {},
    "options": {},
    "image": "registry.test/busybox:1",
    "role": "role",
    "priority": 1000,
    "data": {"main.conf": "first\nsecond\n", "other.conf": "same\n"},
    "immutable": None,
    "token": TOKEN,
    "access": "ReadWriteOnce",
    "class": "late",
    "storage": "1024Mi",
    "headless": "headless",
    "replicas": 0,
    "completions": 0,
    "kinds": None,
    "automatic": True,
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("kubernetes") / "plane") as running:
        for name in ("late", "other"):
            running.apply(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "StorageClass",
                    "metadata": {"name": name},
                    "provisioner": "standin.test/none",
                    "volumeBindingMode": "WaitForFirstConsumer",
                    "allowVolumeExpansion": True,
                }
            )
        yield running


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served("kubernetes_provider") as port:
        yield port


@contextmanager
def _made(directory: Path, port: int, plane: ControlPlane, **base: Any) -> Iterator[Stack]:
    """A stack that is removed at the end, and of which nothing stays."""
    stack = Stack(directory, PROGRAM, {**BASE, "kubeconfig": str(plane.kubeconfig), **base}, kubernetes=port)
    yield stack
    stack.run("destroy", "--yes", "--stack", "test")
    assert not _there(plane, "Namespace", "", stack.base["name"])


@pytest.fixture(scope="module")
def stack(port: int, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with _made(tmp_path_factory.mktemp("stack"), port, plane) as made:
        assert set(made.changes()) == EVERYTHING | {"cluster", "namespace", "automatic"}
        made.up()
        claim = _get(plane, "PersistentVolumeClaim", "standin", "standin-claim")
        assert (claim["spec"]["resources"]["requests"]["storage"], claim["status"]["phase"]) == ("1Gi", "Pending")
        _bind(plane, claim)
        yield made


def _bind(plane: ControlPlane, claim: Mapping[str, Any]) -> None:
    """As when its first pod comes: only then it can grow."""
    spec = {
        **{name: claim["spec"][name] for name in ("accessModes", "storageClassName")},
        "capacity": claim["spec"]["resources"]["requests"],
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"namespace": "standin", "name": "standin-claim"},
    }
    plane.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "standin"}, "spec": spec})
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True):
        with attempt:
            bound = _get(plane, "PersistentVolumeClaim", "standin", "standin-claim")
            assert bound["status"]["phase"] == "Bound"


@pytest.fixture
def small(port: int, plane: ControlPlane, tmp_path: Path) -> Iterator[Stack]:
    """A stack of one ConfigMap; a test adds what it needs."""
    with _made(tmp_path, port, plane, name="small", kinds=["config"], automatic=False) as made:
        yield made


VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}


def _get(plane: ControlPlane, kind: str, namespace: str, name: str = "") -> dict[str, Any]:
    return plane.ask("GET", plane.path(VERSIONS.get(kind, "v1"), kind, namespace, name))


def _there(plane: ControlPlane, kind: str, namespace: str, name: str) -> bool:
    try:
        _get(plane, kind, namespace, name)
    except ClusterFailed as error:
        if " 404: " in str(error):
            return False
        raise
    return True


def _merge(
    plane: ControlPlane, kind: str, namespace: str, name: str, change: Mapping[str, Any], part: str = ""
) -> None:
    """As somebody else would change it."""
    path = plane.path(VERSIONS.get(kind, "v1"), kind, namespace, name) + part
    headers = {"Content-Type": "application/merge-patch+json"}
    plane.ask("PATCH", path, content=json.dumps(change), headers=headers, params={"fieldManager": "somebody"})


def _uid(plane: ControlPlane, kind: str, name: str, namespace: str = "standin") -> str:
    return str(_get(plane, kind, namespace, name)["metadata"]["uid"])


def test_the_second_time_nothing_changes(stack: Stack, plane: ControlPlane) -> None:
    stack.up("--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes", "--stack", "test")
    made = _get(plane, "ConfigMap", "standin", stack.outputs()["automatic"])
    assert made["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert {field["manager"] for field in made["metadata"]["managedFields"]} == {"pulumi-kubernetes"}


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"data": {"main.conf": "first\n2nd\n"}}, {"config": "update", "automatic": "update"}),
        ({"immutable": True}, {"config": "update"}),
        ({"token": "another"}, {"secret": "update"}),
        ({"storage": "2Gi"}, {"claim": "update"}),
        ({"storage": "1Gi"}, {}),
        ({"class": "other"}, {"claim": "replace"}),
        ({"access": "ReadOnlyMany"}, {"claim": "replace"}),
        ({"headless": "service"}, {"stateful": "replace"}),
        ({"role": "other"}, {"role-binding": "replace"}),
        ({"completions": 1}, {"job": "replace"}),
        ({"replicas": 1}, {"stateful": "update", "deployment": "update"}),
        (
            {"image": "registry.test/busybox:2"},
            {"stateful": "update", "deployment": "update", "daemon": "update", "job": "replace"},
        ),
        ({"labels": {"new": "one"}}, dict.fromkeys(EVERYTHING, "update")),
        (
            {"provider": {"enable_config_map_mutable": False}, "data": {"main.conf": "first\n2nd\n"}},
            {"cluster": "update", "config": "replace", "automatic": "replace"},
        ),
    ],
)
def test_what_a_change_replaces(stack: Stack, settings: dict[str, Any], changes: dict[str, str]) -> None:
    assert stack.changes(**settings) == changes


def test_an_edit_shows_its_lines_and_is_made_in_place(stack: Stack, plane: ControlPlane) -> None:
    before = _uid(plane, "ConfigMap", "standin-config")
    edited = {**BASE["data"], "main.conf": "first\n2nd\n"}  # type: ignore[dict-item]
    stack.set(data=edited)
    lines = [line.strip() for line in stack.run("preview", "--diff", "--stack", "test").splitlines()]
    assert {"- second", "+ 2nd"} <= set(lines)
    assert not [line for line in lines if "other.conf" in line]
    stack.up(data=edited)
    after = _get(plane, "ConfigMap", "standin", "standin-config")
    assert (after["metadata"]["uid"], after["data"]) == (before, edited)
    # From its first update on, the fields are managed by name.
    managers = {(field["manager"], field["operation"]) for field in after["metadata"]["managedFields"]}
    assert len(managers) == 1
    assert next(iter(managers))[0].startswith("pulumi-kubernetes-")
    stack.up("--expect-no-changes", data=edited)
    stack.up()
    assert _get(plane, "ConfigMap", "standin", "standin-config")["data"] == BASE["data"]


def test_a_field_that_is_given_up_is_gone(stack: Stack, plane: ControlPlane) -> None:
    stack.up(labels={"new": "one"})
    assert _get(plane, "Deployment", "standin", "standin-deployment")["metadata"]["labels"]["new"] == "one"
    stack.up()
    assert "new" not in _get(plane, "Deployment", "standin", "standin-deployment")["metadata"]["labels"]


def test_secrets_are_in_no_state_and_no_preview(stack: Stack, plane: ControlPlane) -> None:
    secret, hidden = "another-secret-987654321", [TOKEN, base64.b64encode(TOKEN.encode()).decode()]
    hidden += [secret, base64.b64encode(secret.encode()).decode()]
    stack.set(token=secret)
    said = stack.run("preview", "--diff", "--stack", "test")
    assert "[secret]" in said
    stack.up(token=secret)
    assert _get(plane, "Secret", "standin", "standin-secret")["data"]["token"] == hidden[3]
    stack.run("refresh", "--yes", "--stack", "test")
    shown = said + stack.state()
    stack.up()
    assert not [text for text in hidden if text in shown]


def test_an_object_that_must_be_another_is_replaced_under_its_name(stack: Stack, plane: ControlPlane) -> None:
    before = _uid(plane, "StatefulSet", "standin-stateful")
    stack.up(headless="service")
    after = _get(plane, "StatefulSet", "standin", "standin-stateful")
    assert after["metadata"]["uid"] != before
    assert after["spec"]["serviceName"] == "standin-service"
    stack.up()


def test_what_the_api_server_refuses_is_refused_in_the_preview(stack: Stack) -> None:
    stack.set(priority=2000)
    said = stack.run("preview", "--stack", "test", fails=True)
    assert "PriorityClass.scheduling.k8s.io" in said
    assert "may not be changed in an update" in said or "field is immutable" in said


def test_a_refresh_finds_what_somebody_did(stack: Stack, plane: ControlPlane) -> None:
    # Before the first update of an object, which takes its fields over, a preview does not see conflicts.
    stack.up(labels={"new": "one"})
    stack.up()
    _merge(plane, "ConfigMap", "standin", "standin-config", {"data": {"main.conf": "theirs"}})
    plane.ask("DELETE", plane.path("v1", "ServiceAccount", "standin", "standin-account"))
    assert stack.changes() == {}
    stack.run("refresh", "--yes", "--stack", "test")
    for said in (stack.run("preview", "--stack", "test", fails=True), stack.up(fails=True)):
        assert 'conflict with "somebody"' in said
        assert "server-side apply field conflict detected" in said
    forced = {**BASE["annotations"], "config": {"pulumi.com/patchForce": "true"}}  # type: ignore[dict-item]
    assert stack.changes(annotations=forced) == {"config": "update"}
    stack.up(annotations=forced)
    assert _get(plane, "ConfigMap", "standin", "standin-config")["data"] == BASE["data"]
    stack.up()


def test_what_is_there_already_is_refused_or_taken_over(small: Stack, plane: ControlPlane) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "small-config", "namespace": "small"}}
    small.up(kinds=[])
    plane.apply({**theirs, "data": {"main.conf": "theirs"}})
    assert small.changes() == {"config": "create"}
    said = small.up(fails=True)
    assert 'configmaps "small-config" already exists' in said
    assert "The resource already exists in the cluster" in said
    upserting = {"upsert_existing_objects": True}
    assert "conflict with" in small.up(fails=True, provider=upserting)
    small.up(provider={**upserting, "enable_patch_force": True})
    assert _get(plane, "ConfigMap", "small", "small-config")["data"] == BASE["data"]


def test_an_import_takes_over_what_is_the_same(small: Stack, plane: ControlPlane) -> None:
    small.up(kinds=[])
    labels = {"watchstack.environment": "small"}
    metadata = {"name": "small-config", "namespace": "small", "labels": labels}
    plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": BASE["data"]})
    imported = {"config": {"import_": "small/small-config"}}
    assert small.changes(options=imported) == {"config": "import"}
    small.up(options=imported)
    small.up("--expect-no-changes")


def test_a_deployment_that_does_not_get_ready_is_known_with_the_reason(small: Stack, plane: ControlPlane) -> None:
    wanted: dict[str, Any] = {"kinds": [*POD_NEEDS, "deployment"], "replicas": 1}
    told = threading.Thread(target=_say_of_the_pod, args=(plane, "small", "deployment", PULLING))
    told.start()
    said = small.up(fails=True, **wanted, options={"deployment": {"custom_timeouts": {"create": "15s"}}})
    told.join()
    assert "'small-deployment' timed out waiting to be Ready" in said
    assert "[MinimumReplicasUnavailable] Deployment does not have minimum availability." in said
    assert "Minimum number of live Pods was not attained" in said
    assert "containers with unready status: [main][ImagePullBackOff] Back-off pulling image" in said
    assert "small-deployment" in small.state()
    uid = _uid(plane, "Deployment", "small-deployment", "small")
    assert small.changes(**wanted) == {"deployment": "update"}
    _say_of_the_pod(plane, "small", "deployment", RUNNING)
    small.up(**wanted)
    small.up("--expect-no-changes", **wanted)
    assert _uid(plane, "Deployment", "small-deployment", "small") == uid


PULLING = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {
            "type": "Ready",
            "status": "False",
            "reason": "ContainersNotReady",
            "message": "containers with unready status: [main]",
        },
    ],
    "containerStatuses": [
        {
            "name": "main",
            "image": BASE["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
        }
    ],
}
RUNNING = {
    "phase": "Running",
    "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "Ready")],
    "containerStatuses": [],
}
SUCCEEDED = {"phase": "Succeeded", "containerStatuses": [], "conditions": []}
FAILED = {**SUCCEEDED, "phase": "Failed"}


def _say_of_the_pod(plane: ControlPlane, namespace: str, app: str, status: Mapping[str, Any]) -> None:
    """What the kubelet would."""
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True):
        with attempt:
            pods = _get(plane, "Pod", namespace)["items"]
            name = next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"]["app"] == app)
            _merge(plane, "Pod", namespace, name, {"status": status}, "/status")


@pytest.mark.parametrize(
    ("status", "fails"),
    [(SUCCEEDED, ""), (FAILED, "[BackoffLimitExceeded] Job has reached the specified backoff limit")],
)
def test_a_job_is_waited_for(small: Stack, plane: ControlPlane, status: dict[str, Any], fails: str) -> None:
    told = threading.Thread(target=_say_of_the_pod, args=(plane, "small", "job", status))
    told.start()
    said = small.up(fails=bool(fails), kinds=[*POD_NEEDS, "job"], completions=1)
    told.join()
    assert fails in said


def test_a_stateful_set_is_waited_for(small: Stack, plane: ControlPlane) -> None:
    wanted: dict[str, Any] = {"kinds": [*POD_NEEDS, "headless", "stateful"], "replicas": 1}
    soon = {"stateful": {"pulumi.com/timeoutSeconds": "4"}}
    said = small.up(fails=True, **wanted, annotations=soon)
    assert "'small-stateful' timed out waiting to be Ready" in said
    assert "0 out of 1 replicas succeeded readiness checks" in said
    told = threading.Thread(target=_say_of_the_pod, args=(plane, "small", "stateful", RUNNING))
    told.start()
    small.up(**wanted)
    told.join()


def test_an_ingress_that_gets_no_address_says_so(small: Stack) -> None:
    said = small.up(fails=True, kinds=["ingress"], annotations={"ingress": {"pulumi.com/timeoutSeconds": "1"}})
    assert "Ingress has at least one rule with an unavailable target endpoint." in said
    assert "Ingress .status.loadBalancer field was not updated with a hostname/IP address." in said


def test_a_field_that_somebody_else_manages_is_left_alone(small: Stack, plane: ControlPlane) -> None:
    wanted: dict[str, Any] = {"kinds": [*POD_NEEDS, "deployment"], "ignore": {"deployment": ["spec.replicas"]}}
    small.up(**wanted)
    _merge(plane, "Deployment", "small", "small-deployment", {"spec": {"replicas": 3, "paused": True}})
    _merge(plane, "Deployment", "small", "small-deployment", {"spec": {"replicas": 0}})
    small.up(**wanted, replicas=2, labels={"new": "one"})
    assert _get(plane, "Deployment", "small", "small-deployment")["spec"]["replicas"] == 0


def test_an_update_that_is_stopped_leaves_its_wait(small: Stack, plane: ControlPlane) -> None:
    small.set(kinds=[*POD_NEEDS, "deployment"], replicas=1)
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "test"],  # noqa: S607
        cwd=small.directory,
        env=small.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as update:
        for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True):
            with attempt:
                assert _there(plane, "Deployment", "small", "small-deployment")
        update.send_signal(signal.SIGINT)
        said, _ = update.communicate(timeout=60)
        assert update.returncode != 0
    assert 'Resource operation was cancelled for "small-deployment"' in said


def test_a_namespace_is_gone_when_its_deletion_is_done(port: int, plane: ControlPlane, tmp_path: Path) -> None:
    with _made(tmp_path, port, plane, name="held", kinds=["config"], automatic=False) as made:
        made.up()
        held = {"metadata": {"finalizers": ["standin.test/held"]}}
        _merge(plane, "ConfigMap", "held", "held-config", held)
        made.up(options={"config": {"custom_timeouts": {"delete": "3s"}}})
        said = made.run("destroy", "--yes", "--stack", "test", fails=True)
        assert "timed out waiting for the condition" in said
        assert "finalizers might be preventing deletion (standin.test/held)" in said
        assert _there(plane, "Namespace", "", "held")
        _merge(plane, "ConfigMap", "held", "held-config", {"metadata": {"finalizers": []}})


def test_a_cluster_that_is_out_of_reach(port: int, plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(plane.kubeconfig.read_text())
    made = Stack(tmp_path, PROGRAM, {**BASE, "kubeconfig": str(kubeconfig)}, kubernetes=port)
    settings: dict[str, Any] = {"name": "away", "kinds": ["config"], "automatic": False}
    made.up(**settings)
    kubeconfig.write_text(
        plane.kubeconfig.read_text().replace(plane.server, f"https://127.0.0.1:{free_port('127.0.0.1')}")
    )
    assert made.changes(**settings, labels={"new": "one"}) == {"config": "update"}
    said = made.up(fails=True, **settings, labels={"new": "one"})
    assert "configured Kubernetes cluster is unreachable: unable to load schema information from the API server" in said
    assert "failed to read resource state due to unreachable cluster" in made.run("refresh", "--yes", fails=True)
    said = made.run("destroy", "--yes", fails=True)
    assert "If the cluster was deleted, you can remove this resource from Pulumi state" in said
    kubeconfig.write_text(plane.kubeconfig.read_text())
    made.run("destroy", "--yes")


def test_no_cluster_is_configured(port: int, tmp_path: Path) -> None:
    made = Stack(tmp_path, PROGRAM, {**BASE, "kubeconfig": str(tmp_path / "missing")}, kubernetes=port)
    said = made.up(fails=True)
    assert "configured Kubernetes cluster is unreachable: failed to parse kubeconfig data" in said


def test_who_may_not_make_an_object_is_told_so(port: int, plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = str(plane.user("nobody"))
    made = Stack(tmp_path, PROGRAM, {**BASE, "kubeconfig": kubeconfig}, kubernetes=port)
    assert "namespace" in made.changes()
    said = made.up(fails=True)
    assert 'namespaces is forbidden: User "nobody" cannot create resource "namespaces"' in said


def test_other_kinds_are_refused(port: int, plane: ControlPlane, tmp_path: Path) -> None:
    made = Stack(tmp_path, PROGRAM, {**BASE, "kubeconfig": str(plane.kubeconfig)}, kubernetes=port)
    program = made.directory / "__main__.py"
    program.write_text(
        "import pulumi_kubernetes\n"
        "pulumi_kubernetes.core.v1.Pod('pod', spec={'containers': [{'name': 'main', 'image': 'none'}]})\n"
    )
    assert "the stand-in does not know core/v1:Pod; known: Namespace, " in made.up(fails=True)
