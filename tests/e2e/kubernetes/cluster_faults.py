"""What goes wrong in a cluster, made on purpose: pods that are not ready, restart, or use up what they may use."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from standins.rehearse import ClusterGround

from stacks import images
from stacks.settings import Registry

_LOCKED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod(there: ClusterGround, script: str, **container: Any) -> dict[str, Any]:
    """The specification of a pod that Pod Security `restricted` admits, with a shell that runs the script."""
    image = images.reference("busybox", Registry(address=there.registry))
    resources = {"cpu": "100m", "memory": "32Mi"}
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "main",
                "image": image,
                "command": ["sh", "-c", script],
                "resources": {"limits": resources, "requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": _LOCKED,
                **container,
            }
        ],
    }


def single(name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    """A pod by itself."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": dict(spec)}


def faults(there: ClusterGround) -> dict[str, list[dict[str, Any]]]:
    """By alert of Phase 5, the objects that raise it."""
    never = {"exec": {"command": ["false"]}}
    stuck = {"matchLabels": {"app": "stuck"}}
    memory = pod(
        there,
        "dd if=/dev/zero of=/memory/used bs=1M count=28 && sleep 3600",
        volumeMounts=[{"name": "memory", "mountPath": "/memory"}],
    )
    memory["volumes"] = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    # On a node that is not there.
    homeless = {**pod(there, "sleep 3600"), "nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
    template = {"metadata": {"labels": {"app": "stuck"}}, "spec": homeless}
    return {
        "PodDown": [single("unready", pod(there, "sleep 3600", readinessProbe=never))],
        "PodRestartingTooOften": [single("restarting", pod(there, "sleep 1; exit 1"))],
        "HighCPUUsage": [single("busy", pod(there, "while :; do :; done"))],
        "HighMemoryUsage": [single("full", memory)],
        "DeploymentReplicaMismatch": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "stuck"},
                "spec": {"replicas": 1, "selector": stuck, "template": template},
            }
        ],
        "HPAMaxedOut": [
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "stuck"},
                "spec": {
                    "maxReplicas": 1,
                    "minReplicas": 1,
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "stuck"},
                },
            }
        ],
    }


def fill(disk: Path) -> None:
    """All but a twentieth of it."""
    with (disk / "used").open("wb") as file:
        file.write(bytes(int(shutil.disk_usage(disk).free * 0.95)))


@contextmanager
def small() -> Iterator[Path]:
    """A disk of its own for this machine, of eight megabytes, where everybody can see it."""
    with tempfile.TemporaryDirectory(prefix="watchstack-") as directory:
        Path(directory).chmod(0o755)
        image, place = Path(directory) / "image", Path(directory) / "disk"
        image.write_bytes(bytes(8 * 2**20))
        place.mkdir()
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(image)], check=True)
        subprocess.run(["/bin/mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["/bin/umount", str(place)], check=True)
