"""A Kubernetes control plane of one's own, for the length of a `with`: etcd, the API server and the controllers.

It needs no root, listens on 127.0.0.1, and has no node: no pod ever runs. `standins.cluster` adds one.
"""

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stacks.targets.supervisor import wait
from standins import demand
from standins.authority import Authority
from standins.machine import MachineFailed, alone, end, ending_well, serving
from standins.network import SERVICES
from toolchain import programs

# The first address of services is the API server's.
API = "10.190.128.1"

_API_IN_PODS = (API, "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_MARK = "cluster.json"
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 15
_LINES_SAID = 15

Step = Callable[[str], object]
"""Hears what is being waited for."""


class ClusterMissing(Exception):
    """A cluster is needed, and cannot be started here."""


class ClusterFailed(Exception):
    """A part of the cluster was started, and does not do its work."""


@dataclass(frozen=True)
class Component:
    """A program of the cluster, and its log."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self, ready: Callable[[], bool], missing: str, seconds: float = _SECONDS_TO_START) -> None:
        """Until it is ready. ClusterFailed names it, what is missing, and the end of its log."""
        wait(lambda: self.process.poll() is not None or ready(), seconds)
        if self.process.poll() is not None:
            raise ClusterFailed(f"{self.name} ended with {self.process.returncode}:\n{self._said()}")
        if not ready():
            raise ClusterFailed(f"after {seconds:g} s, {missing}; {self.name} said:\n{self._said()}")

    def _said(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LINES_SAID:])


@contextlib.contextmanager
def component(directory: Path, program: Path | str, *arguments: str, within: Sequence[str] = ()) -> Iterator[Component]:
    """A program with its log in `directory`; ended with the `with`. `within` is what starts it, and becomes it."""
    name = Path(program).name
    log = directory / f"{name}.log"
    with log.open("w") as said:
        # A session of its own: an interrupt from the keyboard is for whoever waits, who ends it in its order.
        process = subprocess.Popen(
            [*within, program, *arguments], cwd=directory, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield Component(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A running API server. `kubeconfig` and `api` are of an administrator."""

    directory: Path
    server: str
    kubeconfig: Path
    api: httpx.Client
    authority: Authority

    def user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of this user, who may do what is bound to the name or to a group, and nothing else."""
        return _kubeconfig(self.directory, self.authority, self.server, name, groups)

    def apply(self, *objects: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Make them, or make them so. Returns what the server has then."""
        return [
            self.ask(
                "PATCH",
                self.path(each["apiVersion"], each["kind"], **_place(each)),
                params={"fieldManager": "standins", "force": "true"},
                content=json.dumps(each),
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
            for each in objects
        ]

    def path(self, version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """Where objects of a kind are: of all namespaces, of one, or one of them."""
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        known = {each["kind"]: each for each in self.ask("GET", group)["resources"] if "/" not in each["name"]}
        within = f"/namespaces/{namespace}" if namespace and known[kind]["namespaced"] else ""
        return f"{group}{within}/{known[kind]['name']}" + (f"/{name}" if name else "")

    def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """ClusterFailed with the server's words, where it refuses."""
        answer = self.api.request(method, path, **more)
        if not answer.is_success:
            raise ClusterFailed(f"{method} {path} was answered with {answer.status_code}: {_message(answer)}")
        found: dict[str, Any] = answer.json()
        return found


def _place(each: Mapping[str, Any]) -> dict[str, str]:
    return {"namespace": each["metadata"].get("namespace", "default"), "name": each["metadata"]["name"]}


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return answer.text.strip()


@contextlib.contextmanager
def control_plane(directory: Path, step: Step = str) -> Iterator[ControlPlane]:
    """An empty one with all it has in `directory`, which is absent, empty, or left by one that was killed.

    At the end its processes are gone, and so is `directory`.
    """
    demand.require(["kubernetes", "etcd"])
    directory = directory.absolute()
    with ending_well(), alone(directory, ClusterFailed(f"another process runs a cluster in {directory}")):
        take(directory)
        try:
            with running(directory, step=step) as there:
                yield there
        finally:
            remove(directory)


def take(directory: Path) -> None:
    """An empty directory that is known as a cluster's. What a killed one left in it is removed."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise ClusterFailed(f"{directory} is removed at the end, and holds files that no cluster has put there")
        remove(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()


def remove(directory: Path) -> None:
    """What was killed has left its programs, and they would write again."""
    end(serving(_PROGRAMS, [f"{directory}/"]), signal.SIGTERM, _SECONDS_TO_STOP)
    shutil.rmtree(directory)


@contextlib.contextmanager
def running(directory: Path, node: str = "", step: Step = str) -> Iterator[ControlPlane]:
    """On 127.0.0.1, or at the address of a node, where its pods find it too."""
    address = node or "127.0.0.1"
    authority = Authority.make(directory / "authority")
    server = f"https://{address}:{free_port(address)}"
    kubeconfig = _kubeconfig(directory, authority, server, "admin", ["system:masters"])
    authority.issue("server", "kube-apiserver", places=[address, "127.0.0.1", *_API_IN_PODS])
    authority.issue("accounts", "service-accounts")
    step("starting etcd and the API server")
    with (
        etcd(directory) as data,
        component(directory, programs.program("kube-apiserver"), *_api_arguments(authority, server, data, node)) as api,
        httpx.Client(base_url=server, verify=trusting(authority), timeout=30, trust_env=False) as client,
    ):
        there = ControlPlane(directory=directory, server=server, kubeconfig=kubeconfig, api=client, authority=authority)
        api.wait(lambda: _answers(client, "/readyz"), "the API server is not ready")
        step("starting the controllers")
        program = programs.program("kube-controller-manager")
        with component(directory, program, *_controller_arguments(there, address)) as controllers:
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            controllers.wait(lambda: _answers(client, account), "there is no default service account")
            yield there


@contextlib.contextmanager
def etcd(directory: Path) -> Iterator[str]:
    """Its address. Nothing is synced to the disk: nobody needs the data after a crash."""
    clients, peers = (f"http://127.0.0.1:{free_port('127.0.0.1')}" for _ in range(2))
    arguments = (
        f"--data-dir={directory}/etcd",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    with component(directory, programs.program("etcd"), *arguments):
        yield clients


def _api_arguments(authority: Authority, server: str, data: str, node: str) -> list[str]:
    address, port = httpx.URL(server).host, httpx.URL(server).port
    folder = authority.folder
    kubelets = authority.issue("kubelets", "kube-apiserver-kubelet-client", ["system:masters"])
    return [
        f"--etcd-servers={data}",
        f"--bind-address={address}",
        f"--secure-port={port}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--client-ca-file={authority.file}",
        f"--tls-cert-file={folder}/server.crt",
        f"--tls-private-key-file={folder}/server.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder}/accounts.key",
        f"--service-account-key-file={folder}/accounts.crt",
        f"--kubelet-certificate-authority={authority.file}",
        f"--kubelet-client-certificate={kubelets.file}",
        f"--kubelet-client-key={kubelets.key}",
        # Nobody resolves the name of the node.
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        # Without it validation refuses what is privileged, before the admission of its namespace is asked.
        "--allow-privileged=true",
        # Pods are led to the node's address; a loopback one is refused as an endpoint.
        *([f"--advertise-address={node}"] if node else ["--endpoint-reconciler-type=none"]),
    ]


def _controller_arguments(there: ControlPlane, address: str) -> list[str]:
    folder = there.authority.folder
    return [
        f"--kubeconfig={there.user('system:kube-controller-manager')}",
        f"--bind-address={address}",
        f"--secure-port={free_port(address)}",
        f"--tls-cert-file={folder}/server.crt",
        f"--tls-private-key-file={folder}/server.key",
        f"--service-account-private-key-file={folder}/accounts.key",
        f"--root-ca-file={there.authority.file}",
        "--use-service-account-credentials",
        # Every controller makes its account first: 20 requests a second take them five seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=500",
        "--leader-elect=false",
    ]


def _kubeconfig(directory: Path, authority: Authority, server: str, name: str, groups: Sequence[str]) -> Path:
    """With all it needs in it, so that it can be copied."""
    plain = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in "-".join([name, *groups]))
    own = authority.issue(f"user-{plain}", name, groups)
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "standin", "cluster": {"server": server, "certificate-authority-data": _base64(authority.file)}}
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": _base64(own.file), "client-key-data": _base64(own.key)},
            }
        ],
        "contexts": [{"name": "standin", "context": {"cluster": "standin", "user": name}}],
        "current-context": "standin",
    }
    file = directory / f"{plain}.kubeconfig"
    file.touch(0o600)
    file.write_text(json.dumps(text, indent=2))
    return file


def trusting(authority: Authority) -> ssl.SSLContext:
    """What asks the API server as an administrator."""
    context = ssl.create_default_context(cafile=str(authority.file))
    admin = authority.folder / "user-admin-system-masters"
    context.load_cert_chain(f"{admin}.crt", f"{admin}.key")
    return context


@contextlib.contextmanager
def repeated(work: Callable[[], object], seconds: float, step: Step) -> Iterator[None]:
    """Do it again and again, beside the `with`. What the server refuses is told, and tried again."""
    stop = threading.Event()

    def again() -> None:
        while not stop.wait(seconds):
            try:
                work()
            except (ClusterFailed, MachineFailed, httpx.TransportError) as problem:
                step(str(problem))

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def _base64(file: Path) -> str:
    return b64encode(file.read_bytes()).decode()
