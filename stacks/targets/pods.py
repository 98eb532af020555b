"""Pods: how a service runs in a cluster, as Pod Security `restricted` wants it, with its files kept beside it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from stacks import images
from stacks.plan import Plan
from stacks.service import KIND, NODE, SERVICE, SYSTEM, Endpoint, File, Host, Service
from stacks.services.kubernetes_discovery import ANNOTATION
from stacks.targets import containers
from stacks.targets.containers import SHELL

Object = dict[str, Any]

# The container beside the service's own that keeps its files, and the words that it leaves there.
KEEPER = "keeper"
STATE = "etc/.state"
# What the cluster logs in to the registry with.
LOGIN = "registry-login"

# Where the ConfigMaps are, before their files are in their places.
_NEW = "new"
# The key of a ConfigMap that says which files it has, before its name.
_DIGEST = ".digest-"
_TOP = "etc/"
_MEGABYTE = 2**20
# Of what a service may take, what is kept free for it: most take less, but none may starve.
_RESERVED_CPU, _RESERVED_MEMORY = 0.05, 0.5
_SECONDS_TO_START, _SECONDS_TO_STOP = 300, 60


def named(version: str, kind: str, name: str, namespace: str | None, labels: Mapping[str, str]) -> Object:
    """An object with nothing in it."""
    metadata: Object = {"name": name, "labels": dict(labels)}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {**metadata, **({"namespace": namespace} if namespace else {})},
    }


def selector(plan: Plan, service: Service) -> dict[str, str]:
    """What only the pods of a service have."""
    labels = containers.labels(plan, service)
    return {key: labels[key] for key in sorted(labels) if key not in (KIND, SYSTEM)}


def kind(plan: Plan, service: Service) -> dict[str, str]:
    """What only the pods of a service and its replicas have."""
    labels = containers.labels(plan, service)
    return {key: labels[key] for key in sorted(labels) if key not in (SERVICE, SYSTEM)}


def priority(plan: Plan) -> str:
    return f"watchstack-{plan.settings.environment}"


def claim(service: str, path: str) -> str:
    return f"{service}-{path}"


def key(path: str) -> str:
    """The key of a secret file in its Secret."""
    return path.removeprefix("secrets/")


def workload(plan: Plan, service: Service) -> Object:
    """A StatefulSet where there is data, a DaemonSet where there is one on each node, else a Deployment."""
    template = {"metadata": _metadata(plan, service), "spec": _spec(plan, service)}
    spec: Object = {"selector": {"matchLabels": selector(plan, service)}, "template": template}
    spec["revisionHistoryLimit"] = 3
    what = "DaemonSet" if service.per_node else "StatefulSet" if service.volumes else "Deployment"
    if what != "DaemonSet":
        spec["replicas"] = 1
    if what == "StatefulSet":
        spec["serviceName"] = service.name
        # In order, a pod that cannot start would wait for itself, whatever its template says by then.
        spec["podManagementPolicy"] = "Parallel"
    made = named(
        "apps/v1", what, service.name, plan.ground.namespace_of(service.name), containers.labels(plan, service)
    )
    return {**made, "spec": spec}


def configmaps(plan: Plan, service: Service) -> list[Object]:
    """The files of a service. What its replicas have in common is there once, as the first one's."""
    own = {
        name: files for name, files in _files(plan, service).items() if service.replica == 1 or name == _own(service)
    }
    namespace, labels = plan.ground.namespace_of(service.name), containers.labels(plan, service)
    return [
        {**named("v1", "ConfigMap", name, namespace, labels), "data": _data(name, files)}
        for name, files in sorted(own.items())
    ]


def digest(plan: Plan, service: Service) -> str:
    """What the keeper says it has laid out, when it has these files."""
    return "".join(containers.digest(files) for _, files in sorted(_files(plan, service).items()))


def _files(plan: Plan, service: Service) -> dict[str, list[File]]:
    """The files of a service by ConfigMap: what differs between replicas, each folder of dashboards, and the others."""
    others = [other for other in plan.replicas(service.kind) if other.name != service.name]
    found: dict[str, list[File]] = defaultdict(list)
    for file in service.files:
        if all(file in other.files for other in others):
            # A ConfigMap holds a megabyte, and there are many dashboards.
            folder = file.path.split("/")[2] if file.on_change == "watched" else ""
            found[f"{service.kind}-{folder}".rstrip("-")].append(file)
        else:
            found[_own(service)].append(file)
    return found


def _own(service: Service) -> str:
    return f"{service.name}-own"


def _data(name: str, files: list[File]) -> dict[str, str]:
    """A key has no slashes: two dots stand for each."""
    texts = {file.path.removeprefix(_TOP).replace("/", ".."): file.text for file in files}
    return {f"{_DIGEST}{name}": containers.digest(files), **dict(sorted(texts.items()))}


def _metadata(plan: Plan, service: Service) -> Object:
    restart = containers.digest(containers.restarting(service))
    annotations = {**_announced(service), **({"watchstack.restart": restart} if restart else {})}
    labels = {**containers.labels(plan, service), "app": service.name, "app.kubernetes.io/name": service.kind}
    return {"labels": labels, **({"annotations": annotations} if annotations else {})}


def _announced(service: Service) -> dict[str, str]:
    """What says to Prometheus that the pod is to be scraped."""
    if service.scraped is None:
        return {}
    port = str(service.port(service.scraped.port))
    wanted = {"scrape": "true", "port": port, "path": service.scraped.path, "scheme": "http"}
    return {f"{ANNOTATION}/{what}": value for what, value in wanted.items()}


def _spec(plan: Plan, service: Service) -> Object:
    host = service.host or Host()
    uid, _, gid = containers.user(service).partition(":")
    security: Object = {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": int(uid), "runAsGroup": int(gid)}
    security |= {"runAsNonRoot": uid != "0"}
    if host.groups:
        security["supplementalGroups"] = [*host.groups]
    if service.volumes or service.borrows or service.secrets:
        security["fsGroup"] = int(gid)
        security["fsGroupChangePolicy"] = "OnRootMismatch"
    found: Object = {
        "serviceAccountName": service.name,
        "automountServiceAccountToken": bool(service.access),
        "priorityClassName": priority(plan),
        "terminationGracePeriodSeconds": _SECONDS_TO_STOP,
        "enableServiceLinks": False,
        "securityContext": security,
        "containers": [_container(plan, service)],
        "volumes": [*_volumes(plan, service)],
    }
    if service.files:
        # One process space: who keeps the files may tell the service of them.
        found |= {"initContainers": [_keeper(plan, service)], "shareProcessNamespace": True}
    if host.network:
        found |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if service.per_node:
        found["tolerations"] = [{"operator": "Exists"}]
    else:
        found |= _spread(plan, service)
    return found


def _spread(plan: Plan, service: Service) -> Object:
    """Replicas go to different machines as far as there are any; who borrows a volume, to its owner's."""
    mine = {"labelSelector": {"matchLabels": kind(plan, service)}}
    apart = {"weight": 100, "podAffinityTerm": {**mine, "topologyKey": "kubernetes.io/hostname"}}
    affinity: Object = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}}
    owners = sorted({owner for owner, _ in service.borrows})
    if owners:
        terms = [
            {"labelSelector": {"matchLabels": {SERVICE: owner}}, "topologyKey": "kubernetes.io/hostname"}
            for owner in owners
        ]
        affinity["podAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    zones = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway", **mine}
    return {"affinity": affinity, "topologySpreadConstraints": [zones]}


def _container(plan: Plan, service: Service) -> Object:
    host = service.host or Host()
    entry = [*images.container(service.product).entrypoint]
    ready, port = service.ready, service.port(service.ready.port)
    env: list[Object] = [{"name": name, "value": value} for name, value in service.environment]
    if service.per_node:
        env.append({"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
    made: Object = {
        "name": service.name,
        "image": image(plan, service.product),
        "imagePullPolicy": "IfNotPresent",
        "args": [_literal(word) for word in containers.command(service)],
        "ports": [
            {"name": _short(f"{each.name}-{protocol.lower()}" if protocol != "TCP" else each.name)}
            | {"containerPort": each.number, "protocol": protocol}
            for each in service.ports
            for protocol in each.protocols
        ],
        "resources": _resources(service.limits.memory, service.limits.cpus, 256 * _MEGABYTE),
        "securityContext": _locked(host.capabilities),
        "startupProbe": _asks(ready, port, every=2, tries=_SECONDS_TO_START // 2),
        "readinessProbe": _asks(ready, port, every=5, tries=3),
        # That a connection is taken is enough to live: what is slow to answer is not helped by a restart.
        "livenessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [*_mounts(service)],
    }
    if entry:
        made["command"] = entry
    if env:
        made["env"] = env
    if service.files or service.secrets or service.volumes or service.borrows:
        made["workingDir"] = containers.directory(service.name)
    return made


def image(plan: Plan, product: str) -> str:
    """What is pulled. That of this repository's own programs is in the registry that the settings name."""
    if product != containers.PROGRAMS:
        return images.reference(product, plan.settings.registry)
    registry = plan.settings.registry
    return f"{registry.address}/{images.of_programs()}" if registry else images.of_programs()


def _keeper(plan: Plan, service: Service) -> Object:
    """A container that starts before the service, and runs on beside it."""
    reload = service.reload
    told = [containers.inside(service, reload.at, containers.ITSELF), reload.proof, reload.success] if reload else []
    home = containers.directory(service.name)
    return {
        "name": KEEPER,
        "image": image(plan, SHELL),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _literal(containers.script("keep.sh")), KEEPER],
        "args": [_literal(word) for word in told if word],
        "restartPolicy": "Always",
        "workingDir": home,
        "resources": _resources(32 * _MEGABYTE, 0.2, 16 * _MEGABYTE),
        "securityContext": _locked(()),
        "startupProbe": {
            "exec": {"command": ["test", "-e", f"{home}/{STATE}"]},
            "periodSeconds": 1,
            "failureThreshold": 120,
        },
        "volumeMounts": [
            {"name": "etc", "mountPath": f"{home}/etc"},
            {"name": _NEW, "mountPath": f"{home}/{_NEW}", "readOnly": True},
        ],
    }


def _literal(word: str) -> str:
    """The kubelet would take `$(name)` for a variable, and two dollars for one."""
    return word.replace("$", "$$")


def _short(name: str) -> str:
    """The name of a port has 15 characters at most."""
    return name[:15].rstrip("-")


def _resources(memory: int, cpus: float, disk: int) -> Object:
    return {
        "limits": {"cpu": _cpu(cpus), "memory": quantity(memory), "ephemeral-storage": quantity(disk)},
        "requests": {
            "cpu": _cpu(cpus * _RESERVED_CPU),
            "memory": quantity(int(memory * _RESERVED_MEMORY)),
            "ephemeral-storage": quantity(disk // 4),
        },
    }


def _cpu(cpus: float) -> str:
    return str(int(cpus)) if cpus == int(cpus) else f"{max(1, round(cpus * 1000))}m"


def quantity(size: int) -> str:
    """Bytes as the cluster writes them, in whole megabytes or gigabytes."""
    megabytes = -(-size // _MEGABYTE)
    return f"{megabytes // 1024}Gi" if megabytes % 1024 == 0 else f"{megabytes}Mi"


def _locked(capabilities: tuple[str, ...]) -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], **({"add": [*capabilities]} if capabilities else {})},
        "readOnlyRootFilesystem": True,
    }


def _asks(ready: Endpoint, port: int, *, every: int, tries: int) -> Object:
    return {
        "httpGet": {"path": ready.path, "port": port},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": tries,
    }


def _volumes(plan: Plan, service: Service) -> Iterator[Object]:
    yield {"name": "tmp", "emptyDir": {"sizeLimit": quantity(64 * _MEGABYTE)}}
    if service.files:
        yield {"name": "etc", "emptyDir": {"sizeLimit": quantity(16 * _MEGABYTE)}}
        sources = [{"configMap": {"name": name}} for name in sorted(_files(plan, service))]
        yield {"name": _NEW, "projected": {"sources": sources, "defaultMode": 0o444}}
    if service.secrets:
        # Of the service's group alone, for the kubelet makes it theirs.
        yield {"name": "secrets", "secret": {"secretName": service.name, "defaultMode": 0o400}}
    for volume in service.volumes:
        yield {"name": volume.path, "persistentVolumeClaim": {"claimName": claim(service.name, volume.path)}}
    for owner, path in service.borrows:
        yield {"name": f"{owner}-{path}", "persistentVolumeClaim": {"claimName": claim(owner, path)}}
    for number, (_, there) in enumerate(_host_mounts(service)):
        yield {"name": f"host-{number}", "hostPath": {"path": there, "type": "Directory"}}


def _mounts(service: Service) -> Iterator[Object]:
    home = containers.directory(service.name)
    yield {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the container's own
    if service.files:
        yield {"name": "etc", "mountPath": f"{home}/etc", "readOnly": True}
    if service.secrets:
        yield {"name": "secrets", "mountPath": f"{home}/secrets", "readOnly": True}
    for volume in service.volumes:
        yield {"name": volume.path, "mountPath": f"{home}/{volume.path}"}
    for owner, path in service.borrows:
        yield {"name": f"{owner}-{path}", "mountPath": containers.directory(owner, path)}
    for number, (here, _) in enumerate(_host_mounts(service)):
        yield {
            "name": f"host-{number}",
            "mountPath": here,
            "readOnly": True,
            "mountPropagation": "HostToContainer",
        }


def _host_mounts(service: Service) -> list[tuple[str, str]]:
    return sorted(service.host.mounts.items()) if service.host else []
