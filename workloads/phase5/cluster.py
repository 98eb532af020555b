"""The Kubernetes cluster of Phase 5, simulated: what kubelet and kube-state-metrics tell of its pods."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workloads.faults import Fault, Faults
from workloads.phase5.metrics import AGENT, BACKEND, FRONTEND, NAMESPACE

FAULTS = (
    Fault("pod_not_ready", "1: the backend's pod is not ready", 1),
    Fault("container_cpu", "share of its CPU limit that the backend uses", 1),
    Fault("container_memory", "share of its memory limit that the backend uses", 1),
    Fault("disk_free", "share of the database's volume that is free", 1),
    Fault("restarts", "restarts of the backend's container, once", 100),
    Fault("replicas_missing", "1: the backend's deployment has no replica available", 1),
    Fault("hpa_max", "1: the backend's autoscaler is at its maximum", 1),
)
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
CONDITIONS = ("true", "false", "unknown")
WAITING = ("CrashLoopBackOff", "ImagePullBackOff")
ENDED = ("OOMKilled", "Error")
INIT = "migrate"
DATABASE_VOLUME = "data-postgres-0"
VOLUMES = (DATABASE_VOLUME, "data-kafka-0")
VOLUME_BYTES = 10 * 2**30
FREE = 0.6
MOST_REPLICAS = 3

Rows = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True)
class Pod:
    """A pod of one container: its limits, and the shares of them that it uses when all is well."""

    service: str
    cores: float
    memory: int
    cpu_share: float
    memory_share: float

    @property
    def name(self) -> str:
        return f"{self.service}-0"


PODS = (
    Pod(FRONTEND, 0.5, 256 * 2**20, 0.22, 0.42),
    Pod(BACKEND, 1.0, 512 * 2**20, 0.35, 0.55),
    Pod(AGENT, 0.5, 256 * 2**20, 0.18, 0.38),
)


class Cluster:
    """Three pods, each with a deployment and an autoscaler. The faults hit the backend's."""

    def __init__(self, faults: Faults, clock: Callable[[], float] = time.monotonic) -> None:
        self._faults = faults
        self._clock = clock
        self._at = clock()
        self._cpu = {pod.service: 0.0 for pod in PODS}
        self._restarts = 0
        self._restarted = 0

    def follow(self) -> None:
        """Count what the time since the last call has used, and restarts that were asked for."""
        now = self._clock()
        for pod in PODS:
            self._cpu[pod.service] += (now - self._at) * pod.cores * self._share(pod, "container_cpu", pod.cpu_share)
        self._at = now
        asked = int(self._faults.value("restarts"))
        self._restarts += max(0, asked - self._restarted)
        self._restarted = asked

    def volumes(self) -> Iterator[Metric]:
        """`/metrics` of the kubelet."""
        free = {DATABASE_VOLUME: self._faults.value("disk_free") or FREE}
        labels = ("namespace", "persistentvolumeclaim")
        available = [((NAMESPACE, name), round(VOLUME_BYTES * free.get(name, FREE))) for name in VOLUMES]
        capacity = [((NAMESPACE, name), VOLUME_BYTES) for name in VOLUMES]
        yield gauge("kubelet_volume_stats_available_bytes", "Free bytes of the volume.", labels, available)
        yield gauge("kubelet_volume_stats_capacity_bytes", "Size of the volume.", labels, capacity)

    def containers(self) -> Iterator[Metric]:
        """`/metrics/cadvisor` of the kubelet: a series for the container, and one without a name for its pod."""
        self.follow()
        labels = ("namespace", "pod", "container")
        used = [((NAMESPACE, pod.name, name), self._cpu[pod.service]) for pod in PODS for name in (pod.service, "")]
        memory = [
            ((NAMESPACE, pod.name, name), round(pod.memory * self._share(pod, "container_memory", pod.memory_share)))
            for pod in PODS
            for name in (pod.service, "")
        ]
        yield counter("container_cpu_usage_seconds_total", "CPU time used.", labels, used)
        yield gauge("container_memory_working_set_bytes", "Working set.", labels, memory)

    def state(self) -> Iterator[Metric]:
        """`/metrics` of kube-state-metrics."""
        self.follow()
        yield from self._pods()
        yield from self._deployments()

    def _pods(self) -> Iterator[Metric]:
        container = ("namespace", "pod", "container")
        limits = (
            ((NAMESPACE, pod.name, pod.service, resource, unit), value)
            for pod in PODS
            for resource, unit, value in (("cpu", "core", pod.cores), ("memory", "byte", pod.memory))
        )
        phases = (((NAMESPACE, pod.name, phase), float(phase == "Running")) for pod in PODS for phase in PHASES)
        ready = (
            ((NAMESPACE, pod.name, condition), float(condition == ("true" if self._ready(pod) else "false")))
            for pod in PODS
            for condition in CONDITIONS
        )
        restarts = (
            ((NAMESPACE, pod.name, pod.service), self._restarts if pod.service == BACKEND else 0) for pod in PODS
        )
        limit = (*container, "resource", "unit")
        yield gauge("kube_pod_container_resource_limits", "Limit of the container.", limit, limits)
        yield gauge("kube_pod_status_phase", "Phase of the pod.", ("namespace", "pod", "phase"), phases)
        yield gauge("kube_pod_status_ready", "Whether the pod is ready.", ("namespace", "pod", "condition"), ready)
        yield counter("kube_pod_container_status_restarts_total", "Restarts.", container, restarts)
        yield from self._reasons((*container, "reason"))

    def _reasons(self, labels: tuple[str, ...]) -> Iterator[Metric]:
        # Nothing here waits or was killed: the real one would leave these rows out.
        of_pods = [((NAMESPACE, pod.name, pod.service), 0.0) for pod in PODS]
        waiting = [((*place, reason), value) for place, value in of_pods for reason in WAITING]
        ended = [((*place, reason), value) for place, value in of_pods for reason in ENDED]
        init = [((NAMESPACE, f"{BACKEND}-0", INIT, reason), 0.0) for reason in WAITING]
        yield gauge("kube_pod_container_status_waiting_reason", "Why a container waits.", labels, waiting)
        yield gauge("kube_pod_init_container_status_waiting_reason", "Why an init container waits.", labels, init)
        yield gauge("kube_pod_container_status_last_terminated_reason", "Why it ended last.", labels, ended)

    def _deployments(self) -> Iterator[Metric]:
        deployment, autoscaler = ("namespace", "deployment"), ("namespace", "horizontalpodautoscaler")
        wanted = [((NAMESPACE, pod.service), self._replicas(pod)) for pod in PODS]
        available = [((NAMESPACE, pod.service), self._replicas(pod) - self._missing(pod)) for pod in PODS]
        most = [((NAMESPACE, pod.service), MOST_REPLICAS) for pod in PODS]
        yield gauge("kube_deployment_spec_replicas", "Replicas wanted.", deployment, wanted)
        yield gauge("kube_deployment_status_replicas_available", "Replicas available.", deployment, available)
        yield gauge("kube_horizontalpodautoscaler_status_current_replicas", "Replicas now.", autoscaler, wanted)
        yield gauge("kube_horizontalpodautoscaler_spec_max_replicas", "Replicas at most.", autoscaler, most)

    def _share(self, pod: Pod, fault: str, usual: float) -> float:
        return (self._faults.value(fault) if pod.service == BACKEND else 0) or usual

    def _on(self, pod: Pod, fault: str) -> bool:
        return pod.service == BACKEND and self._faults.value(fault) >= 1

    def _ready(self, pod: Pod) -> bool:
        return not self._on(pod, "pod_not_ready")

    def _replicas(self, pod: Pod) -> int:
        return MOST_REPLICAS if self._on(pod, "hpa_max") else 1

    def _missing(self, pod: Pod) -> int:
        return int(not self._ready(pod) or self._on(pod, "replicas_missing"))


def gauge(name: str, meaning: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """A gauge with these label values."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def counter(name: str, meaning: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """A counter with these label values."""
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
