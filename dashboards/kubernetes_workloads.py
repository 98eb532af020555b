"""Kubernetes workloads: pods, deployments, autoscalers, resources and volumes of the cluster."""

from dashboards import promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import PODS
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import bargauge, piechart, row, stat, timeseries
from dashboards.promql import RATE
from dashboards.variables import ANY_ENVIRONMENT, ENVIRONMENT, FILTER

KUBELET = frozenset({"kubelet"})


def board() -> Board:
    """As kube-state-metrics and the kubelet see them."""
    return Board(
        uid="kubernetes-workloads",
        title="Kubernetes Workloads",
        description="Pods, deployments, autoscalers, resources and volumes of the cluster.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), runbooks()),
        variables=(ENVIRONMENT, FILTER),
        needs=PODS,
        panels=(*_pods(), *_workloads(), *_resources(), *_volumes()),
    )


def _pods() -> tuple[Panel, ...]:
    ready = f'kube_pod_status_ready{{{ANY_ENVIRONMENT},condition="true"}}'
    restarts = promql.increase("kube_pod_container_status_restarts_total", ANY_ENVIRONMENT, ("namespace", "pod"), "15m")
    return (
        row("Pods"),
        piechart(
            "Pods by phase",
            Query(
                expr=f"sum by (phase) (kube_pod_status_phase{{{ANY_ENVIRONMENT}}}) > 0",
                legend="{{phase}}",
                instant=True,
            ),
            unit="short",
            description="Pods now, by phase.",
            width=6,
        ),
        stat(
            "Pods not ready",
            Query(expr=f"count({ready} == 0) or vector(0)", legend="not ready"),
            unit="short",
            description="Pods that take no traffic.",
            thresholds=Thresholds(critical=1),
            height=8,
            width=4,
            links=(runbook("KubePodNotReady"),),
        ),
        timeseries(
            "Restarts, 15m",
            Query(expr=restarts, legend="{{namespace}} {{pod}}"),
            unit="short",
            description="Restarts of containers in 15 minutes, by pod.",
            thresholds=Thresholds(warning=1),
            width=7,
            links=(runbook("KubePodCrashLooping"),),
        ),
        timeseries(
            "Containers that wait",
            Query(
                expr="sum by (reason) (container:kube_waiting_reason:max5m)",
                legend="{{reason}}",
                empty_when="no container waits",
            ),
            unit="short",
            description="Containers that cannot start, by reason.",
            thresholds=Thresholds(critical=1),
            width=7,
            links=(runbook("KubeContainerWaiting"), runbook("KubePodImagePullFailing")),
        ),
    )


def _workloads() -> tuple[Panel, ...]:
    by = ("namespace", "deployment")
    current = "kube_horizontalpodautoscaler_status_current_replicas"
    most = "kube_horizontalpodautoscaler_spec_max_replicas"
    scaled = "max by (namespace, horizontalpodautoscaler)"
    return (
        row("Deployments"),
        timeseries(
            "Replicas available",
            Query(
                expr=promql.total("kube_deployment_status_replicas_available", ANY_ENVIRONMENT, by),
                legend="{{namespace}} {{deployment}}",
            ),
            unit="short",
            description="Replicas of each deployment that take traffic.",
            width=8,
            links=(runbook("KubeDeploymentReplicasMissing"),),
        ),
        timeseries(
            "Replicas missing",
            Query(
                expr=f"{promql.total('kube_deployment_spec_replicas', ANY_ENVIRONMENT, by)} - "
                f"{promql.total('kube_deployment_status_replicas_available', ANY_ENVIRONMENT, by)}",
                legend="{{namespace}} {{deployment}}",
            ),
            unit="short",
            description="Replicas that a deployment asks for and does not have.",
            thresholds=Thresholds(critical=1),
            width=8,
            links=(runbook("KubeDeploymentReplicasMissing"),),
        ),
        bargauge(
            "Autoscalers",
            Query(
                expr=f"{scaled} ({current}{{{ANY_ENVIRONMENT}}}) / {scaled} ({most}{{{ANY_ENVIRONMENT}}})",
                legend="{{namespace}} {{horizontalpodautoscaler}}",
                instant=True,
                empty_when="there is no autoscaler",
            ),
            unit="percentunit",
            description="Replicas against the most that each autoscaler may ask for.",
            maximum=1,
            thresholds=Thresholds(warning=0.8, critical=1),
            links=(runbook("KubeHPAMaxedOut"),),
        ),
    )


def _resources() -> tuple[Panel, ...]:
    container = f'{ANY_ENVIRONMENT},container!=""'
    by = ("namespace", "pod")
    limit = "kube_pod_container_resource_limits"
    cpu_limit = promql.total(limit, f'{ANY_ENVIRONMENT},resource="cpu"', by)
    memory_limit = promql.total(limit, f'{ANY_ENVIRONMENT},resource="memory"', by)
    return (
        row("Resources", needs=KUBELET),
        timeseries(
            "CPU of limit",
            Query(
                expr=f"{promql.rate('container_cpu_usage_seconds_total', container, by, RATE)} / {cpu_limit}",
                legend="{{namespace}} {{pod}}",
                empty_when="no pod has a CPU limit",
            ),
            unit="percentunit",
            description="Part of its CPU limit that each pod uses.",
            thresholds=Thresholds(warning=0.8, critical=1),
            needs=KUBELET,
        ),
        timeseries(
            "Memory of limit",
            Query(
                expr=f"{promql.total('container_memory_working_set_bytes', container, by)} / {memory_limit}",
                legend="{{namespace}} {{pod}}",
                empty_when="no pod has a memory limit",
            ),
            unit="percentunit",
            description="Part of its memory limit that each pod uses.",
            thresholds=Thresholds(warning=0.8, critical=0.9),
            needs=KUBELET,
            links=(runbook("KubeContainerOOMKilled"),),
        ),
    )


def _volumes() -> tuple[Panel, ...]:
    free = "kubelet_volume_stats_available_bytes"
    size = "kubelet_volume_stats_capacity_bytes"
    return (
        row("Volumes", needs=KUBELET),
        bargauge(
            "Volumes used",
            Query(
                expr=f"max by (namespace, persistentvolumeclaim) "
                f"(1 - {free}{{{ANY_ENVIRONMENT}}} / {size}{{{ANY_ENVIRONMENT}}})",
                legend="{{namespace}} {{persistentvolumeclaim}}",
                instant=True,
                empty_when="no pod mounts a volume",
            ),
            unit="percentunit",
            description="Used part of each persistent volume.",
            maximum=1,
            thresholds=Thresholds(warning=0.85, critical=0.95),
            width=24,
            needs=KUBELET,
            links=(runbook("KubePersistentVolumeNearlyFull"), runbook("KubePersistentVolumeFillingUp")),
        ),
    )
