"""kube-state-metrics: what the API of a cluster says of its objects, as metrics."""

from stacks.service import Access, Endpoint, Ground, Limits, Port, Service

NAME = "kube-state-metrics"
PORT = 8080
# Metrics of its own, and whether it is ready.
_TELEMETRY = 8081

# What it is asked for, by the group that each is of: none that no rule or panel is about, and never Secrets.
_RESOURCES = {
    "": (
        "namespaces",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "services",
    ),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "policy": ("poddisruptionbudgets",),
}


def service(ground: Ground) -> Service:
    host = ground.listen(PORT).rpartition(":")[0]
    wanted = sorted(resource for resources in _RESOURCES.values() for resource in resources)
    return Service(
        name=NAME,
        product="kube-state-metrics",
        program="kube-state-metrics",
        args=(
            f"--host={host}",
            f"--port={PORT}",
            f"--telemetry-host={host}",
            f"--telemetry-port={_TELEMETRY}",
            f"--resources={','.join(wanted)}",
        ),
        ports=(Port(name="http", number=PORT), Port(name="telemetry", number=_TELEMETRY)),
        ready=Endpoint(port="telemetry", path="/readyz"),
        limits=Limits(memory=256 * 2**20, cpus=0.5),
        access=tuple(
            Access(group=group, resources=resources, verbs=("list", "watch")) for group, resources in _RESOURCES.items()
        ),
    )
