"""Kubernetes service discovery: how Prometheus finds annotated pods and services, nodes, and what runs on each."""

from collections.abc import Mapping, Sequence

from stacks.service import SERVICE, SYSTEM, Access, ScrapeJob

PODS, SERVICES = "kubernetes-pods", "kubernetes-services"
# What pods and services say of themselves: `prometheus.io/scrape`, `port`, `path` and `scheme`.
ANNOTATION = "prometheus.io"

# Where a pod finds who it is to the cluster, and whom it may believe.
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
IDENTITY = ("token", "ca.crt")
_KUBELET = 10250

Scrape = dict[str, object]


def access(namespaces: Sequence[str], hosts: str) -> tuple[Access, ...]:
    """What finding takes: pods and services of the `namespaces`, pods of `hosts`, and the metrics of nodes."""
    return (
        Access(resources=("pods", "services"), namespaces=tuple(namespaces)),
        Access(group="discovery.k8s.io", resources=("endpointslices",), namespaces=tuple(namespaces)),
        Access(resources=("pods",), namespaces=(hosts,)),
        Access(resources=("nodes",)),
        Access(resources=("nodes/metrics",), verbs=("get",)),
    )


def targets(job: ScrapeJob, systems: Mapping[str, str], hosts: str, *, verified: bool) -> Scrape:
    """How the targets of a job are found, if they are.

    `systems` are those of namespaces, `hosts` is where what runs on each node is.
    """
    match job.found:
        case "pods":
            return _pods(job, systems)
        case "nodes":
            return _nodes(job, verified=verified)
        case "each":
            return _each(job, hosts)
    return {}


def annotated(systems: Mapping[str, str], jobs: Sequence[ScrapeJob]) -> list[Scrape]:
    """Jobs of the pods and services that ask for it by annotations; of pods, unless one of these `jobs` is of them."""
    pods = [] if any(job.found == "pods" for job in jobs) else [{"job_name": PODS, **_asking(systems, sorted(systems))}]
    return [*pods, _services(systems)]


def _pods(job: ScrapeJob, systems: Mapping[str, str]) -> Scrape:
    return _asking(systems, sorted(name for name, system in systems.items() if system == job.system))


def _asking(systems: Mapping[str, str], namespaces: Sequence[str]) -> Scrape:
    return {
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [*namespaces]}}],
        "relabel_configs": [
            *_annotated("pod"),
            # What has ended, and what has no address yet, is no target.
            {"action": "drop", "source_labels": [_meta("pod_phase")], "regex": "Pending|Succeeded|Failed"},
            _address(_meta("pod_ip"), "pod"),
            *_named(systems, _meta("pod_label_app")),
            _copy(_meta("pod_name"), "pod"),
            _instance(_meta("pod_name"), "pod"),
        ],
    }


def _services(systems: Mapping[str, str]) -> Scrape:
    return {
        "job_name": SERVICES,
        "kubernetes_sd_configs": [{"role": "endpointslice", "namespaces": {"names": sorted(systems)}}],
        "relabel_configs": [
            *_annotated("service"),
            {
                "action": "keep",
                "source_labels": [_meta("endpointslice_endpoint_conditions_ready")],
                "regex": "true",
            },
            _address("__address__", "service", r"([^:]+)(?::\d+)?;(\d+)"),
            *_named(systems, _meta("service_name")),
            _copy(_meta("pod_name"), "pod", "(.+)"),
            {"source_labels": ["__address__"], "target_label": "instance"},
        ],
    }


def _nodes(job: ScrapeJob, *, verified: bool) -> Scrape:
    proof: Scrape = {"ca_file": f"{ACCOUNT}/ca.crt"} if verified else {"insecure_skip_verify": True}
    return {
        "scheme": "https",
        "authorization": {"credentials_file": f"{ACCOUNT}/token"},
        "tls_config": proof,
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            _copy(_meta("node_name"), "node"),
            _copy(_meta("node_name"), "instance", replacement=f"$1:{_KUBELET}"),
            {"target_label": "system", "replacement": job.system},
        ],
    }


def _each(job: ScrapeJob, hosts: str) -> Scrape:
    """Of a service that has a pod on each node. A series is called by the node, for the pods come and go."""
    port = job.targets[0].instance.rpartition(":")[2]
    return {
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "namespaces": {"names": [hosts]},
                "selectors": [{"role": "pod", "label": f"{SERVICE}={job.job}"}],
            }
        ],
        "relabel_configs": [
            _copy(_meta("pod_ip"), "__address__", replacement=f"$1:{port}"),
            _copy(_meta("pod_node_name"), "node"),
            _copy(_meta("pod_node_name"), "instance", replacement=f"$1:{port}"),
            {"target_label": "system", "replacement": job.system},
        ],
    }


def _annotated(kind: str) -> list[Scrape]:
    """Only what asks for it; several ports of one pod become the one that it names."""
    return [
        {"action": "keep", "source_labels": [_says(kind, "scrape")], "regex": "true"},
        _copy(_says(kind, "path"), "__metrics_path__", "(.+)"),
        _copy(_says(kind, "scheme"), "__scheme__", "(https?)"),
    ]


def _address(host: str, kind: str, regex: str = r"(.+);(\d+)") -> Scrape:
    return {
        "source_labels": [host, _says(kind, "port")],
        "regex": regex,
        "replacement": "$1:$2",
        "target_label": "__address__",
    }


def _instance(name: str, kind: str) -> Scrape:
    return {"source_labels": [name, _says(kind, "port")], "separator": ":", "target_label": "instance"}


def _named(systems: Mapping[str, str], service: str) -> list[Scrape]:
    """Namespace, service and system, which is that of the namespace unless the pod says another one."""
    return [
        _copy(_meta("namespace"), "namespace"),
        _copy(service, "service"),
        *(_copy(_meta("namespace"), "system", namespace, system) for namespace, system in sorted(systems.items())),
        _copy(_meta(f"pod_label_{SYSTEM.replace('.', '_')}"), "system", "(.+)"),
    ]


def _says(kind: str, what: str) -> str:
    return _meta(f"{kind}_annotation_{ANNOTATION.replace('.', '_')}_{what}")


def _meta(name: str) -> str:
    return f"__meta_kubernetes_{name}"


def _copy(source: str, target: str, regex: str | None = None, replacement: str | None = None) -> Scrape:
    more = {"regex": regex, "replacement": replacement}
    return {
        "source_labels": [source],
        "target_label": target,
        **{key: value for key, value in more.items() if value is not None},
    }
