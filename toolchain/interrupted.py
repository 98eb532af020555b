"""What a run that was killed leaves in Pulumi's state and on the engine, and what puts it right before the next one.

It is seen by the files of a state that this machine keeps: the lock of a process that is no more, operations that were
begun and not ended, or a history whose last run failed. A state that is kept elsewhere has to be told by its user.
"""

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

_FILES = "file://"
# The names of what Pulumi writes end so: compressed where toolchain/pulumi.py or a user has it do that.
_FORMS = (".json", ".json.gz", ".json.zst")


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """`since` is when the first of the runs that did not end well began.

    `locks` are files of locks of processes that died, `torn` those that were being written beside the state: a kill may
    leave them empty, and then Pulumi does not read the state.
    """

    since: datetime | None
    locks: tuple[Path, ...]
    torn: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A run that is under way, as its lock says it."""

    user: str
    host: str
    pid: int
    since: datetime

    def __str__(self) -> str:
        return f"{self.user} on {self.host}, process {self.pid}, since {self.since:%Y-%m-%d %H:%M:%S %Z}"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a state says of its engines, which are at `hosts`.

    `ids` are of all that is there, `begun` names of what was about to be made, `unfinished` ids of what was made and
    then failed, or was about to be removed.
    """

    hosts: tuple[str | None, ...]
    ids: frozenset[str]
    begun: frozenset[str]
    unfinished: frozenset[str]


def find(backend: str, project: str, stack: str) -> Interrupted | None:
    """Whether the last run on a stack did not end well. None while one is under way, here or on another machine."""
    if not backend.startswith(_FILES):
        return None
    state = _state(backend)
    place, states = _locks(state, project, stack), state / "stacks" / project
    locks = [_read(file) for file in place.glob("*.json")]
    if any(_lives(lock) for lock in locks):
        return None
    begun = [datetime.fromisoformat(lock["timestamp"]) for lock in locks]
    begun += [datetime.fromtimestamp(run["startTime"], UTC) for run in _failed(state / "history" / project / stack)]
    if not begun and not any(_pending(file) for file in _files(states, stack)):
        return None
    empty = [file for file in states.glob(f"{stack}.json*.attrs") if file.stat().st_size == 0]
    torn = (*empty, *states.glob(f"{stack}.json*.tmp"))
    return Interrupted(since=min(begun, default=None), locks=tuple(place.glob("*.json*")), torn=torn)


def holder(backend: str, project: str, stack: str) -> Holder | None:
    """Who is at a stack now, as far as the files of a state on this machine tell."""
    if not backend.startswith(_FILES):
        return None
    locks = [_read(file) for file in _locks(_state(backend), project, stack).glob("*.json")]
    held = next((lock for lock in locks if _lives(lock)), None)
    if held is None:
        return None
    return Holder(
        user=held["username"],
        host=held["hostname"],
        pid=held["pid"],
        since=datetime.fromisoformat(held["timestamp"]).astimezone(UTC),
    )


def stacks(state: Path) -> list[str]:
    """The names of the stacks whose state is in a directory."""
    return sorted(
        {file.name.partition(".json")[0] for place in state.glob(".pulumi/stacks/*") for file in _files(place, "*")}
    )


def known(deployment: Mapping[str, Any]) -> Known | None:
    """What an exported state says of its engines; None if it has none."""
    resources = deployment.get("resources") or ()
    hosts = [one["inputs"].get("host") for one in resources if one["type"] == "pulumi:providers:docker"]
    if not hosts:
        return None
    there = [one for one in resources if one["type"].startswith("docker:") and one.get("id")]
    pending = deployment.get("pending_operations") or ()
    creating, deleting = (
        [one["resource"] for one in pending if one["type"] == kind and one["resource"]["type"].startswith("docker:")]
        for kind in ("creating", "deleting")
    )
    failed = [one for one in there if one.get("initErrors")]
    return Known(
        hosts=tuple(dict.fromkeys(hosts)),
        ids=frozenset(one["id"] for one in there),
        begun=frozenset(one["inputs"]["name"] for one in creating),
        unfinished=frozenset(one["id"] for one in [*failed, *deleting]),
    )


@dataclass(frozen=True, kw_only=True)
class Begun:
    """Objects of a cluster that a run was about to make, by their manifests; `context` is that of the kubeconfig."""

    context: str | None
    manifests: tuple[Mapping[str, Any], ...]


def context(deployment: Mapping[str, Any]) -> tuple[str | None] | None:
    """The context of the cluster that an exported state is of, in a tuple; None if it is of none."""
    found = [one for one in deployment.get("resources") or () if one["type"] == "pulumi:providers:kubernetes"]
    return (found[0]["inputs"].get("context"),) if found else None


def begun(deployment: Mapping[str, Any]) -> Begun | None:
    """What an exported state says was begun in a cluster; None if it is of none, or nothing was."""
    of_cluster = context(deployment)
    pending = [one["resource"] for one in deployment.get("pending_operations") or () if one["type"] == "creating"]
    made = [one["inputs"] for one in pending if one["type"].startswith("kubernetes:")]
    if not of_cluster or not made:
        return None
    return Begun(context=of_cluster[0], manifests=tuple(made))


def _state(backend: str) -> Path:
    return Path(backend.removeprefix(_FILES)).expanduser() / ".pulumi"


def _locks(state: Path, project: str, stack: str) -> Path:
    return state / "locks" / "organization" / project / stack


def _lives(lock: Mapping[str, Any]) -> bool:
    """A process of another machine is taken to live. One that is younger than the lock is another one."""
    if lock["hostname"] != socket.gethostname():
        return True
    try:
        process = psutil.Process(lock["pid"])
        started, ended = process.create_time(), process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return not ended and started <= datetime.fromisoformat(lock["timestamp"]).timestamp() + 1


def _failed(history: Path) -> Iterator[Mapping[str, Any]]:
    """The runs after the last one that succeeded, newest first."""
    for file in sorted(_files(history, "*.history"), reverse=True):
        run = _read(file)
        if run["result"] == "succeeded":
            return
        yield run


def _pending(state: Path) -> bool:
    latest = _read(state)["checkpoint"].get("latest")
    return bool(latest and latest.get("pending_operations"))


def _files(place: Path, name: str) -> list[Path]:
    return [file for form in _FORMS for file in place.glob(f"{name}{form}")]


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(plain(file))
    return content


def plain(file: Path) -> bytes:
    """What a file of a state holds, however it is compressed."""
    content = file.read_bytes()
    if file.suffix == ".gz":
        return gzip.decompress(content)
    if file.suffix == ".zst":
        import zstandard  # noqa: PLC0415 - not before an environment is there

        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return content
