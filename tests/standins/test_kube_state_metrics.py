"""The stand-in says what kube-state-metrics would: of objects that a real cluster had, and from an API that changes."""

import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import yaml

import catalogue
from catalogue import Declared
from catalogue.observe import exposed
from standins import kube_state_metrics as standin
from standins.control_plane import ControlPlane, control_plane
from standins.kube_state_metrics import Api, Objects, Unanswered

RECORDED = json.loads((Path(__file__).parent / "kubernetes" / "recorded.json").read_text())
SAID = standin.exposition(RECORDED)
# What holds in the recorded cluster. A name that ends in a number or a hash is followed by a dot.
HELD = """
kube_pod_status_phase{namespace="shop",pod="db-0",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="db-0",phase="Pending"} 0
kube_pod_status_phase{namespace="shop",pod="bad-.",phase="Failed"} 1
kube_pod_status_phase{namespace="shop",pod="good-.",phase="Succeeded"} 1
kube_pod_status_ready{namespace="shop",pod="waits-.",condition="true"} 0
kube_pod_status_ready{namespace="shop",pod="waits-.",condition="false"} 1
kube_pod_status_scheduled{namespace="shop",pod="lone",condition="false"} 1
kube_pod_container_status_restarts_total{namespace="shop",pod="broken-.",container="crashes"} 3
kube_pod_container_status_waiting_reason{namespace="shop",pod="broken-.",container="pulls",reason="ImagePullBackOff"} 1
kube_pod_container_status_waiting_reason{namespace="shop",pod="waits-.",container="main",reason="PodInitializing"} 1
kube_pod_container_status_last_terminated_reason{namespace="shop",pod="broken-.",container="crashes",reason="Error"} 1
kube_pod_container_status_terminated_reason{namespace="shop",pod="good-.",container="main",reason="Completed"} 1
kube_pod_container_status_running{namespace="shop",pod="db-0",container="db"} 1
kube_pod_init_container_status_waiting_reason{namespace="shop",pod="waits-.",container="never",reason="CrashLoopBackOff"} 1
kube_pod_init_container_status_restarts_total{namespace="shop",pod="db-0",container="keep"} 0
kube_pod_container_resource_limits{namespace="shop",pod="db-0",container="db",node="node",resource="memory",unit="byte"} 33554432
kube_pod_container_resource_requests{namespace="shop",pod="db-0",container="db",node="node",resource="cpu",unit="core"} 0.05
kube_pod_container_resource_requests{namespace="shop",pod="lone",container="main",node="",resource="cpu",unit="core"} 1000
kube_pod_owner{namespace="shop",pod="lone",owner_kind="",owner_name="",owner_is_controller=""} 1
kube_pod_owner{namespace="shop",pod="agent-.",owner_kind="DaemonSet",owner_name="agent",owner_is_controller="true"} 1
kube_deployment_spec_replicas{namespace="shop",deployment="still"} 0
kube_deployment_spec_paused{namespace="shop",deployment="still"} 1
kube_deployment_status_replicas_unavailable{namespace="shop",deployment="broken"} 1
kube_deployment_status_condition{namespace="shop",deployment="broken",reason="MinimumReplicasUnavailable",condition="Available",status="false"} 1
kube_statefulset_status_replicas_ready{namespace="shop",statefulset="db"} 1
kube_daemonset_status_desired_number_scheduled{namespace="shop",daemonset="agent"} 1
kube_job_complete{namespace="shop",job_name="good",condition="true"} 1
kube_job_failed{namespace="shop",job_name="bad",condition="true"} 1
kube_job_status_failed{namespace="shop",job_name="bad",reason="BackoffLimitExceeded"} 1
kube_job_status_failed{namespace="shop",job_name="bad",reason="DeadlineExceeded"} 0
kube_job_status_failed{namespace="shop",job_name="good"} 0
kube_horizontalpodautoscaler_spec_max_replicas{namespace="shop",horizontalpodautoscaler="web"} 3
kube_horizontalpodautoscaler_status_condition{namespace="shop",horizontalpodautoscaler="web",condition="ScalingActive",status="false"} 1
kube_persistentvolumeclaim_status_phase{namespace="shop",persistentvolumeclaim="db-data",phase="Bound"} 1
kube_persistentvolumeclaim_info{namespace="shop",persistentvolumeclaim="db-data",storageclass="by-hand",volumename="disk",volumemode="Filesystem"} 1
kube_persistentvolumeclaim_resource_requests_storage_bytes{namespace="shop",persistentvolumeclaim="db-data"} 1073741824
kube_persistentvolume_capacity_bytes{persistentvolume="disk"} 1610612736
kube_namespace_status_phase{namespace="shop",phase="Active"} 1
kube_node_role{node="node",role="control-plane"} 1
kube_node_spec_taint{node="node",key="node.kubernetes.io/unschedulable",value="",effect="NoSchedule"} 1
kube_node_spec_unschedulable{node="node"} 1
kube_node_status_allocatable{node="node",resource="pods",unit="integer"} 110
kube_node_status_capacity{node="node",resource="memory",unit="byte"} 25276514304
kube_node_status_condition{node="node",condition="Ready",status="true"} 1
"""  # noqa: E501 - as they are exposed
# Only what is so has a series: no zero for the reasons that are not.
NOT_HELD = [
    'kube_pod_container_status_waiting_reason.*pod="db-0"',
    'kube_pod_container_status_last_terminated_reason.*pod="good-',
    'kube_pod_container_resource_limits.*pod="lone"',
    'kube_pod_container_status_restarts_total.*container="keep"',
    'kube_job_complete.*job_name="bad"',
    'kube_pod_start_time.*pod="lone"',
]


def _without_hashes(line: str) -> str:
    return re.sub(r'(pod="\w+-)(?!\d")[\w-]+"', r'\1."', re.sub(r'uid="[^"]*",?', "", line))


def test_what_holds_in_the_recorded_cluster() -> None:
    said = {_without_hashes(line) for line in SAID.splitlines()}
    assert [line for line in HELD.strip().splitlines() if line not in said] == []
    assert [pattern for pattern in NOT_HELD if re.search(pattern, SAID)] == []


def test_its_families_and_labels_are_those_of_the_catalogue() -> None:
    known = catalogue.product("kube-state-metrics")
    assert known is not None
    assert exposed(SAID) == {
        name: catalogue.Metric(type=declared.type, labels=tuple(sorted(declared.labels)))
        for name, declared in known.declared.items()
    }


def test_values_of_closed_labels_are_those_of_the_catalogue() -> None:
    known = catalogue.product("kube-state-metrics")
    assert known is not None
    other = [
        (name, label, value)
        for name, declared in known.declared.items()
        if isinstance(declared, Declared)
        for label, values in declared.values.items()
        for value in re.findall(rf'^{name}{{.*\b{label}="([^"]*)"', SAID, re.MULTILINE)
        if value not in values
    ]
    assert other == []


@pytest.mark.parametrize(
    ("text", "step", "value"),
    [
        ("100m", "0.001", 0.1),
        ("0.5", "0.001", 0.5),
        ("1n", "0.001", 0.001),
        ("64Mi", "1", 67108864),
        ("1.5Gi", "1", 1610612736),
        ("500m", "1", 1),
        ("2k", "1", 2000),
        ("12e3", "1", 12000),
        ("1E", "1", 1e18),
        ("0", "1", 0),
    ],
)
def test_quantities(text: str, step: str, value: float) -> None:
    assert standin.quantity(text, step) == value


def test_what_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="'many' is no quantity"):
        standin.quantity("many")


def test_reasons_that_no_controller_gives_are_unknown() -> None:
    [deployment] = [each for each in RECORDED["deployments"] if each["metadata"]["name"] == "waits"]
    conditions = [{"type": "Progressing", "status": "Unknown", "reason": "Whatever"}]
    said = standin.exposition({"deployments": [{**deployment, "status": {"conditions": conditions}}]})
    assert 'reason="unknown",condition="Progressing",status="unknown"} 1\n' in said


def test_a_pod_is_ready_when_it_says_so_and_not_when_its_containers_are() -> None:
    [pod] = [each for each in RECORDED["pods"] if each["metadata"]["name"] == "db-0"]
    conditions = [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}]
    container = {"name": "db", "started": True, "ready": False, "restartCount": 0}
    status = {"conditions": conditions, "containerStatuses": [container], "phase": "Running"}
    said = standin.exposition({"pods": [{**pod, "status": status}]})
    ready = re.findall(r'^kube_pod_status_ready.*condition="(\w+)"} (\d)$', said, re.MULTILINE)
    assert ready == [("true", "0"), ("false", "1"), ("unknown", "0")]
    assert re.findall(r"^kube_pod_container_status_ready.* (\d)$", said, re.MULTILINE) == ["0"]


def test_labels_are_escaped() -> None:
    said = standin.exposition({"namespaces": [{"metadata": {"name": 'a"b\\c\nd'}, "status": {"phase": "Active"}}]})
    assert 'kube_namespace_status_phase{namespace="a\\"b\\\\c\\nd",phase="Active"} 1\n' in said


# An API server of three namespaces in two pages, and what it says of them afterwards.


class _Namespaces(ThreadingHTTPServer):
    """It refuses every watch but the one that `events` are for. `refused`: the status of all answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Says)
        self.names, self.events = ["one", "two", "three"], list[dict[str, Any]]()
        self.refused = 0
        self.asked: list[dict[str, str]] = []


def _namespace(name: str, version: int, phase: str = "Active") -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "status": {"phase": phase}}


class _Says(BaseHTTPRequestHandler):
    server: _Namespaces

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        self.server.asked.append({**query, "authorization": self.headers["Authorization"]})
        events, watches = self.server.events, "watch" in query
        refused = self.server.refused or (410 if watches and not events else 0)
        self.send_response(refused or 200)
        self.end_headers()
        if refused:
            self.wfile.write(json.dumps({"kind": "Status", "message": "begin anew"}).encode())
        elif watches:
            self.server.events = []
            self.wfile.write(b"".join(json.dumps(event).encode() + b"\n" for event in events))
        else:
            self.wfile.write(json.dumps(self._page(query.get("continue"))).encode())

    def _page(self, token: str | None) -> dict[str, Any]:
        names = self.server.names[2:] if token else self.server.names[:2]
        more = {} if token else {"continue": "token"}
        return {"metadata": {"resourceVersion": "7", **more}, "items": [_namespace(name, 7) for name in names]}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Namespaces]:
    with _Namespaces() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(server: _Namespaces, tmp_path: Path) -> Api:
    (tmp_path / "token").write_text("secret\n")
    return Api(lambda: http.client.HTTPConnection("127.0.0.1", server.server_port), tmp_path / "token")


def _names(objects: Objects) -> list[str]:
    return [each["metadata"]["name"] for each in objects.now()]


def test_objects_are_listed_and_watched(server: _Namespaces, api: Api) -> None:
    server.events = [
        {"type": "ADDED", "object": _namespace("four", 8)},
        {"type": "MODIFIED", "object": _namespace("one", 9, "Terminating")},
        {"type": "DELETED", "object": _namespace("two", 10)},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}},
    ]
    objects = Objects(api, standin.RESOURCES["namespaces"])
    # The watch after the one that the server ends is refused.
    with pytest.raises(Unanswered, match="/api/v1/namespaces was answered with 410: begin anew"):
        objects.once()
    assert _names(objects) == ["one", "three", "four"]
    assert 'namespace="one",phase="Terminating"} 1' in standin.exposition({"namespaces": objects.now()})
    assert [each.get("resourceVersion") for each in server.asked] == [None, None, "7", "12"]
    assert {each["authorization"] for each in server.asked} == {"Bearer secret"}
    assert objects.asked == {("list", "success"): 1, ("watch", "success"): 1, ("watch", "error"): 1}


def test_a_watch_that_fails_is_no_event(server: _Namespaces, api: Api) -> None:
    server.events = [{"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}]
    with pytest.raises(Unanswered, match="the watch ended: too old resource version"):
        Objects(api, standin.RESOURCES["namespaces"]).once()


def test_what_it_serves(server: _Namespaces, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "_SECONDS_TO_TRY_AGAIN", 0.05)
    options = standin.read(
        ["--host=127.0.0.1", "--port=0", "--telemetry-host=127.0.0.1", "--telemetry-port=0", "--resources=namespaces"]
    )
    with standin.serving(options, api) as (metrics, of_itself):
        _eventually(lambda: 'namespace="three"' in _said(f"{metrics}/metrics"))
        server.names = ["five"]
        _eventually(lambda: re.findall(r'="(\w+)",phase="Active"', _said(f"{metrics}/metrics")) == ["five"])
        assert [_said(f"{metrics}{path}") for path in ("/healthz", "/livez")] == ["OK", "OK"]
        assert _said(f"{metrics}/readyz") == "404 page not found\n"
        server.refused = 403
        assert [_said(f"{metrics}{path}") for path in ("/healthz", "/livez")] == ["OK", "Service Unavailable"]
        assert _said(f"{of_itself}/readyz") == "OK"
        asked = r'^kube_state_metrics_list_total{resource="\*v1.Namespace",result="(\w+)"} \d+$'
        _eventually(lambda: re.findall(asked, _said(f"{of_itself}/metrics"), re.MULTILINE) == ["error", "success"])


def _said(address: str) -> str:
    return httpx.get(f"http://{address}").text


def _eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_resource_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        standin.read(["--resources=pods,nodez"])
    assert "resource nodez does not exist" in capsys.readouterr().err
    assert standin.read(["--port=8080", "--port=9", "--resources=pods,nodes"]).port == 9


# A real API server, and an account that may list and watch.

ALLOWED = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: watching}
rules: [{apiGroups: [""], resources: [namespaces], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: watching}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: watching}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
"""


def _with_its_account(there: ControlPlane, directory: Path) -> Api:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    (directory / "token").write_text(there.ask("POST", path, json=request)["status"]["token"])
    trusted = ssl.create_default_context(cafile=there.authority.file)
    host, _, port = there.server.removeprefix("https://").partition(":")
    return Api(lambda: http.client.HTTPSConnection(host, int(port), context=trusted), directory / "token")


@pytest.mark.e2e
def test_of_a_real_api_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--host=127.0.0.1", "--port=0", "--telemetry-host=127.0.0.1", "--telemetry-port=0"]
    with control_plane(tmp_path / "plane") as there:
        there.apply(*yaml.safe_load_all(ALLOWED))
        api = _with_its_account(there, tmp_path)
        with standin.serving(standin.read([*flags, "--resources=namespaces,pods"]), api) as (metrics, of_itself):
            _eventually(lambda: 'namespace="kube-system",phase="Active"} 1' in _said(f"{metrics}/metrics"))
            there.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
            _eventually(lambda: 'namespace="shop",phase="Active"} 1' in _said(f"{metrics}/metrics"))
            there.ask("DELETE", there.path("v1", "Namespace", name="shop"))
            _eventually(lambda: 'namespace="shop"' not in _said(f"{metrics}/metrics"))
            assert _said(f"{metrics}/livez") == "OK"
            _eventually(lambda: 'list_total{resource="*v1.Pod",result="error"}' in _said(f"{of_itself}/metrics"))
    assert 'pods is forbidden: User "system:serviceaccount:default:default"' in capsys.readouterr().err
