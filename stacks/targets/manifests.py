"""The objects of a Kubernetes cluster that an environment is, as plain values: a Plan in, manifests out.

Pods, which are most of it, are in `pods.py`.
"""

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stacks import flows, inventory
from stacks.flows import Flow
from stacks.plan import Plan
from stacks.service import ENVIRONMENT, Access, Service
from stacks.services import prometheus
from stacks.targets import containers, pods, secrets
from stacks.targets.pods import Object

_RBAC = "rbac.authorization.k8s.io/v1"
_NETWORKING = "networking.k8s.io/v1"
_SYSTEM = "kube-system"
_DNS, _HTTPS = 53, 443
_KUBELET = 10250
# Above applications, below what the cluster itself needs: who watches goes last.
_PRIORITY = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What belongs to a service. `before` is there before its pods are."""

    service: Service
    before: tuple[Object, ...]
    workload: Object
    beside: tuple[Object, ...]


def objects(plan: Plan) -> list[Object]:
    """All of an environment. Where Secrets have their values, these have none."""
    found = [*shared(plan)]
    for unit in units(plan):
        found += [*unit.before, unit.workload, *unit.beside]
    return found


def namespaces(plan: Plan) -> list[Object]:
    """One can do in each what Pod Security allows there."""
    hosts = plan.settings.kubernetes.namespaces.host
    return [
        _object(plan, "v1", "Namespace", name, None, more=_security("privileged" if name == hosts else "restricted"))
        for name in inventory.namespaces(plan.ground)
    ]


def port_forwards(plan: Plan) -> dict[str, str]:
    """What opens the page of a service to this machine, by service."""
    return {
        name: f"kubectl -n {plan.ground.namespace_of(name)} port-forward service/{name} "
        f"{port}:{_found(plan, name).port(_page(plan, name))}"
        for name, port in plan.published.items()
        if name not in plan.ground.doors
    }


def _page(plan: Plan, name: str) -> str:
    page = _found(plan, name).page
    return page.port if page else ""


def _security(level: str) -> dict[str, str]:
    return {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}


def shared(plan: Plan) -> list[Object]:
    """What no single service has: namespaces first."""
    priority = _object(plan, "scheduling.k8s.io/v1", "PriorityClass", pods.priority(plan), None)
    priority |= {"value": _PRIORITY, "description": "Monitoring of the environment: it sees others go."}
    closed = [_closed(plan, name) for name in inventory.namespaces(plan.ground)]
    logins = [_login(plan, name) for name in inventory.namespaces(plan.ground)] if plan.settings.registry else []
    return [*namespaces(plan), priority, *closed, *(login for login in logins if login)]


def _closed(plan: Plan, namespace: str) -> Object:
    """Of the environment's pods none talks to anybody, unless another policy lets it."""
    mine = {"podSelector": {"matchLabels": {ENVIRONMENT: plan.settings.environment}}}
    policy = _object(plan, _NETWORKING, "NetworkPolicy", "closed", namespace)
    return {**policy, "spec": {**mine, "policyTypes": ["Ingress", "Egress"]}}


def _login(plan: Plan, namespace: str) -> Object | None:
    given = secrets.login(plan)
    if not given or plan.settings.registry is None:
        return None
    host = plan.settings.registry.address.partition("/")[0]
    made = _object(plan, "v1", "Secret", pods.LOGIN, namespace)
    text = None
    if given["password"] is not None:
        words = b64encode(f"{given['username']}:{given['password']}".encode()).decode()
        text = json.dumps({"auths": {host: {"auth": words}}})
    return {**made, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": text}}


def units(plan: Plan) -> list[Unit]:
    """What each service is made of."""
    there = flows.of(plan)
    return [_unit(plan, service, there) for service in plan.services]


def _unit(plan: Plan, service: Service, there: Sequence[Flow]) -> Unit:
    before = [
        *pods.configmaps(plan, service),
        *_secret(plan, service),
        *_claims(plan, service),
        *_account(plan, service),
        _policy(plan, service, there),
    ]
    return Unit(
        service=service,
        before=tuple(before),
        workload=pods.workload(plan, service),
        beside=(*_names(plan, service), *_budget(plan, service), *_way_in(plan, service)),
    )


def _secret(plan: Plan, service: Service) -> Iterator[Object]:
    """With the keys that the service reads, and no other."""
    if service.secrets:
        made = _mine(plan, service, "v1", "Secret", service.name)
        yield {**made, "type": "Opaque", "stringData": {pods.key(secret.path): "" for secret in service.secrets}}


def _claims(plan: Plan, service: Service) -> Iterator[Object]:
    """On their own, and not templates of a StatefulSet: those cannot grow."""
    kind = plan.settings.kubernetes.storage_class
    for volume in service.volumes:
        made = _mine(plan, service, "v1", "PersistentVolumeClaim", pods.claim(service.name, volume.path))
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": pods.quantity(volume.size)}}}
        if plan.settings.kubernetes.adopt:
            # The provider waits until a new claim has no pod yet, where the class binds with the first one.
            made["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
        yield {**made, "spec": {**spec, **({"storageClassName": kind} if kind else {})}}


def _account(plan: Plan, service: Service) -> Iterator[Object]:
    """Who it is to the API, and what it may ask there."""
    pull = {"imagePullSecrets": [{"name": pods.LOGIN}]} if secrets.login(plan) else {}
    account = _mine(plan, service, "v1", "ServiceAccount", service.name)
    yield {**account, "automountServiceAccountToken": False, **pull}
    rules: dict[str | None, list[Object]] = defaultdict(list)
    for access in service.access:
        for namespace in access.namespaces or (None,):
            rules[namespace].append(_rule(access))
    for namespace, allowed in sorted(rules.items(), key=lambda item: item[0] or ""):
        yield from _role(plan, service, namespace, allowed)


def _role(plan: Plan, service: Service, namespace: str | None, rules: list[Object]) -> Iterator[Object]:
    kind, name = "Role" if namespace else "ClusterRole", containers.name(plan.settings.environment, service.name)
    yield {**_object(plan, _RBAC, kind, name, namespace, _labels(plan, service)), "rules": rules}
    account = {
        "kind": "ServiceAccount",
        "name": service.name,
        "namespace": plan.ground.namespace_of(service.name),
    }
    yield {
        **_object(plan, _RBAC, f"{kind}Binding", name, namespace, _labels(plan, service)),
        "roleRef": {"apiGroup": _RBAC.partition("/")[0], "kind": kind, "name": name},
        "subjects": [account],
    }


def _rule(access: Access) -> Object:
    if access.urls:
        return {"nonResourceURLs": [*access.urls], "verbs": [*access.verbs]}
    return {"apiGroups": [access.group], "resources": [*access.resources], "verbs": [*access.verbs]}


def _policy(plan: Plan, service: Service, there: Sequence[Flow]) -> Object:
    """The flows from and to the service. Probes and port-forwards come from the node, which is always let in."""
    sources, targets = defaultdict(set), defaultdict(set)
    for flow in there:
        if flow.target == service.name:
            sources[flow.source].add(flow.port)
        if flow.source == service.name:
            targets[flow.target].add(flow.port)
    inward = [{"from": [_peer(plan, name)], "ports": _ports(service, sources[name])} for name in sorted(sources)]
    outward: list[Object] = [{"to": [_namespace(_SYSTEM)], "ports": [_port(_DNS, "UDP"), _port(_DNS, "TCP")]}]
    outward += [_outward(plan, name, targets[name]) for name in sorted(targets)]
    if service.access:
        # Networks judge before or after the service's port becomes that of the servers behind it.
        outward.append({"ports": [_port(_HTTPS), _port(plan.settings.kubernetes.api_port)]})
    if service.kind == prometheus.NAME:
        outward.append({"ports": [_port(_KUBELET)]})
    if service.outbound:
        outward.append({"to": [{"ipBlock": {"cidr": block}} for block in ("0.0.0.0/0", "::/0")]})
    spec = {
        "podSelector": {"matchLabels": pods.selector(plan, service)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [*inward, *_from_outside(plan, service)],
        "egress": outward,
    }
    return {**_mine(plan, service, _NETWORKING, "NetworkPolicy", service.name), "spec": spec}


def _outward(plan: Plan, name: str, numbers: set[int]) -> Object:
    target = _found(plan, name)
    # What has the network of its node is no pod to a policy.
    on_node = target.host is not None and target.host.network
    return {**({} if on_node else {"to": [_peer(plan, name)]}), "ports": _ports(target, numbers)}


def _from_outside(plan: Plan, service: Service) -> Iterator[Object]:
    way_in = plan.settings.kubernetes.ingress
    if way_in and way_in.before == service.name and service.page:
        yield {"from": [_namespace(way_in.namespace)], "ports": [_port(service.port(service.page.port))]}


def _peer(plan: Plan, name: str) -> Object:
    service = _found(plan, name)
    return {**_namespace(plan.ground.namespace_of(name)), "podSelector": {"matchLabels": pods.selector(plan, service)}}


def _found(plan: Plan, name: str) -> Service:
    return next(service for service in plan.services if service.name == name)


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _ports(service: Service, numbers: Iterable[int]) -> list[Object]:
    protocols = {port.number: port.protocols for port in service.ports}
    return [_port(number, protocol) for number in sorted(numbers) for protocol in protocols[number]]


def _port(number: int, protocol: str = "TCP") -> Object:
    return {"port": number, "protocol": protocol}


def _names(plan: Plan, service: Service) -> Iterator[Object]:
    """A Service for each name under which others reach it. What runs on each node is found, and not called."""
    if service.per_node:
        return
    ports = [
        {"name": f"{port.name}-{protocol.lower()}" if protocol != "TCP" else port.name}
        | {"port": port.number, "targetPort": port.number, "protocol": protocol}
        for port in service.ports
        for protocol in port.protocols
    ]
    for name in (service.name, *service.aliases):
        spec = {
            # Of one pod, whose address is the same for all who ask: no balancer stands between.
            "clusterIP": "None",
            "selector": pods.selector(plan, service),
            "ports": ports,
            # Peers find each other before they are ready.
            "publishNotReadyAddresses": any(port.name == "gossip" for port in service.ports),
        }
        yield {**_mine(plan, service, "v1", "Service", name), "spec": spec}


def _budget(plan: Plan, service: Service) -> Iterator[Object]:
    """Of replicas one at a time may be away, when a node is emptied."""
    if service.replica == 1 and len(plan.replicas(service.kind)) > 1:
        mine = {"matchLabels": pods.kind(plan, service)}
        made = _mine(plan, service, "policy/v1", "PodDisruptionBudget", service.kind)
        yield {**made, "spec": {"maxUnavailable": 1, "selector": mine}}


def _way_in(plan: Plan, service: Service) -> Iterator[Object]:
    wanted = plan.settings.kubernetes.ingress
    if wanted is None or wanted.before != service.name or service.page is None:
        return
    backend = {"service": {"name": service.name, "port": {"number": service.port(service.page.port)}}}
    spec = {
        "rules": [
            {"host": wanted.domain, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ],
        "tls": [{"hosts": [wanted.domain], "secretName": wanted.tls}],
        **({"ingressClassName": wanted.controller} if wanted.controller else {}),
    }
    yield {**_mine(plan, service, _NETWORKING, "Ingress", service.name), "spec": spec}


def _mine(plan: Plan, service: Service, version: str, kind: str, name: str) -> Object:
    return _object(plan, version, kind, name, plan.ground.namespace_of(service.name), _labels(plan, service))


def _labels(plan: Plan, service: Service) -> Mapping[str, str]:
    return containers.labels(plan, service)


def _object(
    plan: Plan,
    version: str,
    kind: str,
    name: str,
    namespace: str | None,
    labels: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Object:
    return pods.named(
        version, kind, name, namespace, {ENVIRONMENT: plan.settings.environment, **(labels or {}), **(more or {})}
    )
