"""A Kubernetes cluster of one node, for the length of a `with`: its pods are containers of this machine.

A machine can be one node, so a second cluster waits for the end of the first. It has a containerd of its own, which
takes images from registries on 127.0.0.1 without TLS; volumes of two classes; names; and policies between pods, as far
as `standins.policies` translates them. Nothing of it leaves this machine, and nothing outlives it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from standins import control_plane, demand, images, network, storage
from standins.control_plane import ClusterFailed, ClusterMissing, Component, ControlPlane, Step, component, repeated
from standins.machine import children, end, ending_well, serving, unmount_below
from standins.network import NODE, PODS, Before
from standins.policies import Enforcer
from standins.registry import registry
from toolchain import programs

NAME = "node"
DNS = "10.190.128.10"

_RUNTIME = Path("/run/ws-cluster")
_LOCK = Path("/run/ws-cluster.lock")
_BEFORE = _RUNTIME / "before.json"
_SOCKET = _RUNTIME / "containerd.sock"
_PLUGINS = Path("/usr/lib/cni")
_CGROUPS = Path("/sys/fs/cgroup")
_HERE = Path(__file__).parent
_NEEDED = {
    **dict.fromkeys(("containerd", "containerd-shim-runc-v2"), "containerd"),
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    str(_PLUGINS / "bridge"): "containernetworking-plugins",
}
# Places that cannot be chosen. They are there on a machine that is a node already.
_FIXED = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/run/containerd", "/run/runc")
_PROGRAMS = ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")
_SHIM = "containerd-shim-runc-v2"
_SECONDS_TO_WAIT = 900
_SECONDS_TO_STOP = 15
_SECONDS_TO_BE_READY = 180
_SECONDS_BETWEEN = 0.3


@dataclass(frozen=True, kw_only=True)
class Cluster(ControlPlane):
    """A running cluster. `node` is the address of its node: pods and this machine reach each other by it."""

    node: str

    def fenced(self) -> int:
        """How many packets would have left this machine."""
        return network.fenced()


@contextlib.contextmanager
def cluster(directory: Path, step: Step = str) -> Iterator[Cluster]:
    """An empty one with all it has in `directory`, which is absent, empty, or left by a cluster that was killed.

    `step` hears what is waited for. At the end pods, volumes, networks, mounts, processes and settings of the kernel
    are as they were, and `directory` is gone.
    """
    _require_root_and_packages()
    # Before anything is changed here: they may have to be built.
    demand.require(["kubernetes", "etcd", "registry", *images.OF_CLUSTERS])
    directory = directory.absolute()
    with ending_well(), _alone(step):
        _clear()
        _require_no_node()
        control_plane.take(directory)
        _remember(directory)
        try:
            with _running(directory, step) as there:
                yield there
        finally:
            step("ending the cluster")
            _clear()


def _require_root_and_packages() -> None:
    missing = sorted({package for program, package in _NEEDED.items() if shutil.which(program) is None})
    if missing:
        raise ClusterMissing(f"a cluster cannot be started; install Debian's {', '.join(missing)}")
    if os.geteuid() != 0:
        raise ClusterMissing(f"a cluster is started as root, and this is user {os.geteuid()}")


@contextlib.contextmanager
def _alone(step: Step) -> Iterator[None]:
    """The lock goes with its process, however that ends."""
    with _LOCK.open("w") as lock:
        until = time.monotonic() + _SECONDS_TO_WAIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                step("waiting for the end of another cluster on this machine")
                if time.monotonic() > until:
                    raise ClusterFailed(f"another cluster is here after {_SECONDS_TO_WAIT} s; see {_BEFORE}") from None
                time.sleep(1)
        yield


def _require_no_node() -> None:
    taken = [str(folder) for folder in _cgroups()]
    taken += [place for place in _FIXED if "kubelet" in place and Path(place).exists() and any(Path(place).iterdir())]
    taken += network.taken()
    if taken:
        raise ClusterFailed(f"this machine is a node of another cluster: there is {', '.join(taken)}")


def _remember(directory: Path) -> None:
    """How this machine was, where the next cluster finds it if this one is killed."""
    absent = [place for place in _FIXED if not Path(place).exists()]
    _RUNTIME.mkdir(mode=0o700)
    new = _BEFORE.with_suffix(".new")
    new.write_text(json.dumps({"directory": str(directory), "absent": absent, "network": asdict(Before.look())}))
    new.rename(_BEFORE)


@contextlib.contextmanager
def _running(directory: Path, step: Step) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        network.set_up()
        own = stack.enter_context(registry(directory / "registry"))
        containerd = stack.enter_context(_containerd(directory, own))
        plane = stack.enter_context(control_plane.running(directory, NODE, step))
        images.push(own, [images.official(name) for name in images.OF_CLUSTERS])
        there = Cluster(**vars(plane), node=NODE)
        step("starting the node")
        containerd.wait(_SOCKET.exists, "containerd does not listen")
        for program, arguments in _node_programs(there).items():
            stack.enter_context(component(directory, programs.program(program), *arguments))
        # It ends first, and what it runs next.
        stack.callback(_end_pods)
        there.apply(*_objects(images.local(own, images.official("coredns"))))
        beside = ("nsenter", f"--mount=/proc/{containerd.process.pid}/ns/mnt")
        arguments = _kubelet_arguments(there)
        kubelet = stack.enter_context(component(directory, programs.program("kubelet"), *arguments, within=beside))
        kubelet.wait(lambda: _is_ready(there), "the node is not ready", _SECONDS_TO_BE_READY)
        enforcer = Enforcer(there, directory / "containerd" / "addresses" / "pods", _RUNTIME / "containerd")
        stack.enter_context(repeated(enforcer.enforce, _SECONDS_BETWEEN, step))
        stack.enter_context(repeated(lambda: storage.provide(there, NAME), _SECONDS_BETWEEN, step))
        step("waiting for the names of services")
        kubelet.wait(lambda: _resolves(there), "CoreDNS is not available", _SECONDS_TO_BE_READY)
        yield there


@contextlib.contextmanager
def _containerd(directory: Path, own: str) -> Iterator[Component]:
    folder = directory / "containerd"
    (folder / "networks").mkdir(parents=True)
    (folder / "networks" / "pods.conflist").write_text(json.dumps(_pod_network(folder)))
    (folder / "config.toml").write_text(_containerd_configuration(folder, own))
    # Mounts of their own, which pods may be told of: on a machine without systemd nobody has made them so.
    apart = ("unshare", "--mount", "--propagation=shared")
    with component(directory, "containerd", f"--config={folder}/config.toml", within=apart) as running:
        yield running


def _pod_network(folder: Path) -> dict[str, Any]:
    """A pod reaches itself by its service, too."""
    addresses = {"type": "host-local", "dataDir": f"{folder}/addresses", "ranges": [[{"subnet": PODS}]]}
    bridge = {"type": "bridge", "bridge": network.BRIDGE, "isGateway": True, "hairpinMode": True}
    ipam = addresses | {"routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge | {"ipam": ipam}]}


def _containerd_configuration(folder: Path, own: str) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""
        version = 2
        root = "{folder}/root"
        state = "{_RUNTIME}/containerd"
        [grpc]
          address = "{_SOCKET}"
        [{cri}]
          sandbox_image = "{images.local(own, images.official("pause"))}"
          # Where this process may not lower it, nor can the first process of a pod.
          restrict_oom_score_adj = true
          netns_mounts_under_state_dir = true
        [{cri}.cni]
          bin_dir = "{_PLUGINS}"
          conf_dir = "{folder}/networks"
        [{cri}.containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"
          options = {{SystemdCgroup = false}}
        [plugins."io.containerd.internal.v1.opt"]
          path = "{folder}/opt"
    """


def _node_programs(there: Cluster) -> dict[str, list[str]]:
    """The scheduler, and what leads to services."""
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        # All of it in one table, which is deleted at the end.
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(there.user("system:kube-proxy"))},
        "hostnameOverride": NAME,
        "clusterCIDR": PODS,
        "nodePortAddresses": [f"{NODE}/32"],
        "healthzBindAddress": f"{NODE}:10256",
        "metricsBindAddress": f"{NODE}:10249",
        # The kernel's own settings stay.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    scheduler = [
        f"--kubeconfig={there.user('system:kube-scheduler')}",
        f"--bind-address={NODE}",
        "--leader-elect=false",
    ]
    return {
        "kube-scheduler": [*scheduler, f"--secure-port={control_plane.free_port(NODE)}"],
        "kube-proxy": [f"--config={_written(there.directory / 'kube-proxy.yaml', proxy)}"],
    }


def _kubelet_arguments(there: Cluster) -> list[str]:
    listens = there.authority.issue("kubelet", NAME, places=[NODE, NAME])
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "healthzPort": 0,
        "tlsCertFile": str(listens.file),
        "tlsPrivateKeyFile": str(listens.key),
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(there.authority.file)}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "volumePluginDir": f"{there.directory}/plugins",
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # kube-proxy has its own.
        "makeIPTablesUtilChains": False,
        # How long a pod does not see a change of its ConfigMap; a minute by default, which is long in a test.
        "syncFrequency": "2s",
        # A machine where tests run may be nearly full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
    }
    return [
        f"--config={_written(there.directory / 'kubelet.yaml', settings)}",
        f"--kubeconfig={there.user(f'system:node:{NAME}', ['system:nodes'])}",
        f"--root-dir={there.directory}/kubelet",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE}",
        # Without it the kubelet has no metrics of containers.
        f"--containerd={_SOCKET}",
        # Ten seconds by default: a test asks for rates over fewer.
        "--housekeeping-interval=1s",
    ]


def _written(file: Path, value: object) -> Path:
    file.write_text(yaml.safe_dump(value))
    return file


def _objects(coredns: str) -> list[dict[str, Any]]:
    text = (_HERE / "cluster.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text.replace("$IMAGE", coredns).replace("$ADDRESS", DNS)))


def _is_ready(there: Cluster) -> bool:
    nodes = there.ask("GET", "/api/v1/nodes")["items"]
    return any(
        each["type"] == "Ready" and each["status"] == "True" for node in nodes for each in node["status"]["conditions"]
    )


def _resolves(there: Cluster) -> bool:
    path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
    return bool(there.ask("GET", path).get("status", {}).get("availableReplicas"))


# The end.


def _clear() -> None:
    """Whatever a cluster has here, if there is one that has ended or was killed."""
    if not _BEFORE.exists():
        shutil.rmtree(_RUNTIME, ignore_errors=True)
        return
    was = json.loads(_BEFORE.read_text())
    directory = Path(was["directory"])
    end(serving(_PROGRAMS, [f"{directory}/"]), signal.SIGKILL, _SECONDS_TO_STOP)
    _end_pods()
    end(serving(["containerd", "registry"], [f"{directory}/"]), signal.SIGKILL, _SECONDS_TO_STOP)
    unmount_below([directory, _RUNTIME, Path("/var/lib/kubelet")])
    for folder in [directory, *(Path(place) for place in was["absent"])]:
        if folder.exists():
            shutil.rmtree(folder)
    Before(was["network"]["sysctls"], tuple(was["network"]["tables"])).restore()
    shutil.rmtree(_RUNTIME)


def _end_pods() -> None:
    """At once: nobody needs what they would still write. Their groups are there until the kernel has let them go."""
    # Shims that are killed leave their sockets, and containerd then removes what says where they are.
    sockets = [file.read_text() for file in _RUNTIME.glob("containerd/io.containerd.runtime.v2.task/*/*/address")]
    shims = serving([_SHIM], [str(_SOCKET)])
    end([each for shim in shims for each in (*children(shim), shim)], signal.SIGKILL, _SECONDS_TO_STOP)
    end(list(_inside()), signal.SIGKILL, _SECONDS_TO_STOP)
    for socket in sockets:
        Path(socket.removeprefix("unix://")).unlink(missing_ok=True)
    for attempt in Retrying(
        retry=retry_if_exception_type(OSError), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True
    ):
        with attempt:
            for folder in _cgroups():
                for each in sorted(folder.rglob("*/"), reverse=True):
                    each.rmdir()
                folder.rmdir()


def _inside() -> Iterator[psutil.Process]:
    """The processes of the groups of all pods."""
    for file in {file for folder in _cgroups() for file in folder.rglob("cgroup.procs")}:
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            yield from [psutil.Process(int(line)) for line in file.read_text().split()]


def _cgroups() -> list[Path]:
    """Of all pods, in every hierarchy."""
    return [*_CGROUPS.glob("kubepods"), *_CGROUPS.glob("*/kubepods")]
