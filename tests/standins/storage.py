"""Volumes of a cluster of one node: a folder for every claim of a class of this provisioner.

What a provisioner of a cloud does for `standard` and `fixed`: makes a volume where a pod of the claim is placed, raises
it with its claim where the class allows that, and removes it with its claim. A size is a number, and nothing keeps it.
"""

import shutil
from collections.abc import Mapping
from typing import Any

from standins.control_plane import ControlPlane

PROVISIONER = "watchstack.dev/folders"

_VOLUMES = "/api/v1/persistentvolumes"
_CHANGE = {"Content-Type": "application/merge-patch+json"}
_SIZES: dict[str, int] = {"": 1, **{f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGTPE", 1)}}
_SIZES |= {letter: 10 ** (3 * power) for power, letter in enumerate("kMGTPE", 1)}

Object = Mapping[str, Any]


def provide(there: ControlPlane, node: str) -> None:
    """Do once what is to be done for the claims and volumes that there are."""
    classes = {each["metadata"]["name"]: each for each in _list(there, "/apis/storage.k8s.io/v1/storageclasses")}
    claims = _list(there, "/api/v1/persistentvolumeclaims")
    volumes = {each["metadata"]["name"]: each for each in _list(there, _VOLUMES)}
    for claim in claims:
        kind = classes.get(claim["spec"].get("storageClassName", ""))
        if kind is None or kind["provisioner"] != PROVISIONER:
            continue
        volume = volumes.get(_name(claim))
        if volume is None and _is_placed(claim, kind):
            _make(there, claim, kind, node)
        elif volume is not None and claim["status"].get("phase") == "Bound":
            _grow(there, claim, volume)
    for volume in volumes.values():
        if _is_released(volume):
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
            there.ask("DELETE", f"{_VOLUMES}/{volume['metadata']['name']}")


def _list(there: ControlPlane, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = there.ask("GET", path)["items"]
    return items


def _name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _is_placed(claim: Object, kind: Object) -> bool:
    """Whether it waits for a volume, and the scheduler has placed its first pod where the class waits for that."""
    if claim["metadata"].get("deletionTimestamp") or claim["spec"].get("volumeName"):
        return False
    waits = kind.get("volumeBindingMode") == "WaitForFirstConsumer"
    return not waits or "volume.kubernetes.io/selected-node" in claim["metadata"].get("annotations", {})


def _make(there: ControlPlane, claim: Object, kind: Object, node: str) -> None:
    """The kubelet gives the folder to the fsGroup of the first pod."""
    folder = there.directory / "volumes" / _name(claim)
    folder.mkdir(parents=True, exist_ok=True)
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    reference = {name: claim["metadata"][name] for name in ("namespace", "name", "uid")}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": kind["metadata"]["name"],
            "persistentVolumeReclaimPolicy": kind.get("reclaimPolicy", "Delete"),
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }
    there.ask("POST", _VOLUMES, json=volume)


def _grow(there: ControlPlane, claim: Object, volume: Object) -> None:
    """The server lets a claim grow only where its class allows it."""
    wanted = claim["spec"]["resources"]["requests"]["storage"]
    size = {"storage": wanted}
    if _bytes(wanted) > _bytes(volume["spec"]["capacity"]["storage"]):
        there.ask("PATCH", f"{_VOLUMES}/{_name(claim)}", json={"spec": {"capacity": size}}, headers=_CHANGE)
    if _bytes(wanted) > _bytes(claim["status"]["capacity"]["storage"]):
        where = {name: claim["metadata"][name] for name in ("namespace", "name")}
        path = there.path("v1", "PersistentVolumeClaim", **where) + "/status"
        there.ask("PATCH", path, json={"status": {"capacity": size, "conditions": None}}, headers=_CHANGE)


def _bytes(size: str) -> float:
    number = size.rstrip("kKMGTPEi")
    return float(number) * _SIZES[size.removeprefix(number)]


def _is_released(volume: Object) -> bool:
    ours = volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
    deleted: bool = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    return ours and deleted and volume.get("status", {}).get("phase") == "Released"
