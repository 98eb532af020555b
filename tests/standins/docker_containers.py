"""Containers as the official provider makes, reads, changes and removes them."""

import base64
import contextlib
import grp
import io
import pwd
import tarfile
import time
from pathlib import Path

from docker import errors

from standins import docker_arguments as arguments
from standins.docker_arguments import MIB
from standins.docker_engine import Engine, Failed, Incomplete, engine_errors
from standins.wire import Props

_SECONDS_TO_END = 20 * 60
_LIMITS = ("cpuSet", "cpuShares", "maxRetryCount", "memory", "memoryReservation", "memorySwap", "restart")


def create(engine: Engine, inputs: Props) -> tuple[str, Props]:
    """Make it, copy its files, connect and start it; with `attach`, wait for its end. What fails later leaves it."""
    name = inputs["name"]
    try:
        engine.find_image(inputs["image"])
    except Failed as error:
        raise Failed(f"container {name}: Unable to create container with image {inputs['image']}: {error}") from error
    if "" in inputs.get("command", ()):
        raise Failed(f"container {name}: values for command may not be empty")
    with engine_errors(f"container {name}: Unable to create container"):
        identity = engine.client.create_container_from_config(arguments.body(inputs), name)["Id"]
    try:
        _connect(engine, identity, inputs.get("networksAdvanced", []))
        _upload(engine, identity, inputs.get("uploads", []))
        logs = _run(engine, identity, inputs)
    except Failed as error:
        raise Incomplete(identity, f"container {name}: {error}") from error
    seen = read(engine, identity, {**inputs, **logs}) or {}
    return identity, {**seen, "capabilities": inputs.get("capabilities")}


def read(engine: Engine, identity: str, state: Props) -> Props | None:
    """What the engine says of it, over the state; nothing if it is gone."""
    try:
        seen = engine.client.inspect_container(identity)
    except errors.NotFound:
        return None
    return {**state, "id": identity, **arguments.seen_as(seen, state)}


def update(engine: Engine, identity: str, state: Props, inputs: Props) -> Props:
    """Start it if it has to run again, and set its limits."""
    name = inputs["name"]
    if inputs["mustRun"] and not state.get("mustRun") and inputs["start"]:
        with engine_errors(f"container {name}: Unable to start container"):
            engine.client.start(identity)
    if any((state.get(argument) or 0) != (inputs.get(argument) or 0) for argument in _LIMITS):
        with engine_errors(f"container {name}: Unable to update a container"):
            # Zero leaves a limit as it is.
            engine.client.update_container(
                identity,
                cpu_shares=inputs.get("cpuShares", 0),
                cpuset_cpus=inputs.get("cpuSet", ""),
                mem_limit=inputs.get("memory", 0) * MIB,
                mem_reservation=inputs.get("memoryReservation", 0) * MIB,
                memswap_limit=arguments.swap(inputs),
                restart_policy=arguments.restart_policy(inputs),
            )
    return {}


def delete(engine: Engine, identity: str, state: Props) -> None:
    """Stop it, at once unless it has seconds of grace, and remove it with the volumes that have no name."""
    with engine_errors(f"container {state.get('name', identity)}: Error deleting container {identity}"):
        with contextlib.suppress(errors.NotFound):
            if not state.get("attach"):
                engine.client.stop(identity, timeout=state.get("destroyGraceSeconds") or 0)
        engine.remove(
            lambda: engine.client.remove_container(identity, v=state.get("removeVolumes", True), force=True),
            in_use="is already in progress",
        )


def _connect(engine: Engine, identity: str, networks: list[Props]) -> None:
    """From the default network to those that are named."""
    if not networks:
        return
    try:
        engine.client.disconnect_container_from_network(identity, "bridge")
    except errors.APIError as error:
        if "is not connected to" not in str(error.explanation):
            raise Failed(f"Unable to disconnect the default network: {error.explanation}") from error
    for network in networks:
        with engine_errors(f"Unable to connect to network '{network['name']}'"):
            engine.client.connect_container_to_network(
                identity, network["name"], aliases=network.get("aliases"), ipv4_address=network.get("ipv4Address")
            )


def _upload(engine: Engine, identity: str, uploads: list[Props]) -> None:
    """Each file by itself, from the root, through what is mounted, before the first start."""
    for upload in uploads:
        content = _content(upload)
        entry = tarfile.TarInfo(upload["file"])
        entry.mode = int(upload.get("permissions") or ("0744" if upload.get("executable") else "0644"), 8)
        entry.uid, entry.gid = _owner(upload)
        entry.size, entry.mtime = len(content), int(time.time())
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(entry, io.BytesIO(content))
        with engine_errors("Unable to upload volume content"):
            engine.client.put_archive(identity, "/", packed.getvalue())


def _owner(upload: Props) -> tuple[int, int]:
    """Numbers as they are, names as this machine knows them."""
    owner, group = (upload.get(name) or "0" for name in ("owner", "group"))
    try:
        uid = int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise Failed(f"error with the owner of upload {upload['file']}: {error}") from error
    return uid, gid


def _content(upload: Props) -> bytes:
    given = [name for name in ("content", "contentBase64", "source") if upload.get(name)]
    if not given:
        raise Failed("error with upload content: one of 'content', 'content_base64', or 'source' must be set")
    if len(given) > 1:
        raise Failed("error with upload content: only one of 'content', 'content_base64', or 'source' can be set")
    value = upload[given[0]]
    if given[0] == "contentBase64":
        return base64.b64decode(value)
    return Path(value).read_bytes() if given[0] == "source" else str(value).encode()


def _run(engine: Engine, identity: str, inputs: Props) -> Props:
    """Start it, and wait for its health or its end where that is asked."""
    if inputs["start"]:
        with engine_errors("Unable to start container"):
            engine.client.start(identity)
        if inputs.get("wait") and not engine.until(inputs["waitTimeout"], lambda: _is_healthy(engine, identity)):
            raise Failed("container failed to be in healthy state")
    return _end(engine, identity, logs=inputs.get("logs", False)) if inputs.get("attach") else {}


def _is_healthy(engine: Engine, identity: str) -> bool:
    with engine_errors("error inspecting container state"):
        health = engine.client.inspect_container(identity)["State"].get("Health")
    if health is None:
        raise Failed("you have supplied a 'wait' argument, but the container does not have a healthcheck defined")
    return bool(health["Status"] == "healthy")


def _end(engine: Engine, identity: str, *, logs: bool) -> Props:
    """What it had said when it ended. Its exit code is no failure."""
    with engine_errors("Unable to wait container end of execution"):
        if not engine.until(_SECONDS_TO_END, lambda: not engine.client.inspect_container(identity)["State"]["Running"]):
            raise Failed(f"Unable to wait container end of execution: it still runs after {_SECONDS_TO_END} s")
    if not logs:
        return {}
    with engine_errors("unable to read container logs"):
        return {"containerLogs": engine.client.logs(identity).decode(errors="replace")}
