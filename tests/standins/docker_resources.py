"""The Docker resources of the official provider: networks, volumes and images. Containers have a file of their own."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from docker import errors, types

from standins import docker_arguments as arguments
from standins import docker_containers as containers
from standins import docker_schema as schemas
from standins.docker_engine import Engine, Failed, Incomplete, engine_errors
from standins.docker_schema import Schema
from standins.wire import Props

__all__ = ["KINDS", "Engine", "Failed", "Incomplete", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A type of resource and what is done with it."""

    schema: Schema
    create: Callable[[Engine, Props], tuple[str, Props]]
    read: Callable[[Engine, str, Props], Props | None]
    update: Callable[[Engine, str, Props, Props], Props]
    delete: Callable[[Engine, str, Props], None]


def create_network(engine: Engine, inputs: Props) -> tuple[str, Props]:
    pools = [
        types.IPAMPool(pool.get("subnet"), pool.get("ipRange"), pool.get("gateway"), pool.get("auxAddress"))
        for pool in inputs.get("ipamConfigs", [])
    ]
    with engine_errors("Unable to create network"):
        made = engine.client.create_network(
            inputs["name"],
            driver=inputs.get("driver"),
            options=inputs.get("options"),
            ipam=types.IPAMConfig(driver=inputs["ipamDriver"], pool_configs=pools),
            check_duplicate=True,
            internal=inputs.get("internal", False),
            labels=arguments.labels(inputs),
            enable_ipv6=inputs.get("ipv6", False),
            attachable=inputs.get("attachable"),
        )
    return made["Id"], read_network(engine, made["Id"], inputs) or {}


def read_network(engine: Engine, identity: str, state: Props) -> Props | None:
    try:
        seen = engine.client.inspect_network(identity)
    except errors.NotFound:
        return None
    return {
        **state,
        "id": identity,
        "name": seen["Name"],
        "labels": _label_list(seen["Labels"]),
        "driver": seen["Driver"],
        "internal": seen["Internal"],
        "attachable": seen["Attachable"],
        "ingress": seen["Ingress"],
        "ipv6": seen["EnableIPv6"],
        "ipamDriver": seen["IPAM"]["Driver"],
        "ipamOptions": seen["IPAM"]["Options"] or {},
        "ipamConfigs": [
            {"gateway": pool.get("Gateway", ""), "ipRange": pool.get("IPRange", ""), "subnet": pool.get("Subnet", "")}
            for pool in seen["IPAM"]["Config"] or []
        ],
        "options": seen["Options"] or {},
        "scope": seen["Scope"],
    }


def delete_network(engine: Engine, identity: str, state: Props) -> None:  # noqa: ARG001
    with engine_errors("Unable to remove network"):
        engine.remove(lambda: engine.client.remove_network(identity), in_use="has active endpoints")


def create_volume(engine: Engine, inputs: Props) -> tuple[str, Props]:
    with engine_errors("Unable to create volume"):
        made = engine.client.create_volume(
            inputs["name"],
            driver=inputs.get("driver"),
            driver_opts=inputs.get("driverOpts"),
            labels=arguments.labels(inputs),
        )
    return made["Name"], read_volume(engine, made["Name"], inputs) or {}


def read_volume(engine: Engine, identity: str, state: Props) -> Props | None:
    try:
        seen = engine.client.inspect_volume(identity)
    except errors.NotFound:
        return None
    return {
        **state,
        "id": identity,
        "name": seen["Name"],
        "labels": _label_list(seen["Labels"]),
        "driver": seen["Driver"],
        "driverOpts": seen["Options"] or {},
        "mountpoint": seen["Mountpoint"],
    }


def delete_volume(engine: Engine, identity: str, state: Props) -> None:  # noqa: ARG001
    with engine_errors("Unable to remove volume"):
        engine.remove(lambda: engine.client.remove_volume(identity, force=True), in_use="volume is in use")


def create_image(engine: Engine, inputs: Props) -> tuple[str, Props]:
    name = inputs["name"]
    if build := inputs.get("build"):
        _build(engine, name, build)
    try:
        engine.find_image(name, inputs.get("platform"))
    except Failed as error:
        raise Failed(f"Unable to read Docker image into resource: {error}") from error
    outputs = read_image(engine, "", inputs) or {}
    return outputs["id"], outputs


def read_image(engine: Engine, identity: str, state: Props) -> Props | None:  # noqa: ARG001
    try:
        seen = engine.client.inspect_image(state["name"])
    except errors.NotFound:
        return None
    return {
        **state,
        "id": seen["Id"] + state["name"],
        "imageId": seen["Id"],
        "repoDigest": _repo_digest(state["name"], seen["RepoDigests"] or []),
    }


def update_image(engine: Engine, identity: str, state: Props, inputs: Props) -> Props:  # noqa: ARG001
    return create_image(engine, {name: value for name, value in inputs.items() if name != "build"})[1]


def delete_image(engine: Engine, identity: str, state: Props) -> None:  # noqa: ARG001
    if state.get("keepLocally"):
        return
    with engine_errors("Unable to remove Docker image"), contextlib.suppress(errors.ImageNotFound):
        engine.client.remove_image(state["name"], force=state.get("forceRemove", False))


def _repo_digest(name: str, digests: list[str]) -> str:
    """That of the repository the image was asked from."""
    repository = name.split(":", maxsplit=1)[0]
    return next((digest for digest in digests if digest.startswith(repository)), digests[0] if digests else "")


def _build(engine: Engine, name: str, build: Mapping[str, Any]) -> None:
    """With the classic builder, which needs nothing beside the engine."""
    with engine_errors("Error running legacy build"):
        messages = engine.client.build(
            path=build["context"],
            dockerfile=build["dockerfile"],
            tag=name,
            buildargs=build.get("buildArgs"),
            labels=build.get("labels"),
            target=build.get("target"),
            network_mode=build.get("networkMode"),
            nocache=build.get("noCache", False),
            pull=build.get("pullParent", False),
            rm=build["remove"],
            forcerm=build.get("forceRemove", False),
            platform=build.get("platform"),
            decode=True,
        )
        seen = list(messages)
    failure = next((message["error"] for message in seen if "error" in message), None)
    if failure:
        text = "".join(message.get("stream", "") for message in seen)
        raise Failed(f"Error running legacy build: {failure}\n\n{text}")
    for tag in build.get("tags", []):
        engine.client.tag(name, tag)


def _label_list(found: Mapping[str, str] | None) -> list[Props]:
    return [{"label": label, "value": value} for label, value in sorted((found or {}).items())]


def _nothing(engine: Engine, identity: str, state: Props, inputs: Props) -> Props:  # noqa: ARG001
    """All changes force a new one."""
    return {}


KINDS = {
    "docker:index/network:Network": Kind(schemas.NETWORK, create_network, read_network, _nothing, delete_network),
    "docker:index/volume:Volume": Kind(schemas.VOLUME, create_volume, read_volume, _nothing, delete_volume),
    "docker:index/remoteImage:RemoteImage": Kind(schemas.IMAGE, create_image, read_image, update_image, delete_image),
    "docker:index/container:Container": Kind(
        schemas.CONTAINER, containers.create, containers.read, containers.update, containers.delete
    ),
}
