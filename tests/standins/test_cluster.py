import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes.client
import kubernetes.config
import psutil
import pytest

from stacks.targets.supervisor import wait
from standins import cluster as module
from standins import images
from standins.cluster import DNS, Cluster, cluster
from standins.control_plane import API, ClusterFailed, ClusterMissing, control_plane, trusting
from standins.network import NODE, Before, fenced, set_up
from standins.registry import registry

TESTS = Path(__file__).parents[1]
NOBODY = images.NOBODY
# A process that nothing else starts.
SLEEP = ["sleep", "86399"]
STARTER = f"""
import sys, time
from pathlib import Path
from standins.cluster import cluster
from standins.test_cluster import SLEEP, claim, pod, phase
from stacks.targets.supervisor import wait
with cluster(Path(sys.argv[1])) as there:
    left = pod("left", sys.argv[2], {SLEEP}, claim="data")
    there.apply(claim("data"), left)
    assert wait(lambda: phase(there, left) == "Running", 60)
    print("running", flush=True)
    time.sleep(600)
"""


# This machine, before and after.


def machine(directory: Path) -> dict[str, list[str]]:
    """What a cluster in a directory, or below it, changes here."""
    processes = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    marks = (f"{directory}/", "ws-cluster", "/coredns", "/pause", " ".join(SLEEP))
    places = ["/run", "/var/lib", "/var/log", "/var/lib/cni", "/run/containerd/s", "/run/netns", "/opt"]
    return {
        "packet filter": said("nft", "-s", "list", "ruleset"),
        "iptables": [line for line in said("iptables-save") if not line.startswith(("#", ":"))],
        "mounts": Path("/proc/self/mounts").read_text().splitlines(),
        "addresses": said("ip", "-o", "address"),
        "routes": said("ip", "route"),
        "settings": [f"{name} {value}" for name, value in Before.look().sysctls.items()],
        "groups": sorted(str(each) for each in Path("/sys/fs/cgroup").glob("**/kubepods")),
        "processes": [line for line in processes if any(mark in line for mark in marks) and "python" not in line],
        "places": [str(each) for place in places if Path(place).is_dir() for each in sorted(Path(place).iterdir())],
    }


def said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def unchanged(tmp_path: Path) -> Iterator[None]:
    """After the test, this machine is as it was. Another one's cluster is waited for, to look at neither."""
    with module._alone(str):
        before = machine(tmp_path)
    yield
    with module._alone(str):
        after = machine(tmp_path)
    assert {what: sorted(set(after[what]) ^ set(before[what])) for what in before if after[what] != before[what]} == {}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        images.push(address, [images.official("busybox"), images.official("prometheus")])
        yield address


@pytest.fixture(scope="module")
def busybox(address: str) -> str:
    return images.local(address, images.official("busybox"))


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.usefixtures("unchanged")
def test_nothing_is_left(tmp_path: Path, busybox: str, number: signal.Signals) -> None:
    """What ends by SIGTERM takes everything with it; after a kill, the next one does, even where it then refuses."""
    directory = tmp_path / "cluster"
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, directory, busybox], env=environment, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout
        assert starter.stdout.readline() == "running\n"
        assert " ".join(SLEEP) in machine(tmp_path)["processes"]
        starter.send_signal(number)
    if number == signal.SIGKILL:
        assert " ".join(SLEEP) in machine(tmp_path)["processes"]
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "precious").touch()
        with pytest.raises(ClusterFailed, match=r"files that no cluster has put there$"), cluster(tmp_path / "other"):
            pass
        assert (tmp_path / "other" / "precious").exists()
    assert starter.returncode == (128 + number if number == signal.SIGTERM else -number)
    assert not directory.exists()


@pytest.mark.e2e
@pytest.mark.usefixtures("unchanged")
def test_what_does_not_start_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_kubelet_arguments", lambda _: ["--no-such-flag"])
    with (
        pytest.raises(ClusterFailed, match=r"^kubelet ended with 1:\n(.*\n)*.*no-such-flag"),
        cluster(tmp_path / "own"),
    ):
        pass
    assert not (tmp_path / "own").exists()


@pytest.mark.e2e
@pytest.mark.usefixtures("unchanged")
def test_nothing_leaves_before_services_are_known() -> None:
    """Here an address of a service would be looked for outside."""
    with module._alone(str):
        before = Before.look()
        try:
            set_up()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, pytest.raises(PermissionError):
                asking.sendto(b"?", (DNS, 53))
            assert fenced() == 1
        finally:
            before.restore()


# What runs in it.


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster") / "own") as there:
        yield there


def namespace(name: str, level: str = "privileged", **labels: str) -> dict[str, Any]:
    labels |= {"pod-security.kubernetes.io/enforce": level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def claim(name: str, namespace: str = "default", size: str = "1Gi", kind: str | None = None) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    spec |= {"storageClassName": kind} if kind else {}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def pod(
    name: str, image: str, command: list[str], namespace: str = "default", claim: str = "", **more: Any
) -> dict[str, Any]:
    """A pod that every level of security allows, with a claim at /data."""
    limited = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "main", "image": image, "command": command, "securityContext": limited}
    user = {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    if claim:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | more, "spec": spec}


def server(name: str, image: str, namespace: str) -> list[dict[str, Any]]:
    """A pod that answers with its name on port 8000, and its service on port 80."""
    script = f"echo {name} >/dev/shm/index.html; exec httpd -f -p 8000 -h /dev/shm"
    metadata = {"name": name, "namespace": namespace}
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return [pod(name, image, ["sh", "-c", script], namespace), service]


def found(there: Cluster, each: dict[str, Any]) -> dict[str, Any]:
    metadata = each["metadata"]
    return there.ask(
        "GET", there.path(each["apiVersion"], each["kind"], metadata.get("namespace", ""), metadata["name"])
    )


def phase(there: Cluster, each: dict[str, Any]) -> str:
    return str(found(there, each)["status"]["phase"])


def run(there: Cluster, *pods: dict[str, Any]) -> list[str]:
    """The output of each pod, which ends, with its exit code."""
    there.apply(*pods)
    assert wait(lambda: {phase(there, each) for each in pods} <= {"Succeeded", "Failed"}, 60)
    return [output(there, each) for each in pods]


def output(there: Cluster, each: dict[str, Any]) -> str:
    ended = found(there, each)["status"]["containerStatuses"][0]["state"]["terminated"]
    path = there.path("v1", "Pod", each["metadata"]["namespace"], each["metadata"]["name"])
    text = there.api.get(f"{path}/log").text
    there.ask("DELETE", path)
    return f"{text}code {ended['exitCode']}"


UNANSWERED = "Terminated\ncode 143"
Asks = Callable[..., dict[str, Any]]


@pytest.fixture
def asks(busybox: str) -> Asks:
    """A pod that says what it is answered within two seconds."""
    names = (f"asks-{number}" for number in itertools.count())

    def asks(namespace: str, url: str, **labels: str) -> dict[str, Any]:
        # A policy finds a new pod a moment after its start. Nothing ends the first process of a pod by SIGTERM.
        command = ["sh", "-c", f"sleep 1; timeout 2 wget -qO- {url}; exit $?"]
        return pod(next(names), busybox, command, namespace, labels=labels)

    return asks


def answers(there: Cluster, name: str, namespace: str) -> bool:
    """Whether a service answers this machine."""
    service = there.ask("GET", there.path("v1", "Service", namespace, name))["spec"]["clusterIP"]
    try:
        return httpx.get(f"http://{service}", timeout=2, trust_env=False).text == f"{name}\n"
    except httpx.TransportError:
        return False


@pytest.mark.e2e
def test_the_node_has_its_version_and_address(there: Cluster) -> None:
    (node,) = there.ask("GET", "/api/v1/nodes")["items"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.2"
    assert {"type": "InternalIP", "address": NODE} in node["status"]["addresses"]
    # What uses the network of the node finds the server as pods do.
    by_service = httpx.get(f"https://{API}/version", verify=trusting(there.authority), trust_env=False)
    assert by_service.json()["gitVersion"] == "v1.34.2"


@pytest.mark.e2e
def test_what_is_restricted_runs_and_keeps_its_data(there: Cluster, address: str) -> None:
    prometheus = images.local(address, images.official("prometheus"))
    own = pod("prometheus", prometheus, ["prometheus", "--storage.tsdb.path=/data"], "strict", claim="data")
    container = own["spec"]["containers"][0]
    container["command"] += ["--config.file=/etc/prometheus/prometheus.yml"]
    container["readinessProbe"] = {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1}
    there.apply(namespace("strict", "restricted"), claim("data", "strict"), own)
    assert wait(lambda: is_ready(there, own), 60)
    bound = found(there, claim("data", "strict"))
    assert bound["spec"]["storageClassName"] == "standard"
    folder = there.directory / "volumes" / bound["spec"]["volumeName"]
    assert (folder / "wal").stat().st_uid == NOBODY
    assert folder.stat().st_gid == NOBODY


def is_ready(there: Cluster, each: dict[str, Any]) -> bool:
    conditions = found(there, each)["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.mark.e2e
def test_what_is_privileged_is_refused_where_that_is_enforced_and_runs_elsewhere(there: Cluster, busybox: str) -> None:
    own = pod("careless", busybox, ["true"], "strict")
    own["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    there.apply(namespace("strict", "restricted"))
    with pytest.raises(ClusterFailed, match=r'403: pods "careless" .* violates PodSecurity "restricted:latest": priv'):
        there.apply(own)
    own["metadata"]["namespace"] = "default"
    own["spec"]["securityContext"] = {}
    # As what watches a node does.
    own["spec"]["volumes"] = [{"name": "host", "hostPath": {"path": "/"}}]
    mount = {"name": "host", "mountPath": "/host", "readOnly": True, "mountPropagation": "HostToContainer"}
    own["spec"]["containers"][0]["volumeMounts"] = [mount]
    own["spec"]["containers"][0]["command"] = ["cat", "/host/etc/hostname"]
    assert run(there, own) == [f"{Path('/etc/hostname').read_text()}code 0"]


@pytest.mark.e2e
def test_a_volume_grows_where_its_class_allows_that_and_goes_with_its_claim(there: Cluster, busybox: str) -> None:
    grows, stays = claim("grows"), claim("stays", kind="fixed")
    users = [pod(f"uses-{name}", busybox, ["sleep", "600"], claim=name) for name in ("grows", "stays")]
    there.apply(grows, stays, *users)
    assert wait(lambda: [phase(there, each) for each in users] == ["Running"] * 2, 60)
    folder = there.directory / "volumes" / found(there, grows)["spec"]["volumeName"]
    there.apply(claim("grows", size="3Gi"))
    assert wait(lambda: bool(found(there, grows)["status"]["capacity"] == {"storage": "3Gi"}), 20)
    with pytest.raises(ClusterFailed, match="the storageclass that provisions the pvc must support resize"):
        there.apply(claim("stays", size="3Gi", kind="fixed"))
    assert phase(there, users[0]) == "Running"
    for each in (users[0], grows):
        there.ask("DELETE", there.path("v1", each["kind"], "default", each["metadata"]["name"]))
    assert folder.is_dir()
    assert wait(lambda: not folder.exists(), 20)
    assert wait(lambda: folder.name not in str(there.ask("GET", "/api/v1/persistentvolumes")), 5)


@pytest.mark.e2e
def test_services_are_found_by_name_from_other_namespaces_and_nothing_leaves(
    there: Cluster, busybox: str, asks: Asks
) -> None:
    there.apply(namespace("one"), namespace("two"), *server("web", busybox, "one"))
    assert wait(lambda: answers(there, "web", "one"), 30)
    before = there.fenced()
    # No service has the last but one address, and the last one is outside.
    names = ["web.one", "web.one.svc.cluster.local", "web", "10.190.143.254", "192.0.2.1"]
    near, full, unknown, unused, outside = run(there, *(asks("two", f"http://{name}/") for name in names))
    assert (near, full) == ("web\ncode 0", "web\ncode 0")
    assert "bad address" in unknown
    assert all("refused" in answer for answer in (unused, outside))
    assert there.fenced() >= before + 2


@pytest.mark.e2e
def test_a_change_of_a_config_map_is_seen_within_seconds(there: Cluster, busybox: str) -> None:
    own = pod("reads", busybox, ["sh", "-c", "until grep -q new /etc/own/text; do sleep 0.2; done"])
    own["spec"]["volumes"] = [{"name": "own", "configMap": {"name": "own"}}]
    own["spec"]["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": "/etc/own"}]
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"text": "old"}}
    there.apply(settings, own)
    assert wait(lambda: phase(there, own) == "Running", 30)
    there.apply(settings | {"data": {"text": "new"}})
    assert wait(lambda: phase(there, own) == "Succeeded", 15)


@pytest.mark.e2e
def test_policies_are_kept(there: Cluster, busybox: str, asks: Asks) -> None:
    there.apply(namespace("guarded"), namespace("friends", side="friend"), *server("safe", busybox, "guarded"))
    assert wait(lambda: answers(there, "safe", "guarded"), 30)
    assert run(there, asks("friends", "http://safe.guarded/")) == ["safe\ncode 0"]
    space, peer = {"matchLabels": {"side": "friend"}}, {"matchLabels": {"role": "peer"}}
    incoming = {"from": [{"namespaceSelector": space, "podSelector": peer}], "ports": [{"port": 8000}]}
    names = {"to": [{"ipBlock": {"cidr": "10.190.0.0/16"}}], "ports": [{"protocol": "UDP", "port": 53}]}
    there.apply(
        policy("guarded", podSelector={}, policyTypes=["Ingress"], ingress=[incoming]),
        policy("friends", podSelector={"matchLabels": {"role": "mute"}}, policyTypes=["Egress"], egress=[names]),
    )
    # What is mute finds the name, and reaches neither the pod nor the node.
    mute, node = {"side": "friend", "role": "mute"}, f"http://{NODE}:1/"
    at_first, stranger, elsewhere, muted, node_muted, at_node = run(
        there,
        asks("friends", "http://safe.guarded/", role="peer"),
        asks("friends", "http://safe.guarded/", role="stranger"),
        asks("default", "http://safe.guarded/", role="peer"),
        asks("friends", "http://safe.guarded/", **mute),
        asks("friends", node, **mute),
        asks("friends", node, role="peer"),
    )
    assert (at_first, stranger, elsewhere, muted, node_muted) == ("safe\ncode 0", *[UNANSWERED] * 4)
    assert "refused" in at_node
    assert answers(there, "safe", "guarded")


def policy(namespace: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "own", "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@pytest.mark.e2e
def test_a_user_may_do_what_is_bound_and_nothing_else(there: Cluster) -> None:
    metadata = {"name": "readers", "namespace": "default"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    bound = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
    there.apply(bound | {"subjects": [group], "roleRef": role})
    own = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(there.user("ada", ["readers"])), client_configuration=own)
    with kubernetes.client.ApiClient(own) as client:
        core = kubernetes.client.CoreV1Api(client)
        assert core.list_namespaced_pod("default").items is not None
        with pytest.raises(kubernetes.client.ApiException, match=r'User \\"ada\\" cannot list resource \\"secrets'):
            core.list_namespaced_secret("default")


# Without a node, and without a cluster.


@pytest.mark.e2e
def test_a_control_plane_is_enough_for_objects(tmp_path: Path) -> None:
    with control_plane(tmp_path / "one") as one:
        one.apply(namespace("only"))
        assert one.path("v1", "ConfigMap", "only", "x") == "/api/v1/namespaces/only/configmaps/x"
        with pytest.raises(ClusterFailed, match=r'404: namespaces "other" not found$'):
            one.ask("GET", "/api/v1/namespaces/other")
        with pytest.raises(ClusterFailed, match="another process runs a cluster in"), control_plane(tmp_path / "one"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED", {str(tmp_path / "nft"): "nftables", str(tmp_path / "bridge"): "plugins"})
    with pytest.raises(ClusterMissing, match=r"install Debian's nftables, plugins$"), cluster(tmp_path / "own"):
        pass


def test_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED", {})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterMissing, match=r"as root, and this is user 1000$"), cluster(tmp_path / "own"):
        pass
