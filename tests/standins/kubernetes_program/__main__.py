"""One of each Kubernetes resource as Watchstack uses them. `settings` of the stack is what a test changes."""

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

settings = pulumi.Config().require_object("settings")
name = settings["name"]
given = {
    "enable_server_side_apply": True,
    "enable_config_map_mutable": True,
    "enable_secret_mutable": True,
    **settings["provider"],
}
provider = kubernetes.Provider("cluster", kubeconfig=settings["kubeconfig"], **given)
namespace = kubernetes.core.v1.Namespace(
    "namespace", metadata={"name": name}, opts=pulumi.ResourceOptions(provider=provider)
)


def metadata(kind: str, **more: Any) -> dict[str, Any]:
    """The name, labels and annotations of an object."""
    given = {"name": f"{name}-{kind}", "labels": {"watchstack.environment": name, **settings["labels"]}, **more}
    annotations = settings["annotations"].get(kind)
    return {**given, "annotations": annotations} if annotations else given


def local(kind: str) -> dict[str, Any]:
    """Of an object in the namespace."""
    return metadata(kind, namespace=namespace.metadata["name"])


def options(kind: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        provider=provider,
        parent=namespace,
        ignore_changes=settings["ignore"].get(kind),
        **settings["options"].get(kind, {}),
    )


def template(kind: str) -> dict[str, Any]:
    """A pod that the policy `restricted` admits."""
    container = {
        "name": "main",
        "image": settings["image"],
        "command": ["sleep", "600"],
        "resources": {"requests": {"cpu": "0.05", "memory": "1024Ki"}, "limits": {"memory": "1024Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "etc", "mountPath": "/etc/watchstack", "readOnly": True}],
    }
    return {
        "metadata": {"labels": {"app": kind}},
        "spec": {
            "hostNetwork": False,
            "automountServiceAccountToken": False,
            "priorityClassName": f"{name}-priority",
            "serviceAccountName": f"{name}-account",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [
                {"name": "etc", "configMap": {"name": f"{name}-config"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "1024Ki"}},
            ],
        },
    }


def selector(kind: str) -> dict[str, Any]:
    return {"matchLabels": {"app": kind}}


rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
subjects = [{"kind": "ServiceAccount", "name": f"{name}-account", "namespace": name}]
group = "rbac.authorization.k8s.io"
makers: dict[str, Any] = {
    "account": lambda n: kubernetes.core.v1.ServiceAccount(
        n, metadata=local(n), automount_service_account_token=False, opts=options(n)
    ),
    "role": lambda n: kubernetes.rbac.v1.Role(n, metadata=local(n), rules=rules, opts=options(n)),
    "role-binding": lambda n: kubernetes.rbac.v1.RoleBinding(
        n,
        metadata=local(n),
        role_ref={"apiGroup": group, "kind": "Role", "name": f"{name}-{settings['role']}"},
        subjects=subjects,
        opts=options(n),
    ),
    "cluster-role": lambda n: kubernetes.rbac.v1.ClusterRole(n, metadata=metadata(n), rules=rules, opts=options(n)),
    "cluster-role-binding": lambda n: kubernetes.rbac.v1.ClusterRoleBinding(
        n,
        metadata=metadata(n),
        role_ref={"apiGroup": group, "kind": "ClusterRole", "name": f"{name}-cluster-role"},
        subjects=subjects,
        opts=options(n),
    ),
    "priority": lambda n: kubernetes.scheduling.v1.PriorityClass(
        n, metadata=metadata(n), value=settings["priority"], global_default=False, opts=options(n)
    ),
    "config": lambda n: kubernetes.core.v1.ConfigMap(
        n, metadata=local(n), data=settings["data"], immutable=settings["immutable"], opts=options(n)
    ),
    "secret": lambda n: kubernetes.core.v1.Secret(
        n, metadata=local(n), type="Opaque", string_data={"token": settings["token"]}, opts=options(n)
    ),
    "claim": lambda n: kubernetes.core.v1.PersistentVolumeClaim(
        n,
        metadata=local(n),
        spec={
            "accessModes": [settings["access"]],
            "storageClassName": settings["class"],
            "resources": {"requests": {"storage": settings["storage"]}},
        },
        opts=options(n),
    ),
    "service": lambda n: kubernetes.core.v1.Service(
        n,
        metadata=local(n),
        spec={"selector": {"app": "stateful"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        opts=options(n),
    ),
    "headless": lambda n: kubernetes.core.v1.Service(
        n,
        metadata=local(n),
        spec={"clusterIP": "None", "selector": {"app": "stateful"}, "ports": [{"name": "http", "port": 80}]},
        opts=options(n),
    ),
    "stateful": lambda n: kubernetes.apps.v1.StatefulSet(
        n,
        metadata=local(n),
        spec={
            "replicas": settings["replicas"],
            "serviceName": f"{name}-{settings['headless']}",
            "selector": selector(n),
            "template": template(n),
        },
        opts=options(n),
    ),
    "deployment": lambda n: kubernetes.apps.v1.Deployment(
        n,
        metadata=local(n),
        spec={"replicas": settings["replicas"], "selector": selector(n), "template": template(n)},
        opts=options(n),
    ),
    "daemon": lambda n: kubernetes.apps.v1.DaemonSet(
        n, metadata=local(n), spec={"selector": selector(n), "template": template(n)}, opts=options(n)
    ),
    "job": lambda n: kubernetes.batch.v1.Job(
        n,
        metadata=local(n),
        spec={
            "completions": settings["completions"],
            "parallelism": settings["completions"],
            "backoffLimit": 0,
            "template": {**template(n), "spec": {**template(n)["spec"], "restartPolicy": "Never"}},
        },
        opts=options(n),
    ),
    "budget": lambda n: kubernetes.policy.v1.PodDisruptionBudget(
        n, metadata=local(n), spec={"maxUnavailable": 1, "selector": selector("stateful")}, opts=options(n)
    ),
    "policy": lambda n: kubernetes.networking.v1.NetworkPolicy(
        n, metadata=local(n), spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}, opts=options(n)
    ),
    "ingress": lambda n: kubernetes.networking.v1.Ingress(
        n,
        metadata=local(n),
        spec={
            "rules": [
                {
                    "host": "standin.test",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": f"{name}-service", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ]
        },
        opts=options(n),
    ),
}
for kind, make in makers.items():
    if settings["kinds"] is None or kind in settings["kinds"]:
        make(kind)
if settings["automatic"]:
    automatic = kubernetes.core.v1.ConfigMap(
        "automatic",
        metadata={"namespace": namespace.metadata["name"]},
        data=settings["data"],
        opts=options("automatic"),
    )
    pulumi.export("automatic", automatic.metadata["name"])
