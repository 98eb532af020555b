"""What kube-state-metrics 2.20.0 says of a cluster, from the real objects of its API server.

Flags, paths, names and labels are the official ones; families are those of the catalogue. It is the program of an
image: this file and the standard library are all it has.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_SECONDS_TO_ANSWER = 30
_SECONDS_OF_A_WATCH = 60
_SECONDS_TO_TRY_AGAIN = 2
_PAGE = 500

Object = Mapping[str, Any]
Sample = tuple[Mapping[str, str], float]
# The samples of one family that an object makes, without the labels that name the object.
Read = Callable[[Object], Iterable[Sample]]


# How values are read from an object. The API server leaves out what is zero or empty.


def _at(each: Object, path: str) -> Any:
    found: Any = each
    for key in path.split("."):
        found = (found or {}).get(key)
    return found


def _text(each: Object, path: str) -> str:
    return str(_at(each, path) or "")


def _number(path: str) -> Read:
    """A number that is always there."""
    return lambda each: [({}, float(_at(each, path) or 0))]


def _given(path: str) -> Read:
    """A number that may not be set."""
    return lambda each: [] if _at(each, path) is None else [({}, float(_at(each, path)))]


def _time(path: str) -> Read:
    return lambda each: [({}, _seconds(_at(each, path)))] if _at(each, path) else []


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def _one(labels: Mapping[str, str]) -> Read:
    """One, with labels from these paths."""
    return lambda each: [({label: _text(each, path) for label, path in labels.items()}, 1)]


def _phases(*phases: str) -> Read:
    """One for the phase that it is in, zero for the others; nothing before it has one."""

    def read(each: Object) -> Iterable[Sample]:
        now = _text(each, "status.phase")
        return [({"phase": phase}, float(phase == now)) for phase in phases if now]

    return read


def _states(status: str, label: str) -> Iterator[Sample]:
    for state in ("true", "false", "unknown"):
        yield {label: state}, float(status.lower() == state)


def _condition(kind: str) -> Read:
    """The states of one condition, in the label `condition`."""

    def read(each: Object) -> Iterable[Sample]:
        for condition in _at(each, "status.conditions") or ():
            if condition["type"] == kind:
                yield from _states(condition["status"], "condition")

    return read


def _conditions(reasons: frozenset[str] | None = None) -> Read:
    """The states of all conditions; with their reasons where those that may be said are given."""

    def read(each: Object) -> Iterable[Sample]:
        for condition in _at(each, "status.conditions") or ():
            reason = condition.get("reason", "")
            known = {"reason": reason if reason in reasons else "unknown"} if reasons else {}
            for labels, value in _states(condition["status"], "status"):
                yield {**known, "condition": condition["type"], **labels}, value

    return read


# Quantities, as "100m" and "64Mi".

_UNITS = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
_UNITS |= {prefix: Decimal(1000) ** power for power, prefix in enumerate("MGTPE", 2)}
_UNITS |= {f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")
_BYTES = frozenset({"memory", "storage", "ephemeral-storage"})


def quantity(text: str, step: str = "1") -> float:
    """The number, rounded up to whole steps as the API's clients do."""
    read = _QUANTITY.fullmatch(text)
    if read is None:
        raise ValueError(f"{text!r} is no quantity")
    exact = Decimal(read[1]) * _UNITS[read[2]]
    return float((exact / Decimal(step)).to_integral_value(ROUND_CEILING) * Decimal(step))


def _resources(amounts: Mapping[str, str] | None) -> Iterator[Sample]:
    """The amounts of resources that have a unit."""
    for name, amount in (amounts or {}).items():
        if unit := _unit(name):
            value = quantity(amount, "0.001" if unit == "core" else "1")
            yield {"resource": re.sub(r"\W", "_", name, flags=re.ASCII), "unit": unit}, value


def _unit(resource: str) -> str:
    if resource == "cpu":
        return "core"
    if resource in _BYTES or resource.startswith(("hugepages-", "attachable-volumes-")):
        return "byte"
    extended = "/" in resource and "kubernetes.io/" not in resource and not resource.startswith("requests.")
    return "integer" if extended or resource == "pods" else ""


# Pods.


def _containers(statuses: str, read: Read) -> Read:
    """What each container has to say of itself."""

    def of_pod(pod: Object) -> Iterable[Sample]:
        for container in _at(pod, f"status.{statuses}") or ():
            for labels, value in read(container):
                yield {"container": container["name"], **labels}, value

    return of_pod


def _is(path: str) -> Read:
    """Whether it is so: set, and not false."""
    return lambda each: [({}, float(_at(each, path) not in (None, False)))]


def _reason(path: str) -> Read:
    return lambda each: [({"reason": _text(each, f"{path}.reason")}, 1)] if _at(each, path) is not None else []


def _asked(what: str) -> Read:
    """What containers request, or their limits."""

    def read(pod: Object) -> Iterable[Sample]:
        for container in pod["spec"]["containers"]:
            for labels, value in _resources(_at(container, f"resources.{what}")):
                yield {"container": container["name"], "node": _text(pod, "spec.nodeName"), **labels}, value

    return read


def _container_info(pod: Object) -> Iterable[Sample]:
    asked = {container["name"]: container.get("image", "") for container in pod["spec"]["containers"]}
    for status in _at(pod, "status.containerStatuses") or ():
        if status["name"] in asked:
            names = {"image": "image", "image_id": "imageID", "container_id": "containerID"}
            labels = {label: _text(status, path) for label, path in names.items()}
            yield {"container": status["name"], "image_spec": asked[status["name"]], **labels}, 1


def _pod_info(pod: Object) -> Iterable[Sample]:
    owner = next((each for each in _owners(pod) if each.get("controller")), {})
    paths = {
        "host_ip": "status.hostIP",
        "pod_ip": "status.podIP",
        "node": "spec.nodeName",
        "priority_class": "spec.priorityClassName",
    }
    yield (
        {
            **{label: _text(pod, path) for label, path in paths.items()},
            "created_by_kind": owner.get("kind", ""),
            "created_by_name": owner.get("name", ""),
            "host_network": "true" if _at(pod, "spec.hostNetwork") else "false",
        },
        1,
    )


def _owner(pod: Object) -> Iterable[Sample]:
    for owner in _owners(pod):
        controls = "true" if owner.get("controller") else "false"
        yield {"owner_kind": owner["kind"], "owner_name": owner["name"], "owner_is_controller": controls}, 1
    if not _owners(pod):
        yield dict.fromkeys(("owner_kind", "owner_name", "owner_is_controller"), ""), 1


def _owners(each: Object) -> list[Object]:
    return _at(each, "metadata.ownerReferences") or []


_REGULAR, _INIT = "containerStatuses", "initContainerStatuses"

_PODS: dict[str, Read] = {
    "kube_pod_created": _time("metadata.creationTimestamp"),
    "kube_pod_container_info": _container_info,
    "kube_pod_container_resource_limits": _asked("limits"),
    "kube_pod_container_resource_requests": _asked("requests"),
    "kube_pod_container_status_last_terminated_reason": _containers(_REGULAR, _reason("lastState.terminated")),
    "kube_pod_container_status_terminated_reason": _containers(_REGULAR, _reason("state.terminated")),
    "kube_pod_container_status_waiting_reason": _containers(_REGULAR, _reason("state.waiting")),
    "kube_pod_container_status_ready": _containers(_REGULAR, _is("ready")),
    "kube_pod_container_status_running": _containers(_REGULAR, _is("state.running")),
    "kube_pod_container_status_terminated": _containers(_REGULAR, _is("state.terminated")),
    "kube_pod_container_status_waiting": _containers(_REGULAR, _is("state.waiting")),
    "kube_pod_container_status_restarts_total": _containers(_REGULAR, _number("restartCount")),
    "kube_pod_info": _pod_info,
    "kube_pod_init_container_status_last_terminated_reason": _containers(_INIT, _reason("lastState.terminated")),
    "kube_pod_init_container_status_terminated_reason": _containers(_INIT, _reason("state.terminated")),
    "kube_pod_init_container_status_waiting_reason": _containers(_INIT, _reason("state.waiting")),
    "kube_pod_init_container_status_restarts_total": _containers(_INIT, _number("restartCount")),
    "kube_pod_owner": _owner,
    "kube_pod_start_time": _time("status.startTime"),
    "kube_pod_status_phase": _phases("Pending", "Succeeded", "Failed", "Unknown", "Running"),
    "kube_pod_status_ready": _condition("Ready"),
    "kube_pod_status_scheduled": _condition("PodScheduled"),
}


# Workloads.

_DEPLOYMENT_REASONS = frozenset(
    {
        "",
        "DeploymentPaused",
        "DeploymentResumed",
        "FoundNewReplicaSet",
        "MinimumReplicasAvailable",
        "MinimumReplicasUnavailable",
        "NewReplicaSetAvailable",
        "NewReplicaSetCreated",
        "ProgressDeadlineExceeded",
        "ReplicaSetCreateError",
        "ReplicaSetUpdated",
    }
)
_JOB_REASONS = ("BackoffLimitExceeded", "DeadlineExceeded", "Evicted")


def _job_failed(job: Object) -> Iterable[Sample]:
    """How many pods failed; for a reason that is known, whether it is why."""
    failed = _at(job, "status.failed") or 0
    ends = [each for each in _at(job, "status.conditions") or () if each["type"] == "Failed"] if failed else []
    for end in ends:
        for reason in _JOB_REASONS:
            yield {"reason": reason}, float(end.get("reason") == reason)
    if not failed:
        yield {}, 0
    elif not any(end.get("reason") in _JOB_REASONS for end in ends):
        yield {"reason": ""}, float(failed)


def _counts(prefix: str, paths: Mapping[str, str]) -> dict[str, Read]:
    return {f"{prefix}_{name}": _number(path) for name, path in paths.items()}


_DEPLOYMENTS = {
    "kube_deployment_created": _time("metadata.creationTimestamp"),
    "kube_deployment_spec_paused": _is("spec.paused"),
    "kube_deployment_spec_replicas": _given("spec.replicas"),
    "kube_deployment_status_condition": _conditions(_DEPLOYMENT_REASONS),
    **_counts(
        "kube_deployment",
        {
            "metadata_generation": "metadata.generation",
            "status_observed_generation": "status.observedGeneration",
            "status_replicas": "status.replicas",
            "status_replicas_available": "status.availableReplicas",
            "status_replicas_ready": "status.readyReplicas",
            "status_replicas_unavailable": "status.unavailableReplicas",
            "status_replicas_updated": "status.updatedReplicas",
        },
    ),
}
_STATEFULSETS = {
    "kube_statefulset_created": _time("metadata.creationTimestamp"),
    "kube_statefulset_replicas": _given("spec.replicas"),
    "kube_statefulset_status_current_revision": _one({"revision": "status.currentRevision"}),
    "kube_statefulset_status_update_revision": _one({"revision": "status.updateRevision"}),
    **_counts(
        "kube_statefulset",
        {
            "metadata_generation": "metadata.generation",
            "status_observed_generation": "status.observedGeneration",
            "status_replicas": "status.replicas",
            "status_replicas_available": "status.availableReplicas",
            "status_replicas_current": "status.currentReplicas",
            "status_replicas_ready": "status.readyReplicas",
            "status_replicas_updated": "status.updatedReplicas",
        },
    ),
}
_DAEMONSETS = {
    "kube_daemonset_created": _time("metadata.creationTimestamp"),
    **_counts(
        "kube_daemonset",
        {
            "metadata_generation": "metadata.generation",
            "status_current_number_scheduled": "status.currentNumberScheduled",
            "status_desired_number_scheduled": "status.desiredNumberScheduled",
            "status_number_available": "status.numberAvailable",
            "status_number_misscheduled": "status.numberMisscheduled",
            "status_number_ready": "status.numberReady",
            "status_number_unavailable": "status.numberUnavailable",
            "status_observed_generation": "status.observedGeneration",
            "status_updated_number_scheduled": "status.updatedNumberScheduled",
        },
    ),
}
_JOBS = {
    "kube_job_complete": _condition("Complete"),
    "kube_job_created": _time("metadata.creationTimestamp"),
    "kube_job_failed": _condition("Failed"),
    "kube_job_info": _one({}),
    "kube_job_spec_completions": _given("spec.completions"),
    "kube_job_spec_parallelism": _given("spec.parallelism"),
    "kube_job_status_active": _number("status.active"),
    "kube_job_status_completion_time": _time("status.completionTime"),
    "kube_job_status_failed": _job_failed,
    "kube_job_status_start_time": _time("status.startTime"),
    "kube_job_status_succeeded": _number("status.succeeded"),
}
_AUTOSCALERS = {
    "kube_horizontalpodautoscaler_spec_min_replicas": lambda each: [({}, float(_at(each, "spec.minReplicas") or 1))],
    "kube_horizontalpodautoscaler_status_condition": _conditions(),
    **_counts(
        "kube_horizontalpodautoscaler",
        {
            "metadata_generation": "metadata.generation",
            "spec_max_replicas": "spec.maxReplicas",
            "status_current_replicas": "status.currentReplicas",
            "status_desired_replicas": "status.desiredReplicas",
        },
    ),
}


# The cluster and its storage.


def _node_info(node: Object) -> Iterable[Sample]:
    addresses = {each["type"]: each["address"] for each in _at(node, "status.addresses") or ()}
    paths = {
        "kernel_version": "status.nodeInfo.kernelVersion",
        "os_image": "status.nodeInfo.osImage",
        "container_runtime_version": "status.nodeInfo.containerRuntimeVersion",
        "kubelet_version": "status.nodeInfo.kubeletVersion",
        "provider_id": "spec.providerID",
        "pod_cidr": "spec.podCIDR",
        "system_uuid": "status.nodeInfo.systemUUID",
    }
    labels = {label: _text(node, path) for label, path in paths.items()}
    yield {**labels, "kubeproxy_version": "deprecated", "internal_ip": addresses.get("InternalIP", "")}, 1


def _roles(node: Object) -> Iterable[Sample]:
    for label in _at(node, "metadata.labels") or {}:
        prefix, _, role = label.partition("/")
        if prefix == "node-role.kubernetes.io":
            yield {"role": role}, 1


def _taints(node: Object) -> Iterable[Sample]:
    for taint in _at(node, "spec.taints") or ():
        yield {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}, 1


def _claim_info(claim: Object) -> Iterable[Sample]:
    annotated = (_at(claim, "metadata.annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    yield (
        {
            "storageclass": _text(claim, "spec.storageClassName") if annotated is None else annotated,
            "volumename": _text(claim, "spec.volumeName"),
            "volumemode": _text(claim, "spec.volumeMode"),
        },
        1,
    )


def _bytes(path: str) -> Read:
    return lambda each: [({}, quantity(_at(each, path)))] if _at(each, path) else []


_NODES = {
    "kube_node_created": _time("metadata.creationTimestamp"),
    "kube_node_info": _node_info,
    "kube_node_role": _roles,
    "kube_node_spec_taint": _taints,
    "kube_node_spec_unschedulable": _is("spec.unschedulable"),
    "kube_node_status_allocatable": lambda each: _resources(_at(each, "status.allocatable")),
    "kube_node_status_capacity": lambda each: _resources(_at(each, "status.capacity")),
    "kube_node_status_condition": _conditions(),
}
_NAMESPACES = {"kube_namespace_status_phase": _phases("Active", "Terminating")}
_VOLUMES = {
    "kube_persistentvolume_capacity_bytes": _bytes("spec.capacity.storage"),
    "kube_persistentvolume_status_phase": _phases("Pending", "Available", "Bound", "Released", "Failed"),
}
_CLAIMS = {
    "kube_persistentvolumeclaim_access_mode": lambda each: [
        ({"access_mode": mode}, 1) for mode in _at(each, "spec.accessModes") or ()
    ],
    "kube_persistentvolumeclaim_info": _claim_info,
    "kube_persistentvolumeclaim_resource_requests_storage_bytes": _bytes("spec.resources.requests.storage"),
    "kube_persistentvolumeclaim_status_phase": _phases("Lost", "Bound", "Pending"),
}


@dataclass(frozen=True)
class Resource:
    """Where the API has a resource, its name in Go, and what is told of it. `labels`: label -> what names an object."""

    path: str
    type: str
    labels: Mapping[str, str]
    families: Mapping[str, Read]


def _named(label: str, *, namespaced: bool = True) -> dict[str, str]:
    return ({"namespace": "metadata.namespace"} if namespaced else {}) | {label: "metadata.name"}


RESOURCES = {
    "cronjobs": Resource("/apis/batch/v1/cronjobs", "*v1.CronJob", _named("cronjob"), {}),
    "daemonsets": Resource("/apis/apps/v1/daemonsets", "*v1.DaemonSet", _named("daemonset"), _DAEMONSETS),
    "deployments": Resource("/apis/apps/v1/deployments", "*v1.Deployment", _named("deployment"), _DEPLOYMENTS),
    "horizontalpodautoscalers": Resource(
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        "*v2.HorizontalPodAutoscaler",
        _named("horizontalpodautoscaler"),
        _AUTOSCALERS,
    ),
    "jobs": Resource("/apis/batch/v1/jobs", "*v1.Job", _named("job_name"), _JOBS),
    "namespaces": Resource("/api/v1/namespaces", "*v1.Namespace", _named("namespace", namespaced=False), _NAMESPACES),
    "nodes": Resource("/api/v1/nodes", "*v1.Node", _named("node", namespaced=False), _NODES),
    "persistentvolumeclaims": Resource(
        "/api/v1/persistentvolumeclaims", "*v1.PersistentVolumeClaim", _named("persistentvolumeclaim"), _CLAIMS
    ),
    "persistentvolumes": Resource(
        "/api/v1/persistentvolumes", "*v1.PersistentVolume", _named("persistentvolume", namespaced=False), _VOLUMES
    ),
    "poddisruptionbudgets": Resource(
        "/apis/policy/v1/poddisruptionbudgets", "*v1.PodDisruptionBudget", _named("poddisruptionbudget"), {}
    ),
    "pods": Resource("/api/v1/pods", "*v1.Pod", _named("pod") | {"uid": "metadata.uid"}, _PODS),
    "replicasets": Resource("/apis/apps/v1/replicasets", "*v1.ReplicaSet", _named("replicaset"), {}),
    "replicationcontrollers": Resource(
        "/api/v1/replicationcontrollers", "*v1.ReplicationController", _named("replicationcontroller"), {}
    ),
    "resourcequotas": Resource("/api/v1/resourcequotas", "*v1.ResourceQuota", _named("resourcequota"), {}),
    "services": Resource("/api/v1/services", "*v1.Service", _named("service"), {}),
    "statefulsets": Resource("/apis/apps/v1/statefulsets", "*v1.StatefulSet", _named("statefulset"), _STATEFULSETS),
}


def exposition(objects: Mapping[str, Iterable[Object]]) -> str:
    """The text of /metrics for these objects by resource."""
    lines: list[str] = []
    for resource, found in objects.items():
        kind, each = RESOURCES[resource], list(found)
        names = [{label: _text(one, path) for label, path in kind.labels.items()} for one in each]
        for family, read in kind.families.items():
            lines.append(f"# TYPE {family} {'counter' if family.endswith('_total') else 'gauge'}")
            for name, one in zip(names, each, strict=True):
                lines += [_line(family, {**name, **labels}, value) for labels, value in read(one)]
    return "".join(f"{line}\n" for line in lines)


def _line(family: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{family}{{{pairs}}} {int(value) if value == int(value) else value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# The API server.


class Unanswered(Exception):
    """The API server refuses, or says that a watch has to begin anew."""


@dataclass(frozen=True)
class Api:
    """The API server, and the file with the token that is shown to it."""

    connect: Callable[[], http.client.HTTPConnection]
    token: Path

    @contextlib.contextmanager
    def ask(self, path: str, quiet: float = 0, **query: object) -> Iterator[http.client.HTTPResponse]:
        """A good answer, to be read within the `with`; it may be silent for `quiet` seconds more than others."""
        with contextlib.closing(self.connect()) as connection:
            connection.timeout = _SECONDS_TO_ANSWER + quiet
            # A token is replaced long before it ends.
            headers = {"Authorization": f"Bearer {self.token.read_text().strip()}", "Accept": "application/json"}
            connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers=headers)
            answer = connection.getresponse()
            if answer.status != HTTPStatus.OK:
                raise Unanswered(f"{path} was answered with {answer.status}: {_message(answer.read().decode())}")
            yield answer


def _message(text: str) -> str:
    """What the API server says of a refusal, whoever it comes from."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text.strip()


def of_this_pod() -> Api:
    """The API server as pods are told of it."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    trusted = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    return Api(lambda: http.client.HTTPSConnection(host, port, context=trusted), ACCOUNT / "token")


@dataclass
class Objects:
    """The objects of a resource as the API server has them: listed once, watched, and listed anew after any trouble."""

    api: Api
    resource: Resource
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _objects: dict[str, Object] = field(default_factory=dict)

    def now(self) -> list[Object]:
        """All of them."""
        return list(self._objects.values())

    def follow(self, ended: threading.Event) -> None:
        """Until the first trouble after it has ended."""
        while True:
            try:
                self.once()
            except (Unanswered, OSError, http.client.HTTPException) as problem:
                _say(f"{self.resource.path}: {problem or type(problem).__name__}")
            if ended.wait(_SECONDS_TO_TRY_AGAIN):
                return

    def once(self) -> None:
        """List them, and follow what changes until the watch breaks."""
        with self._counted("list"):
            version = self._list()
        while True:
            with self._counted("watch"):
                version = self._watch(version)

    def _list(self) -> str:
        found: dict[str, Object] = {}
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            with self.api.ask(self.resource.path, **query) as answer:
                page = json.load(answer)
            found |= {each["metadata"]["uid"]: each for each in page.get("items") or ()}
            query["continue"] = _text(page, "metadata.continue")
            if not query["continue"]:
                self._objects = found
                return _text(page, "metadata.resourceVersion")

    def _watch(self, version: str) -> str:
        """Until the API server ends it, as it is asked to. Returns the version to go on from."""
        query: dict[str, Any] = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": _SECONDS_OF_A_WATCH}
        with self.api.ask(self.resource.path, _SECONDS_OF_A_WATCH, resourceVersion=version, **query) as events:
            for line in events:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Unanswered(f"the watch ended: {event['object'].get('message')}")
                self._take(event["type"], event["object"])
                version = _text(event["object"], "metadata.resourceVersion")
        return version

    def _take(self, change: str, each: Object) -> None:
        if change == "DELETED":
            self._objects = {uid: one for uid, one in self._objects.items() if uid != each["metadata"]["uid"]}
        elif change != "BOOKMARK":
            self._objects = {**self._objects, each["metadata"]["uid"]: each}

    @contextlib.contextmanager
    def _counted(self, verb: str) -> Iterator[None]:
        result = "error"
        try:
            yield
            result = "success"
        finally:
            self.asked[verb, result] += 1


def telemetry(followed: Iterable[Objects]) -> str:
    """What it says of itself: how often it asked the API server, and with what success."""
    lines = []
    for verb in ("list", "watch"):
        name = f"kube_state_metrics_{verb}_total"
        lines.append(f"# TYPE {name} counter")
        for objects in followed:
            for (asked, result), times in sorted(objects.asked.items()):
                if asked == verb:
                    lines.append(_line(name, {"resource": objects.resource.type, "result": result}, times))
    return "".join(f"{line}\n" for line in lines)


# Its own two servers.

Answer = Callable[[], tuple[HTTPStatus, str]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, answers: Mapping[str, Answer]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.answers = answers


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path.partition("?")[0])
        status, text = answer() if answer else (HTTPStatus.NOT_FOUND, "404 page not found\n")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: every scrape would be a line."""


def _fine() -> tuple[HTTPStatus, str]:
    return HTTPStatus.OK, "OK"


def _alive(api: Api) -> tuple[HTTPStatus, str]:
    """Whether the API server says that it lives."""
    try:
        with api.ask("/livez"):
            return _fine()
    except (Unanswered, OSError, http.client.HTTPException) as problem:
        _say(f"/livez: {problem or type(problem).__name__}")
        return HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@contextlib.contextmanager
def serving(options: argparse.Namespace, api: Api) -> Iterator[tuple[str, str]]:
    """The addresses of the metrics and of the telemetry, of the resources that it follows."""
    followed = {name: Objects(api, RESOURCES[name]) for name in options.resources}
    metrics: dict[str, Answer] = {
        "/metrics": lambda: (HTTPStatus.OK, exposition({name: each.now() for name, each in followed.items()})),
        "/healthz": _fine,
        "/livez": lambda: _alive(api),
    }
    of_itself: dict[str, Answer] = {
        "/metrics": lambda: (HTTPStatus.OK, telemetry(followed.values())),
        "/readyz": _fine,
    }
    ended = threading.Event()
    with (
        _Server(options.host, options.port, metrics) as one,
        _Server(options.telemetry_host, options.telemetry_port, of_itself) as other,
    ):
        for objects in followed.values():
            threading.Thread(target=objects.follow, args=(ended,), daemon=True).start()
        for server in (one, other):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{options.host}:{one.server_port}", f"{options.telemetry_host}:{other.server_port}"
        finally:
            ended.set()
            for server in (one, other):
                server.shutdown()


def _known(names: str) -> list[str]:
    wanted = names.split(",")
    if unknown := sorted({*wanted} - {*RESOURCES}):
        raise argparse.ArgumentTypeError(f"resource {unknown[0]} does not exist; there are {', '.join(RESOURCES)}")
    return wanted


def read(arguments: list[str]) -> argparse.Namespace:
    """The flags. The last of a kind counts: the image's own entry point has ports already."""
    parser = argparse.ArgumentParser(prog="kube-state-metrics")
    parser.add_argument("--host", default="::")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--telemetry-host", default="::")
    parser.add_argument("--telemetry-port", type=int, default=8081)
    parser.add_argument("--resources", type=_known, default=[*RESOURCES])
    return parser.parse_args(arguments)


def main() -> None:
    """Serve until it is told to end. As the first process of a container it has to listen for that."""
    options = read(sys.argv[1:])
    told = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, told)
    with serving(options, of_this_pod()) as (metrics, of_itself):
        _say(f"metrics on {metrics}, telemetry on {of_itself}")
        signal.sigwait(told)


if __name__ == "__main__":
    main()
