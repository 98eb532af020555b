"""What a Kubernetes cluster says of an environment: its pods, what is in the way of it, and what is left of it."""

# Of the package, each class that is named is a module that is read: an annotation need not.
from __future__ import annotations

import json
import os
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_urlsafe
from typing import Any

from kubernetes import client, config, dynamic, stream
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.utils.quantity import parse_quantity
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from stacks import inventory
from stacks.plan import Plan
from stacks.service import ENVIRONMENT, SERVICE, SecretFile, Service
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets import containers, pods
from stacks.targets.forward import Forwarder
from stacks.units import size_text
from toolchain.interrupted import Begun

_SECONDS = 15
_SECONDS_TO_SETTLE = 180
_NOT_FOUND = 404


def connect(settings: Settings, seconds: int = _SECONDS) -> client.ApiClient:
    """A client of the cluster of an environment. Refused if it does not answer in time."""
    return _client(settings.kubernetes.context, seconds)


def _client(named: str | None, seconds: int = _SECONDS) -> client.ApiClient:
    place = f"context {named!r}" if named else "the current context"
    try:
        wanted = client.Configuration()
        # The client's own default is what the variable said when it was imported.
        config.load_kube_config(os.environ.get("KUBECONFIG"), named, wanted)
        wanted.retries = Retry(total=0)
        found = client.ApiClient(wanted)
        client.VersionApi(found).get_code(_request_timeout=seconds)
    except ConfigException as problem:
        raise Refused(
            f"watchstack:kubernetes.context: {place} of the kubeconfig cannot be used: {problem}; set KUBECONFIG, or "
            "use `-c watchstack:target=local`, which needs no cluster"
        ) from None
    except (HTTPError, ApiException, OSError) as problem:
        raise Refused(
            f"watchstack:kubernetes.context: the cluster of {place} does not answer: {_reason(problem)}; is it up, and "
            "are you logged in? `kubectl version` asks the same"
        ) from None
    return found


def _reason(problem: Exception) -> str:
    if isinstance(problem, ApiException):
        return f"{problem.status} {problem.reason}"
    return str(getattr(problem, "reason", None) or problem)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a cluster has already: `generated` are secrets by name, new ones among them, `lost` warns of volumes."""

    generated: Mapping[str, str]
    lost: tuple[str, ...]


def demand(plan: Plan) -> Found:
    """What the cluster has of an environment.

    Refused if a namespace is somebody else's, or a volume cannot become what the environment asks for.
    """
    core = client.CoreV1Api(connect(plan.settings))
    with _allowed(plan):
        claims = _claims(core, plan)
        problems = [*_foreign(core, plan), *(line for claim in claims for line in _stuck(core, claim))]
        if problems:
            raise Refused("\n".join(problems))
        lost = tuple(line for claim in claims for line in _lost(plan, claim))
        return Found(generated=_generated(core, plan), lost=lost)


@contextmanager
def _allowed(plan: Plan) -> Iterator[None]:
    """What the cluster does not let one do, in its words."""
    try:
        yield
    except ApiException as problem:
        said = json.loads(problem.body or "{}").get("message", problem.reason)
        raise Refused(
            f"watchstack:kubernetes.context: the cluster refuses environment {plan.settings.environment}: {said}; "
            "docs/kubernetes.md lists what who deploys must be allowed"
        ) from None


def _foreign(core: client.CoreV1Api, plan: Plan) -> Iterator[str]:
    environment = plan.settings.environment
    there = {one.metadata.name: one.metadata.labels or {} for one in core.list_namespace().items}
    for name in inventory.namespaces(plan.ground):
        if name in there and there[name].get(ENVIRONMENT) != environment:
            owner = there[name].get(ENVIRONMENT)
            whose = f"of environment {owner}" if owner else f"without the label {ENVIRONMENT}"
            yield (
                f"watchstack:kubernetes.namespaces: namespace {name} is there already, {whose}; name another one, for "
                "all that is in it goes with the environment"
            )


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A claim that is there, and what it is to become: sizes in bytes."""

    what: str
    kind: str
    has: int
    wants: int


def _claims(core: client.CoreV1Api, plan: Plan) -> list[_Claim]:
    wanted = {
        (plan.ground.namespace_of(service.name), pods.claim(service.name, volume.path)): (service, volume.size)
        for service in plan.services
        for volume in service.volumes
    }
    there = core.list_persistent_volume_claim_for_all_namespaces(label_selector=_label(plan.settings)).items
    named = {(one.metadata.namespace, one.metadata.name): one.spec for one in there}
    return [
        _Claim(
            what=f"volume {name} of {service.name}",
            kind=named[namespace, name].storage_class_name,
            has=_bytes(named[namespace, name].resources.requests["storage"]),
            wants=size,
        )
        for (namespace, name), (service, size) in wanted.items()
        if (namespace, name) in named
    ]


def _stuck(core: client.CoreV1Api, claim: _Claim) -> Iterator[str]:
    """A claim cannot shrink, and grows only where its class says so."""
    has, wants = size_text(claim.has), size_text(claim.wants)
    if claim.wants < claim.has:
        yield f"{claim.what} has {has} and cannot shrink to {wants}; ask for {has} or more"
    elif claim.wants > claim.has and not _grows(core, claim.kind):
        yield (
            f"{claim.what} has {has}, and its storage class {claim.kind} does not let it grow to {wants}; set "
            "allowVolumeExpansion there, or leave the size as it is"
        )


def _grows(core: client.CoreV1Api, kind: str) -> bool:
    return bool(client.StorageV1Api(core.api_client).read_storage_class(kind).allow_volume_expansion)


def _lost(plan: Plan, claim: _Claim) -> Iterator[str]:
    """Of a claim that is made anew, and empty."""
    named = plan.settings.kubernetes.storage_class
    if named and claim.kind != named:
        yield f"{claim.what} is of class {claim.kind}, and becomes another one of {named}: what it holds is lost"


def _bytes(quantity: str) -> int:
    return int(parse_quantity(quantity))


def _generated(core: client.CoreV1Api, plan: Plan) -> dict[str, str]:
    """Services that name the same secret have the same value; what none has yet is made here."""
    found: dict[str, str] = {}
    for service in plan.services:
        wanted = [secret for secret in service.secrets if secret.generated]
        texts = _texts(core, plan, service) if wanted else {}
        found |= {one.secret: one.value(texts[pods.key(one.path)]) for one in wanted if pods.key(one.path) in texts}
    names = {secret.secret for service in plan.services for secret in service.secrets if secret.generated}
    return {name: found.get(name) or token_urlsafe(24) for name in names}


def _texts(core: client.CoreV1Api, plan: Plan, service: Service) -> dict[str, str]:
    """What the Secret of a service holds, by key."""
    try:
        there = core.read_namespaced_secret(service.name, plan.ground.namespace_of(service.name))
    except ApiException as problem:
        if problem.status == _NOT_FOUND:
            return {}
        raise
    return {key: b64decode(data).decode() for key, data in (there.data or {}).items()}


def secret(plan: Plan, service: Service, wanted: SecretFile) -> str | None:
    """What a secret file of a service holds; None if there is none."""
    core = client.CoreV1Api(connect(plan.settings))
    return _texts(core, plan, service).get(pods.key(wanted.path))


def reached(plan: Plan) -> Plan:
    """The Plan for who asks from this machine: every port of a service is one of 127.0.0.1, through the API."""
    api = connect(plan.settings)
    forwarder, core = Forwarder(api), client.CoreV1Api(api)
    hosts: dict[str, str] = {}
    for service in plan.services:
        find = partial(_pod, core, plan, service)
        for port in service.ports:
            if "TCP" in port.protocols:
                here = forwarder.open(find, port.number)
                hosts |= {f"{name}:{port.number}": here for name in (service.name, *service.aliases)}
    return replace(plan, ground=replace(plan.ground, hosts=hosts))


def _pod(core: client.CoreV1Api, plan: Plan, service: Service) -> tuple[str, str]:
    """Namespace and name of a pod of a service that runs. LookupError if there is none."""
    return next((one.metadata.namespace, one.metadata.name) for one in _pods(core, plan, service) if _runs(one))


def _pods(core: client.CoreV1Api, plan: Plan, service: Service) -> list[client.V1Pod]:
    wanted = ",".join(f"{key}={value}" for key, value in pods.selector(plan, service).items())
    found = core.list_namespaced_pod(plan.ground.namespace_of(service.name), label_selector=wanted)
    return list(found.items)


def _runs(pod: client.V1Pod) -> bool:
    return pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None


def used(plan: Plan) -> tuple[dict[str, client.V1Pod], dict[str, int]]:
    """A pod that runs of each service, by service, and bytes of memory by pod, as far as the cluster says."""
    api = connect(plan.settings)
    return _running(api, plan), _memory(api, plan)


def _running(api: client.ApiClient, plan: Plan) -> dict[str, client.V1Pod]:
    core = client.CoreV1Api(api)
    found = core.list_pod_for_all_namespaces(label_selector=_label(plan.settings)).items
    there = {pod.metadata.labels[SERVICE]: pod for pod in found if _runs(pod)}
    return {service.name: there[service.name] for service in plan.services if service.name in there}


def _memory(api: client.ApiClient, plan: Plan) -> dict[str, int]:
    """As the cluster's metrics server says; nothing where it has none."""
    custom = client.CustomObjectsApi(api)
    try:
        found = custom.list_cluster_custom_object(
            "metrics.k8s.io", "v1beta1", "pods", label_selector=_label(plan.settings)
        )
    except ApiException as problem:
        if problem.status == _NOT_FOUND:
            return {}
        raise
    return {
        pod["metadata"]["name"]: sum(_bytes(each["usage"]["memory"]) for each in pod["containers"])
        for pod in found["items"]
    }


@contextmanager
def suspended(plan: Plan, name: str) -> Iterator[None]:
    """The pods of a service are gone for the length of a block. KeyError if it does not run."""
    api = connect(plan.settings)
    _running(api, plan)[name]
    service = next(one for one in plan.services if one.name == name)
    scale = partial(_scale, client.AppsV1Api(api), plan, service)
    try:
        scale(0)
        yield
    finally:
        scale(1)


def _scale(apps: client.AppsV1Api, plan: Plan, service: Service, replicas: int) -> None:
    namespace, body = plan.ground.namespace_of(service.name), {"spec": {"replicas": replicas}}
    patch = apps.patch_namespaced_stateful_set_scale if service.volumes else apps.patch_namespaced_deployment_scale
    patch(service.name, namespace, body)


def settle(plan: Plan) -> None:
    """Wait until every service has taken its files. Refused names those that have not, and what they say."""
    core, waiting = client.CoreV1Api(connect(plan.settings)), dict[str, str]()
    wanted = [service for service in plan.services if service.files]
    for service in wanted:
        _hasten(core, plan, service)
    until = time.monotonic() + _SECONDS_TO_SETTLE
    while wanted and time.monotonic() < until:
        waiting = {service.name: said for service in wanted if (said := _unsettled(core, plan, service))}
        wanted = [service for service in wanted if service.name in waiting]
        if any("refused" in said for said in waiting.values()):
            break
        if wanted:
            time.sleep(0.5)
    if waiting and wanted:
        raise Refused("\n".join(f"{name} has not taken its files: {said}" for name, said in sorted(waiting.items())))


def _hasten(core: client.CoreV1Api, plan: Plan, service: Service) -> None:
    """A kubelet looks at ConfigMaps now and then, and at once where its pod changes."""
    note = {"metadata": {"annotations": {"watchstack.files": pods.digest(plan, service)}}}
    for pod in _pods(core, plan, service):
        core.patch_namespaced_pod(pod.metadata.name, pod.metadata.namespace, note)


def _unsettled(core: client.CoreV1Api, plan: Plan, service: Service) -> str:
    """What the keeper of one of its pods says that is not what is wanted; empty if all is well."""
    found, wanted = _pods(core, plan, service), f"loaded {pods.digest(plan, service)}"
    if not found:
        return "it has no pods"
    for pod in found:
        said = _state(core, pod) if _runs(pod) else f"its pod is {pod.status.phase}"
        if said.strip() != wanted:
            return said.strip()
    return ""


def _state(core: client.CoreV1Api, pod: client.V1Pod) -> str:
    # A client of its own: the package turns one into a client of websockets while it asks.
    own = client.CoreV1Api(client.ApiClient(core.api_client.configuration))
    command = ["cat", containers.directory(pod.metadata.labels[SERVICE], pods.STATE)]
    try:
        said: str = stream.stream(
            own.connect_get_namespaced_pod_exec,
            pod.metadata.name,
            pod.metadata.namespace,
            container=pods.KEEPER,
            command=command,
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
        )
    except ApiException as problem:
        return f"its files cannot be looked at: {_reason(problem)}"
    return said


def remove_begun(environment: str, begun: Begun) -> list[str]:
    """Remove the objects of an environment that a run which did not end well was making; returns what they were.

    They are not in its state, and the next run would find that they exist.
    """
    found = dynamic.DynamicClient(_client(begun.context))
    gone = []
    for manifest in begun.manifests:
        kind = found.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace")
        try:
            there = kind.get(name=name, namespace=namespace)
        except ApiException as problem:
            if problem.status != _NOT_FOUND:
                raise
            continue
        if (there.metadata.labels or {}).get(ENVIRONMENT) == environment:
            kind.delete(name=name, namespace=namespace)
            gone.append(f"{manifest['kind']} {_name(there)}")
    return gone


def failing(environment: str, context: str | None) -> list[str]:
    """The pods of an environment that should run and do not, each with what the cluster says of it."""
    core = client.CoreV1Api(_client(context))
    found = core.list_pod_for_all_namespaces(label_selector=f"{ENVIRONMENT}={environment}").items
    said = {_name(pod): [*_hindered(pod)] for pod in found}
    return [f"{name} does not run: {'; '.join(why)}" for name, why in sorted(said.items()) if why]


def _hindered(pod: Any) -> Iterator[str]:
    for condition in pod.status.conditions or ():
        if condition.reason == "Unschedulable":
            yield condition.message
    for one in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())):
        if one.state.waiting and one.state.waiting.reason != "PodInitializing":
            yield f"{one.name}: {one.state.waiting.reason}: {one.state.waiting.message or one.image}"


def left(settings: Settings) -> list[str]:
    """What the cluster still has with the label of an environment, or of its volumes."""
    api, label = connect(settings), _label(settings)
    core, rbac = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
    listed = {
        "clusterrole": rbac.list_cluster_role,
        "clusterrolebinding": rbac.list_cluster_role_binding,
        "configmap": core.list_config_map_for_all_namespaces,
        "namespace": core.list_namespace,
        "persistentvolumeclaim": core.list_persistent_volume_claim_for_all_namespaces,
        "pod": core.list_pod_for_all_namespaces,
        "priorityclass": client.SchedulingV1Api(api).list_priority_class,
        "role": rbac.list_role_for_all_namespaces,
        "secret": core.list_secret_for_all_namespaces,
        "service": core.list_service_for_all_namespaces,
    }
    return sorted(f"{kind} {_name(one)}" for kind, ask in listed.items() for one in ask(label_selector=label).items)


def _name(one: Any) -> str:
    return "/".join(part for part in (one.metadata.namespace, one.metadata.name) if part)


def _label(settings: Settings) -> str:
    return f"{ENVIRONMENT}={settings.environment}"
