"""When the official Kubernetes provider takes an object for ready or gone, how long it waits, and what it says."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from standins.kubernetes_client import Client
from standins.kubernetes_schema import annotation
from standins.wire import Log, Props

SECONDS = 600
# The official provider does not let these be changed.
_SECONDS_FOR_A_CLAIM = 300
_SECONDS_TO_SETTLE = 10
_SECONDS_WITHOUT_ENDPOINTS = 60
_SECONDS_BETWEEN_REPORTS = 10

_REVISION = "deployment.kubernetes.io/revision"


class Incomplete(Exception):
    """The object is there, and is not ready, or not gone: the object, and why."""

    def __init__(self, message: str, live: Props, reasons: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.live = live
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Verdict:
    """What is seen of an object.

    `enough`: good enough when the time is up; `failed`: it will not get ready; `restarts`: what begins the time anew.
    """

    ready: bool
    progress: str = ""
    reasons: Callable[[], list[str]] = list
    pods: Callable[[], list[str]] = list
    enough: bool = False
    failed: bool = False
    restarts: str = ""


Judge = Callable[[Props], Verdict]


@dataclass(frozen=True)
class Watch:
    """One wait: whom to ask, whom to tell, what was there before the change, and whether this only reads."""

    client: Client
    cancelled: Event
    log: Log
    seconds: float = SECONDS
    before: Props | None = None
    reads: bool = False
    started: float = field(default_factory=time.monotonic)

    def ready(self, live: Props) -> Props:
        """The object once it is ready. Incomplete if it does not get so."""
        if live["kind"] not in _JUDGES:
            return live
        judge, deadline, restarts, reported = _JUDGES[live["kind"]](self), self._deadline(live), "", self.started
        for _ in self._ticks():
            live = self.client.find(live) or live
            verdict = judge(live)
            if verdict.ready:
                return live
            if verdict.failed:
                raise Incomplete(
                    f"Resource '{_name(live)}' was created but failed to initialize", live, verdict.reasons()
                )
            if verdict.restarts != restarts:
                deadline, restarts = self._deadline(live), verdict.restarts
            over = time.monotonic() > deadline
            if over or self.cancelled.is_set():
                if verdict.enough:
                    return live
                raise Incomplete(_message(live, over=over), live, verdict.reasons())
            reported = self._report(live, verdict, reported)
        raise AssertionError  # the ticks do not end

    def _deadline(self, live: Props) -> float:
        fixed = live["kind"] == "PersistentVolumeClaim"
        return time.monotonic() + (_SECONDS_FOR_A_CLAIM if fixed else self.seconds)

    def _ticks(self) -> Iterator[None]:
        """Often at first."""
        pause = 0.1
        while True:
            yield
            self.cancelled.wait(pause)
            pause = min(pause * 1.5, 1.0)

    def _report(self, live: Props, verdict: Verdict, reported: float) -> float:
        """Tell what is waited for, and now and then why; when that was last."""
        if verdict.progress:
            self.log.status("INFO", verdict.progress)
        if time.monotonic() - reported < _SECONDS_BETWEEN_REPORTS:
            return reported
        for text in [*self._events(live), *verdict.pods()]:
            self.log.status("WARNING", text)
        return time.monotonic()

    def _events(self, live: Props) -> list[str]:
        about = f"involvedObject.uid={live['metadata']['uid']},type=Warning"
        found = self.client.all("v1", "Event", live["metadata"].get("namespace", "default"), about)
        return [f"{event.get('reason')}: {event.get('message')}" for event in found]

    def check(self, live: Props) -> None:
        """Incomplete if the object is not ready at this moment."""
        if live["kind"] not in _JUDGES or live["kind"] == "PersistentVolumeClaim":
            return
        verdict = _JUDGES[live["kind"]](self)(live)
        if not verdict.ready:
            # Of a DaemonSet, the official provider has the reasons in its log alone.
            raise Incomplete(f"Resource '{_name(live)}' was created but failed to initialize", live, verdict.reasons())

    def gone(self, live: Props) -> None:
        """Return once the object is gone, or another of its name is there. Incomplete if that does not happen."""
        deadline, last = time.monotonic() + self.seconds, live
        for _ in self._ticks():
            seen = self.client.find(live)
            if seen is None or seen["metadata"]["uid"] != live["metadata"].get("uid", seen["metadata"]["uid"]):
                return
            last = seen
            if time.monotonic() > deadline or self.cancelled.is_set():
                break
            if "deletionTimestamp" in seen["metadata"]:
                self.log.status("INFO", "Resource scheduled for deletion")
        finalizers = ", ".join(last["metadata"].get("finalizers", []))
        self.log.lasting("WARNING", f"finalizers might be preventing deletion ({finalizers})")
        message = "context canceled" if self.cancelled.is_set() else "timed out waiting for the condition"
        raise Incomplete(message, last)

    def owned(self, kind: str, owner: Props | None) -> list[Props]:
        """The objects of a kind that an object made."""
        if owner is None:
            return []
        version, uid = "v1" if kind == "Pod" else "apps/v1", owner["metadata"]["uid"]
        found = self.client.all(version, kind, owner["metadata"]["namespace"])
        return [one for one in found if any(o["uid"] == uid for o in one["metadata"].get("ownerReferences", ()))]

    def pod_warnings(self, owner: Props | None) -> list[str]:
        """What is wrong with the pods of an object."""
        return [text for pod in self.owned("Pod", owner) for text in [_pod_warning(pod)] if text]


def _message(live: Props, *, over: bool) -> str:
    if live["kind"] == "DaemonSet":
        return "timed out waiting for the condition"
    claim = live["kind"] == "PersistentVolumeClaim"
    if over:
        return (
            f"Timeout occurred polling for '{_name(live)}'"
            if claim
            else f"'{_name(live)}' timed out waiting to be Ready"
        )
    quote = "'" if claim else '"'
    return f"Resource operation was cancelled for {quote}{_name(live)}{quote}"


def _name(live: Props) -> str:
    return str(live["metadata"]["name"])


def _full_name(live: Props) -> str:
    namespace = live["metadata"].get("namespace", "default")
    return _name(live) if namespace == "default" else f"{namespace}/{_name(live)}"


def _status(live: Props, name: str, default: Any = 0) -> Any:
    return live.get("status", {}).get(name, default)


def _conditions(live: Props) -> dict[str, Props]:
    return {condition["type"]: condition for condition in _status(live, "conditions", [])}


def _is_true(condition: Props | None) -> bool:
    return condition is not None and condition["status"] == "True"


def _pod_warning(pod: Props) -> str:
    """Why it does not run. Of one without a node the official provider says nothing."""
    conditions = _conditions(pod)
    if not _is_true(conditions.get("PodScheduled")):
        return ""
    for name in ("Initialized", "Ready"):
        condition = conditions.get(name)
        if condition is None:
            return ""
        if not _is_true(condition) and not (name == "Ready" and _status(pod, "phase") == "Succeeded"):
            errors = "\n".join(e for status in _status(pod, "containerStatuses", []) for e in _container_errors(status))
            message = condition.get("message", "") if condition.get("reason") else ""
            return f"[Pod {_full_name(pod)}]: {message}{errors}" if errors or condition.get("message") else ""
    return ""


def _container_errors(status: Props) -> Iterator[str]:
    if status["ready"]:
        return
    waiting, ended = status["state"].get("waiting"), status["state"].get("terminated")
    if waiting and waiting.get("reason") != "ContainerCreating":
        yield f"[{waiting.get('reason', '')}] {_trimmed(waiting)}"
    if ended and ended.get("reason"):
        code = f'container "{status["name"]}" completed with exit code {ended["exitCode"]}'
        yield f"[{ended['reason']}] {_trimmed(ended)}" if ended.get("message") else code
    if last := status.get("lastState", {}).get("terminated"):
        why = f"{last.get('reason', '')}: exit code {last['exitCode']}"
        yield f'container "{status["name"]}" terminated at {last["finishedAt"]} ({why})'
        yield from [last["message"]] if last.get("message") else []


def _trimmed(state: Props) -> str:
    message = str(state.get("message", ""))
    return message.removeprefix("rpc error: code = Unknown desc = Error response from daemon: ").removesuffix(
        ": manifest unknown"
    )


def _deployment(watch: Watch) -> Judge:
    """Ready when its newest ReplicaSet is, and the claims it names are bound."""

    def judge(live: Props) -> Verdict:
        conditions, revision = _conditions(live), annotation(live, _REVISION)
        observed = _status(live, "observedGeneration") == live["metadata"]["generation"]
        available = observed and _is_true(conditions.get("Available"))
        progressing = conditions.get("Progressing")
        rolled_out = available and (
            revision == "1" or (_is_true(progressing) and (progressing or {}).get("reason") == "NewReplicaSetAvailable")
        )
        replicas = _replica_set(watch, live) if rolled_out else None
        rolled_out = rolled_out and _replicas_ready(replicas)
        unbound = _unbound(watch, live) if rolled_out else []
        seen = replicas or {}
        counts = f"({_status(seen, 'readyReplicas')}/{seen.get('spec', {}).get('replicas', 0)} Pods available)"

        def reasons() -> list[str]:
            said = [c for c in (progressing, conditions.get("Available")) if observed and c and not _is_true(c)]
            return [
                *(f"[{c['reason']}] {c['message']}" for c in said if c.get("reason") and c.get("message")),
                *_roll_out_reasons(available, revision, progressing, _unbound(watch, live)),
                *watch.pod_warnings(_replica_set(watch, live)),
            ]

        return Verdict(
            rolled_out and not unbound,
            f"Waiting for app ReplicaSet to be available {counts}",
            reasons,
            lambda: watch.pod_warnings(_replica_set(watch, live)),
        )

    return judge


def _replica_set(watch: Watch, live: Props) -> Props | None:
    """That of the revision which the Deployment is at."""
    revision = annotation(live, _REVISION)
    return next((one for one in watch.owned("ReplicaSet", live) if annotation(one, _REVISION) == revision), None)


def _replicas_ready(replica_set: Props | None) -> bool:
    if replica_set is None:
        return False
    wanted, ready = replica_set["spec"].get("replicas", 1), _status(replica_set, "readyReplicas", None)
    return bool(ready >= wanted if ready is not None else wanted == 0)


def _unbound(watch: Watch, live: Props) -> list[str]:
    """The claims that its volumes name and that are there and not bound."""
    volumes = live["spec"]["template"]["spec"].get("volumes", ())
    names = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
    namespace = live["metadata"]["namespace"]
    claims = [watch.client.find(_identity("PersistentVolumeClaim", name, namespace)) for name in names]
    return [_name(claim) for claim in claims if claim is not None and _status(claim, "phase") != "Bound"]


def _roll_out_reasons(available: bool, revision: str, progressing: Props | None, unbound: list[str]) -> list[str]:
    reasons = ['Failed to bind PersistentVolumeClaim(s): "{}"'.format(",".join(unbound))] if unbound else []
    done = _is_true(progressing) and (progressing or {}).get("reason") == "NewReplicaSetAvailable"
    if not available:
        return [*reasons, "Minimum number of live Pods was not attained"]
    if revision == "1" or not done:
        return [*reasons, "Minimum number of Pods to consider the application live was not attained"]
    return [*reasons, "Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live"]


def _stateful_set(watch: Watch) -> Judge:
    """Ready when all its pods are, and are of the newest revision."""

    def judge(live: Props) -> Verdict:
        generation, observed = live["metadata"]["generation"], _status(live, "observedGeneration")
        wanted = live["spec"].get("replicas", 0)
        current, newest = _status(live, "currentRevision", ""), _status(live, "updateRevision", "")
        on_delete = generation > 1 and live["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
        revised = observed >= generation and (on_delete or bool(current and current == newest))
        counted = ("replicas", "readyReplicas", *(() if on_delete else ("currentReplicas",)))
        filled = observed >= generation and all(_status(live, name) == wanted for name in counted)
        ready = _status(live, "readyReplicas")
        ready = ready if revised else min(ready, _status(live, "updatedReplicas"))
        step = "[1/2] Waiting for StatefulSet to create Pods" if generation <= 1 else _ROLLING_OUT
        progress = _REVISING if generation > 1 and filled else f"{step} ({ready}/{wanted} Pods ready)"

        def reasons() -> list[str]:
            advance = f'StatefulSet controller failed to advance from revision "{current}" to revision "{newest}"'
            return [
                *([] if filled else [f"{ready} out of {wanted} replicas succeeded readiness checks"]),
                *([] if revised else [advance]),
                *watch.pod_warnings(live),
            ]

        return Verdict(revised and filled, progress, reasons, lambda: watch.pod_warnings(live))

    return judge


_ROLLING_OUT = "[1/3] Waiting for StatefulSet update to roll out"
_REVISING = "[2/3] Waiting for StatefulSet to update .status.currentRevision"


def _daemon_set(watch: Watch) -> Judge:
    """Ready when each node that it is for has a pod of it that is."""

    def judge(live: Props) -> Verdict:
        generation, observed = live["metadata"]["generation"], _status(live, "observedGeneration", None)
        wanted = _status(live, "desiredNumberScheduled", -1)
        counts = [(label, _status(live, name)) for label, name in _SCHEDULED.items()]
        behind = next((f"{label}: {count}/{wanted}" for label, count in counts if count < wanted), "")
        if observed != generation:
            behind = f"DaemonSet generation is {generation}, but latest observed generation is {observed or 0}"
        return Verdict(not behind and wanted >= 0, behind, list, lambda: watch.pod_warnings(live))

    return judge


_SCHEDULED = {
    "Current": "currentNumberScheduled",
    "Updated": "updatedNumberScheduled",
    "Available": "numberAvailable",
    "Ready": "numberReady",
}


def _job(watch: Watch) -> Judge:
    """Ready when it is complete. Its time begins anew with each change, as in the official provider."""
    seen: dict[str, None] = {}

    def judge(live: Props) -> Verdict:
        conditions = _conditions(live)
        failed = conditions.get("Failed")
        if _is_true(failed) and failed and failed.get("reason") in {"BackoffLimitExceeded", "DeadlineExceeded"}:
            seen[f"[{failed['reason']}] {failed.get('message', '')}"] = None
            return Verdict(ready=False, failed=True, reasons=lambda: list(seen))
        if _status(live, "startTime", None) and _is_true(conditions.get("Complete")):
            return Verdict(ready=True)
        seen.update(dict.fromkeys(watch.pod_warnings(live)))
        counts = " | ".join(f"{name.capitalize()}: {_status(live, name)}" for name in ("active", "succeeded", "failed"))
        progress = f'Waiting for Job "{_full_name(live)}" to succeed ({counts})'
        changed = f"{live['metadata']['resourceVersion']} {len(seen)}"
        return Verdict(False, progress, lambda: list(seen), lambda: list(seen), restarts=changed)

    return judge


def _claim(watch: Watch) -> Judge:
    """Ready when it is bound, or is waiting for its first pod where its class is bound only then."""

    def judge(live: Props) -> Verdict:
        phase = _status(live, "phase")
        if watch.before is not None and phase == "Bound":
            return Verdict(ready=True)
        name = live["spec"].get("storageClassName")
        found = name and watch.client.find({**_identity("StorageClass", name), "apiVersion": "storage.k8s.io/v1"})
        if not found:
            watch.log.status("WARNING", f'no storage class found for "{_name(live)}"')
        waits = found and found.get("volumeBindingMode") == "WaitForFirstConsumer"
        return Verdict(phase == ("Pending" if waits else "Bound"))

    return judge


class _Settling:
    """Settled some time after a change without one since."""

    def __init__(self, *, settled: bool) -> None:
        self._settled = settled
        self._last: Any = None
        self._times: list[float] = []

    def settled(self, seen: Any) -> bool:
        now = time.monotonic()
        if seen and seen != self._last:
            self._last = seen
            self._times.append(now)
        # The time of an earlier change that is over after a later one counts: so it is in the official provider.
        over = any(self._times[-1] < at + _SECONDS_TO_SETTLE <= now for at in self._times)
        return self._settled or over


def _service(watch: Watch) -> Judge:
    """Ready some seconds after its endpoints are, or at once where it selects no pods or has no address."""
    endpoints = _Settling(settled=watch.reads)

    def judge(live: Props) -> Verdict:
        spec = live["spec"]
        balanced = spec.get("type") == "LoadBalancer"
        allocated = not balanced or bool(_status(live, "loadBalancer", {}).get("ingress"))
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
            return Verdict(allocated)
        found = watch.client.find(_identity("Endpoints", _name(live), live["metadata"]["namespace"]))
        subsets = (found or {}).get("subsets", [])
        ready = any(subset.get("addresses") for subset in subsets)
        pending = any(subset.get("notReadyAddresses") for subset in subsets)
        settled = endpoints.settled(found and found["metadata"]["resourceVersion"])
        reasons = [*([] if ready else [_NO_PODS]), *([_NO_ADDRESS] if not allocated else [])]
        return Verdict(
            allocated and settled and not pending,
            "[2/3] Attempting to allocate IP address to Service" if settled and ready else _FINDING_PODS,
            lambda: reasons,
            enough=allocated and not pending,
        )

    return judge


_FINDING_PODS = "[1/3] Finding Pods to direct traffic to"
_NO_PODS = (
    "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector' may not match labels "
    "on any Pods"
)
_NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?"


def _ingress(watch: Watch) -> Judge:
    """Ready when it has an address, and its services have endpoints or none of them is known for a while."""
    settling = _Settling(settled=watch.reads)

    def judge(live: Props) -> Verdict:
        namespace = live["metadata"]["namespace"]
        found = {
            _name(one): one["metadata"]["resourceVersion"] for one in watch.client.all("v1", "Endpoints", namespace)
        }
        services = watch.client.all("v1", "Service", namespace)
        external = {_name(one) for one in services if one["spec"].get("type") == "ExternalName"}
        missing = _backends(live) - found.keys() - external
        none_comes = not found and time.monotonic() - watch.started > _SECONDS_WITHOUT_ENDPOINTS
        served = settling.settled(found) or none_comes or not missing
        addressed = bool(_status(live, "loadBalancer", {}).get("ingress"))
        reasons = [*([] if served else [_UNSERVED]), *([] if addressed else [_NOT_ADDRESSED])]
        return Verdict(served and addressed, _ADDRESSING if served else _FINDING_SERVICES, lambda: reasons)

    return judge


def _backends(live: Props) -> set[str]:
    paths = [path for rule in live["spec"].get("rules", ()) for path in rule.get("http", {}).get("paths", ())]
    return {path["backend"]["service"]["name"] for path in paths if "service" in path["backend"]}


_FINDING_SERVICES = "[1/3] Finding a matching service for each Ingress path"
_ADDRESSING = "[2/3] Waiting for update of .status.loadBalancer with hostname/IP"
_UNSERVED = "Ingress has at least one rule with an unavailable target endpoint."
_NOT_ADDRESSED = (
    "Ingress .status.loadBalancer field was not updated with a hostname/IP address. "
    "\n    for more information about this error, see https://pulumi.io/xdv72s"
)


def _identity(kind: str, name: str, namespace: str = "") -> Props:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}


_JUDGES: dict[str, Callable[[Watch], Judge]] = {
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Ingress": _ingress,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
