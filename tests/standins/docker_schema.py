"""Which arguments the Docker resources of the official provider have, and what a change of one means."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from standins.wire import SECRET, Props, has_secret

# Lists whose order says nothing.
_UNORDERED = {
    *("adds", "aliases", "devices", "dns", "drops", "envs", "groupAdds", "hosts", "ipamConfigs", "labels", "mounts"),
    *("networksAdvanced", "pullTriggers", "securityOpts", "ulimits", "uploads", "volumes"),
}
# Another order of these alone is no change, but they are compared one by one.
_ORDERED_BY_THE_ENGINE = {"ports"}


@dataclass(frozen=True)
class Schema:
    """How the arguments of a type of resource take part in a change.

    `computed`: where the program says nothing, the engine decides and that is no change; `in_place`: all others force a
    new resource; `nested`: defaults within the elements of a list or in a block; `expected`: what a resource that is
    not complete lacks, which is a change at each update; `checks`: what a text has to match.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    in_place: frozenset[str] = frozenset()
    expected: frozenset[str] = frozenset()
    checks: Mapping[str, str] = field(default_factory=dict)
    delete_first: bool = False
    named: bool = True


NETWORK = Schema(
    defaults={"ipamDriver": "default"},
    computed=frozenset({"driver", "id", "internal", "ipamConfigs", "options", "scope"}),
)
VOLUME = Schema(computed=frozenset({"driver", "id", "mountpoint"}))
IMAGE = Schema(
    nested={"build": {"dockerfile": "Dockerfile", "remove": True}},
    computed=frozenset({"id", "imageId", "repoDigest"}),
    in_place=frozenset({"forceRemove", "keepLocally"}),
    named=False,
)
CONTAINER = Schema(
    defaults={
        "containerReadRefreshTimeoutMilliseconds": 15000,
        "mustRun": True,
        "networkMode": "bridge",
        "removeVolumes": True,
        "restart": "no",
        "start": True,
        "waitTimeout": 60,
    },
    nested={
        "devices": {"permissions": "rwm"},
        "healthcheck": {"interval": "0s", "startInterval": "0s", "startPeriod": "0s", "timeout": "0s"},
        "ports": {"ip": "0.0.0.0", "protocol": "tcp"},  # noqa: S104
    },
    computed=frozenset(
        {
            *("bridge", "command", "containerLogs", "entrypoints", "envs", "exitCode", "healthcheck", "hostname", "id"),
            *("init", "ipcMode", "labels", "logDriver", "networkDatas", "platform", "runtime", "securityOpts"),
            *("shmSize", "stopSignal", "stopTimeout", "user", "workingDir"),
        }
    ),
    expected=frozenset({"networkDatas"}),
    # `tmpfs` and `init` are on this list and a change of them does nothing. `healthcheck` left it with version 5.2.0.
    in_place=frozenset(
        {
            *("attach", "containerReadRefreshTimeoutMilliseconds", "cpuPeriod", "cpuQuota", "cpuSet", "cpuShares"),
            *("destroyGraceSeconds", "init", "logs", "maxRetryCount", "memory", "memoryReservation", "memorySwap"),
            *("mustRun", "removeVolumes", "restart", "rm", "start", "tmpfs", "wait", "waitTimeout"),
        }
    ),
    checks={
        "restart": r"no|on-failure|always|unless-stopped",
        "uploads.permissions": r"0[0-7]{3}",
        "volumes.hostPath": r"/.*",
        "mounts.type": r"bind|volume|tmpfs",
    },
    delete_first=True,
)


def with_defaults(schema: Schema, inputs: Props, random_name: str) -> Props:
    """The inputs with what the program left out; `__defaults` names it."""
    given = {name: value for name, value in inputs.items() if name != "__defaults"}
    left_out = {name: value for name, value in schema.defaults.items() if name not in given}
    if schema.named and "name" not in given:
        left_out["name"] = random_name
    for name, defaults in schema.nested.items():
        if name in given:
            given[name] = _nested_defaults(given[name], defaults)
    return {**given, **left_out, "__defaults": sorted(left_out)}


def _nested_defaults(value: Any, defaults: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_nested_defaults(item, defaults) for item in value]
    return {**defaults, **value} if isinstance(value, dict) else value


def changes(schema: Schema, state: Props, inputs: Props) -> Iterator[tuple[str, str, bool]]:
    """What differs: the path, `ADD`, `DELETE` or `UPDATE`, and whether it forces a new resource."""
    for name in sorted((state.keys() | inputs.keys() | schema.expected) - {"__defaults"}):
        old, new = state.get(name), inputs.get(name)
        if name in schema.computed and is_empty(new):
            if name in schema.expected and old is None:
                yield name, "ADD", False
            continue
        for path, kind in _differences(name, name, old, new):
            yield path, kind, name not in schema.in_place


def _differences(path: str, name: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    if _canonical(name, old) == _canonical(name, new):
        return
    if is_nothing(old) or is_nothing(new):
        yield path, "ADD" if is_nothing(old) else "DELETE"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{path}.{key}", key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _elements(path, name, old, new)
    else:
        yield path, "UPDATE"


def _elements(path: str, name: str, old: list[Any], new: list[Any]) -> Iterator[tuple[str, str]]:
    """Element by element; where order says nothing, only those without an equal on the other side."""
    olds, news = dict(enumerate(old)), dict(enumerate(new))
    if name in _UNORDERED:
        before, after = ([_canonical("", item) for item in side] for side in (old, new))
        olds = {index: item for index, item in olds.items() if before[index] not in after}
        news = {index: item for index, item in news.items() if after[index] not in before}
    for index in sorted(olds.keys() | news.keys()):
        if name in _UNORDERED and index in olds and index in news:
            yield f"{path}[{index}]", "UPDATE"
        else:
            yield from _differences(f"{path}[{index}]", "", olds.get(index), news.get(index))


def _canonical(name: str, value: Any) -> Any:
    """The same for what means the same: nothing and the zero values, and orders that say nothing."""
    if isinstance(value, dict):
        kept = {key: _canonical(key, item) for key, item in value.items() if not is_empty(item) and key != "__defaults"}
        return kept or None
    if isinstance(value, list):
        items = [_canonical("", item) for item in value]
        return (sorted(items, key=json.dumps) if name in _UNORDERED | _ORDERED_BY_THE_ENGINE else items) or None
    return None if is_empty(value) else value


def is_nothing(value: Any) -> bool:
    """Whether it is left out, or a list or a block without anything in it."""
    return value is None or value in ([], {})


def is_empty(value: Any) -> bool:
    """Whether this is a zero value, which is the same as none."""
    return is_nothing(value) or value in ("", 0, False)


def keep_secrets(marked: Props, outputs: Props) -> Props:
    """The properties, secret as a whole where a part of the one with that name was."""
    secret = {name for name, value in marked.items() if has_secret(value)}
    return {name: {**SECRET, "value": value} if name in secret else value for name, value in outputs.items()}
