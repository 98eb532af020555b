"""The Kubernetes target: plain objects, admitted under `restricted`, their files updated in place.

What the objects are, `manifests.py` says; here they become resources, in an order, with their secrets.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import Input, ResourceOptions

from stacks.plan import Plan
from stacks.service import Service
from stacks.strict import Refused
from stacks.targets import cluster, containers, manifests, pods, secrets
from stacks.targets.manifests import Unit
from stacks.targets.pods import Object
from stacks.units import seconds

# What is lost with what has it.
_DATA = ("Namespace", "PersistentVolumeClaim")


class _Unit(pulumi.ComponentResource):
    """What belongs to a service, below it in the preview."""

    def __init__(self, name: str) -> None:
        super().__init__("watchstack:kubernetes:Service", name)


class _Object(pulumi.CustomResource):
    """An object by its manifest. The package has a class for each kind, and a tenth of a second of imports for each."""

    def __init__(self, name: str, manifest: Mapping[str, Input[Any]], options: ResourceOptions) -> None:
        version = str(manifest["apiVersion"])
        token = f"kubernetes:{version if '/' in version else f'core/{version}'}:{manifest['kind']}"
        super().__init__(token, name, dict(manifest), options)


def deploy(plan: Plan) -> None:
    """Register the resources of an environment. Refused if the cluster does not answer, or cannot take it."""
    _demand_image(plan)
    there = cluster.demand(plan)
    for line in there.lost:
        pulumi.log.warn(line)
    pulumi.export("data", containers.fate(plan))
    adopting = plan.settings.kubernetes.adopt or None
    provider = kubernetes.Provider(
        "cluster",
        context=plan.settings.kubernetes.context,
        upsert_existing_objects=adopting,
        enable_patch_force=adopting,
        enable_server_side_apply=True,
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )
    shared = _shared(plan, provider)
    last: dict[str, pulumi.Resource] = {}
    for unit in manifests.units(plan):
        # One replica after the other: what they do together goes on.
        after = [*shared, *([last[unit.service.kind]] if unit.service.kind in last else [])]
        last[unit.service.kind] = _deploy(plan, provider, unit, after, there.generated)
    pulumi.export("port_forwards", manifests.port_forwards(plan))


def _demand_image(plan: Plan) -> None:
    ours = [service.name for service in plan.services if service.product == containers.PROGRAMS]
    if ours and plan.settings.registry is None:
        raise Refused(
            f"watchstack:registry: missing; {', '.join(ours)} run from {pods.image(plan, containers.PROGRAMS)}, which "
            "no public registry has: build it with workloads/Dockerfile, push it, and name the registry"
        )


def _shared(plan: Plan, provider: kubernetes.Provider) -> list[pulumi.Resource]:
    places: dict[str, pulumi.Resource] = {}
    made: list[pulumi.Resource] = []
    for manifest in manifests.shared(plan):
        metadata = manifest["metadata"]
        place = places.get(metadata.get("namespace", ""))
        one = _Object(
            _address(manifest), _hidden(manifest), _options(plan, provider, manifest, [place] if place else [])
        )
        if manifest["kind"] == "Namespace":
            places[metadata["name"]] = one
        made.append(one)
    return made


def _deploy(
    plan: Plan,
    provider: kubernetes.Provider,
    unit: Unit,
    after: Sequence[pulumi.Resource],
    generated: Mapping[str, str],
) -> pulumi.Resource:
    service, above = unit.service, _Unit(unit.service.name)

    def made(manifest: Object, needs: Iterable[pulumi.Resource]) -> pulumi.Resource:
        whole = _with_values(plan, service, manifest, generated) if manifest["kind"] == "Secret" else manifest
        return _Object(_address(whole), _hidden(whole), _options(plan, provider, whole, needs, above))

    before = [made(manifest, after) for manifest in unit.before]
    # Its names first: the pods of a StatefulSet have theirs from the Service.
    names = [made(manifest, after) for manifest in unit.beside]
    running = made(unit.workload, [*before, *names])
    above.register_outputs({})
    return running


def _address(manifest: Object) -> str:
    """The name of a resource: one for each object of a cluster."""
    metadata = manifest["metadata"]
    return "/".join([manifest["kind"], *([metadata["namespace"]] if "namespace" in metadata else []), metadata["name"]])


def _options(
    plan: Plan,
    provider: kubernetes.Provider,
    manifest: Object,
    needs: Iterable[pulumi.Resource],
    parent: pulumi.Resource | None = None,
) -> ResourceOptions:
    """Names are fixed: the old one goes before the new one comes."""
    # Pulumi knows no days.
    patience = f"{seconds(plan.settings.kubernetes.patience):.0f}s"
    secret = manifest["kind"] == "Secret"
    return ResourceOptions(
        provider=provider,
        parent=parent,
        depends_on=[*needs],
        delete_before_replace=True,
        protect=manifest["kind"] in _DATA and containers.protected(plan),
        additional_secret_outputs=["data", "stringData"] if secret else None,
        ignore_changes=_absent(manifest) if secret else None,
        custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
    )


def _absent(secret: Object) -> list[str]:
    """Of a Secret that this machine does not have all of, a preview says nothing. The provider makes `data` of it."""
    return ["data", "stringData"] if None in secret["stringData"].values() else []


def _hidden(manifest: Object) -> Mapping[str, Input[Any]]:
    """A Secret with its texts out of sight."""
    if manifest["kind"] != "Secret":
        return manifest
    return {**manifest, "stringData": {key: secrets.hidden(text) for key, text in manifest["stringData"].items()}}


def _with_values(plan: Plan, service: Service, manifest: Object, generated: Mapping[str, str]) -> Object:
    given = secrets.given(plan, service)
    made = {one.path: one.text(generated[one.secret]) for one in service.secrets if one.generated}
    return {**manifest, "stringData": {pods.key(path): text for path, text in sorted({**given, **made}.items())}}
