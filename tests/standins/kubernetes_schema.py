"""What the official Kubernetes provider makes of inputs and of live objects: one form, and their differences."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Any

from kubernetes.utils.quantity import parse_quantity
from pulumi.runtime import rpc

from standins.wire import SECRET, Props, has_secret, is_secret

Path = tuple[str | int, ...]

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
# What the API's types leave out where it is nothing, false or zero; of other fields these are values like any.
_NO_ZERO = {
    *("failureThreshold", "globalDefault", "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds"),
    *("minReadySeconds", "nodePort", "paused", "periodSeconds", "publishNotReadyAddresses", "readOnly", "stdin"),
    *("stdinOnce", "successThreshold", "timeoutSeconds", "tty"),
}
_EMPTY_IS_A_VALUE = {"ingressClassName", "namespace", "storageClassName"}
_SERVER_SETS = {
    *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields"),
    *("resourceVersion", "uid"),
}
# Beside these an import takes all that is live.
_NO_INPUTS = {"status"}
_NO_INPUT_ANNOTATIONS = {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}


@dataclass(frozen=True)
class Kind:
    """A type of resource: the version of its API, and which fields force a new object."""

    api_version: str
    forces: tuple[str, ...] = ()
    namespaced: bool = True


_SELECTOR = ("spec.selector",)
# Other kinds are refused rather than done in a way that the official provider might not.
KINDS = {
    "Namespace": Kind("v1", namespaced=False),
    "ServiceAccount": Kind("v1"),
    "Role": Kind("rbac.authorization.k8s.io/v1"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", ("roleRef",)),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", namespaced=False),
    "ClusterRoleBinding": Kind("rbac.authorization.k8s.io/v1", ("roleRef",), namespaced=False),
    "PriorityClass": Kind("scheduling.k8s.io/v1", namespaced=False),
    "ConfigMap": Kind("v1"),
    "Secret": Kind("v1", ("type",)),
    "PersistentVolumeClaim": Kind(
        "v1", ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName")
    ),
    "Service": Kind("v1", ("spec.clusterIP",)),
    "StatefulSet": Kind(
        "apps/v1",
        (
            *("spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName"),
            "spec.volumeClaimTemplates",
        ),
    ),
    "Deployment": Kind("apps/v1", _SELECTOR),
    "DaemonSet": Kind("apps/v1", _SELECTOR),
    "Job": Kind("batch/v1", ("spec.completions", "spec.parallelism", "spec.selector", "spec.template")),
    "PodDisruptionBudget": Kind("policy/v1"),
    "NetworkPolicy": Kind("networking.k8s.io/v1"),
    "Ingress": Kind("networking.k8s.io/v1"),
}


@dataclass(frozen=True)
class Schema:
    """The types of the API, from its OpenAPI document; without one, inputs stay as they are."""

    definitions: Mapping[str, Any] = field(default_factory=dict)

    def normal(self, inputs: Props) -> Props:
        """The inputs as the API would give them back, without what it alone sets."""
        if not has_unknown(inputs):
            inputs = _encoded(inputs) if inputs.get("kind") == "Secret" else self._shaped(inputs)
        metadata = {key: value for key, value in inputs["metadata"].items() if key not in _SERVER_SETS}
        return {**inputs, "metadata": metadata}

    def _shaped(self, inputs: Props) -> Props:
        definition = self._definition(inputs.get("apiVersion"), inputs.get("kind"))
        try:
            return dict(self._typed(definition, inputs)) if definition else inputs
        except ValueError:
            # The API server says what is wrong.
            return inputs

    def _definition(self, api_version: Any, kind: Any) -> Any:
        group, _, version = str(api_version).rpartition("/")
        wanted = {"group": group, "version": version, "kind": kind}
        return next((d for d in self.definitions.values() if wanted in d.get(_KIND_OF_DEFINITION, ())), None)

    def _typed(self, schema: Props, value: Any) -> Any:
        name = schema.get("$ref", "").rpartition("/")[2]
        if name == _QUANTITY:
            return quantity(value)
        schema = self.definitions[name] if name else schema
        _require_type(schema, value)
        if isinstance(value, list):
            return [self._typed(schema.get("items", {}), item) for item in value]
        if not isinstance(value, dict):
            return value
        if "properties" not in schema:
            return {key: self._typed(schema.get("additionalProperties", {}), item) for key, item in value.items()}
        fields = schema["properties"]
        typed = {k: self._typed(fields[k], item) for k, item in value.items() if k in fields and item is not None}
        return {key: item for key, item in typed.items() if not _is_left_out(key, item, fields[key])}


_KIND_OF_DEFINITION = "x-kubernetes-group-version-kind"


def _require_type(schema: Props, value: Any) -> None:
    wanted = _TYPES.get(schema.get("type", ""))
    if wanted is None or schema.get("format") == "int-or-string":
        return
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is no {schema['type']}")


def _is_left_out(key: str, value: Any, schema: Props) -> bool:
    if value == {}:
        return "additionalProperties" in schema
    if value == "":
        return key not in _EMPTY_IS_A_VALUE
    return value == [] or (key in _NO_ZERO and not value)


def _encoded(inputs: Props) -> Props:
    """A Secret with all its values in `data`, in the only way to encode them."""
    data = {key: _recoded(value) for key, value in (inputs.get("data") or {}).items()}
    data |= {key: base64.b64encode(value.encode()).decode() for key, value in (inputs.get("stringData") or {}).items()}
    rest = {key: value for key, value in inputs.items() if key not in {"data", "stringData"}}
    return {**rest, "data": data} if data or "data" in inputs else rest


def _recoded(value: Any) -> Any:
    try:
        return base64.b64encode(base64.b64decode(value, validate=False)).decode()
    except (binascii.Error, TypeError):
        return value


def quantity(value: Any) -> str:
    """In the form in which the API gives it back: the largest unit of which it is a whole number."""
    text = str(value)
    number = parse_quantity(text)
    if text.endswith("i") and abs(number) >= 1024:
        base, units = 1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    else:
        base, units, number = 1000, ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"], number * 10**9
    whole = int(number.to_integral_value(ROUND_CEILING))
    if not whole:
        return "0"
    while whole % base == 0 and len(units) > 1:
        whole, units = whole // base, units[1:]
    return f"{whole}{units[0]}"


def has_unknown(value: Any) -> bool:
    """Whether something in it is known only when the update runs."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return bool(value == rpc.UNKNOWN)


def prune(live: Any, inputs: Any) -> Any:
    """Of what is live, what the inputs have too; lists by position, and those of texts as they are."""
    if isinstance(live, dict) and isinstance(inputs, dict):
        return {key: prune(value, inputs[key]) for key, value in live.items() if key in inputs}
    if isinstance(live, list) and isinstance(inputs, list):
        if live and inputs and type(live[0]) is not type(inputs[0]):
            return live
        return [prune(*pair) for pair in zip(live, inputs, strict=False)]
    return live


def as_inputs(live: Props) -> Props:
    """The inputs for an object of which only the cluster knows."""
    kept = {key: value for key, value in live.items() if key not in _NO_INPUTS}
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVER_SETS}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k not in _NO_INPUT_ANNOTATIONS}
    return {**kept, "metadata": metadata}


@dataclass(frozen=True)
class Change:
    """What is another: `ADD`, `DELETE` or `UPDATE` at a path, and the new value."""

    path: Path
    kind: str
    value: Any = None

    def forces(self, fields: tuple[str, ...]) -> bool:
        """Whether one of the fields is changed by it."""
        return any(self._touches(name.split(".")) for name in fields)

    def _touches(self, field_path: list[str]) -> bool:
        shared = len(self.path)
        if len(field_path) <= shared:
            return self.path[: len(field_path)] == tuple(field_path)
        value = self.value
        for key in field_path[shared:]:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return self.path == tuple(field_path[:shared])

    def __str__(self) -> str:
        """As the engine writes it."""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            elif re.search(r'[."\[\]]', step):
                text += '["{}"]'.format(step.replace('"', '\\"'))
            else:
                text += f".{step}" if text else step
        return text


def changes(old: Props, new: Props, path: Path = ()) -> Iterator[Change]:
    """All that is another in the new inputs."""
    for key, value in new.items():
        if key in old:
            yield from _compared((*path, key), old[key], value)
        else:
            yield Change((*path, key), "ADD", value)
    for key in old.keys() - new.keys():
        yield Change((*path, key), "DELETE")


def _compared(path: Path, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from changes(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        for index, pair in enumerate(zip(old, new, strict=False)):
            yield from _compared((*path, index), *pair)
        for index in range(len(old), len(new)):
            yield Change((*path, index), "ADD", new[index])
        for index in range(len(new), len(old)):
            yield Change((*path, index), "DELETE")
    elif old != new:
        yield Change(path, "UPDATE", new)


def covers(ignored: str, path: Path) -> bool:
    """Whether a path in `ignoreChanges` is this one or one above it."""
    steps = [a or b or c for a, b, c in re.findall(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)', ignored)]
    return len(steps) <= len(path) and all(a in {"*", str(b)} for a, b in zip(steps, path, strict=False))


def forces(inputs: Props, *, config_map_mutable: bool, secret_mutable: bool) -> tuple[str, ...]:
    """The fields of an object that cannot become another without a new object."""
    kind = inputs["kind"]
    named = ("metadata.name", "metadata.namespace", *KINDS[kind].forces)
    if kind == "ConfigMap" and (not config_map_mutable or inputs.get("immutable")):
        return (*named, "binaryData", "data")
    if kind == "Secret" and (not secret_mutable or inputs.get("immutable")):
        return (*named, "stringData", "data")
    return named


def keep_secrets(outputs: Props, marked: Props) -> Props:
    """The outputs with marks where the marked ones have them, and the values of a Secret in any case."""
    if outputs.get("kind") == "Secret":
        return {key: _mark(value) if key in {"data", "stringData"} else value for key, value in outputs.items()}
    return {key: _kept(value, marked.get(key)) for key, value in outputs.items()}


def _kept(value: Any, marked: Any) -> Any:
    if isinstance(value, dict) and isinstance(marked, dict) and not is_secret(value) and not is_secret(marked):
        return keep_secrets(value, marked)
    return _mark(value) if has_secret(marked) else value


def _mark(value: Any) -> Props:
    return value if is_secret(value) else {**SECRET, "value": value}


def annotation(given: Props | None, name: str) -> str:
    """That of an object, empty if it has none or it is not known yet."""
    found: Any = given
    for step in ("metadata", "annotations", name):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
