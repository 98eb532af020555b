"""Stands in for the plugin of pulumi-docker 5.2.0: what it would do, done with a real Docker Engine.

`python -m standins.docker_provider`, with tests/ on the path, prints its port and serves until it is ended;
`PULUMI_DEBUG_PROVIDERS=docker:PORT` attaches Pulumi to it. The plugin is a process for each provider of a stack; here
each has a connection of its own, and the configuration that came last over it.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from standins import docker_schema as schemas
from standins import wire
from standins.docker_resources import KINDS, Engine, Failed, Incomplete, Kind
from standins.wire import Props

VERSION = "5.2.0"

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_KINDS_OF_CHANGE = provider_pb2.PropertyDiff.Kind


@dataclass(frozen=True)
class _Configured:
    """What a provider of a stack is to work with."""

    host: str
    logins: Mapping[str, Mapping[str, str]]


class Provider(wire.Servicer):
    """The requests of Pulumi's engine."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        # By the connection that each came over.
        self._configured: dict[str, _Configured] = {}

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        news = wire.props(request.news)
        news.setdefault("host", os.environ.get("DOCKER_HOST") or _DEFAULT_HOST)
        return provider_pb2.CheckResponse(inputs=wire.struct(news))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        changed = wire.plain(wire.props(request.olds)) != wire.plain(wire.props(request.news))
        return provider_pb2.DiffResponse(changes=wire.some(changed=changed))

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        arguments = wire.plain(wire.props(request.args))
        self.cancelled.clear()
        host = arguments.get("host") or os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
        logins = arguments.get("registryAuth") or []
        # What is not text arrives as JSON in a text.
        logins = wire.plain(json.loads(logins)) if isinstance(logins, str) else logins
        named = {
            login["address"].split("://")[-1].split("/")[0]: {
                "username": login["username"],
                "password": login["password"],
            }
            for login in logins
            if login.get("username")
        }
        self._configured[context.peer()] = _Configured(host, named)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        schema = _kind(request).schema
        old = wire.props(request.olds)
        autonamed = old["name"] if "name" in old.get("__defaults", ()) else _random_name(request)
        marked = wire.props(request.news)
        inputs = schemas.with_defaults(schema, wire.plain(marked), autonamed)
        failures = [
            provider_pb2.CheckFailure(property=path, reason=f"{path} {value!r} does not match {pattern}")
            for path, pattern in schema.checks.items()
            for value in _values(inputs, path.split("."))
            if value != rpc.UNKNOWN and not re.fullmatch(pattern, value)
        ]
        return provider_pb2.CheckResponse(inputs=wire.struct(schemas.keep_secrets(marked, inputs)), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        schema = _kind(request).schema
        marked = wire.props(request.news)
        inputs = wire.plain(marked)
        found = list(schemas.changes(schema, wire.plain(wire.props(request.olds)), inputs))
        found = [change for change in found if _top(change[0]) not in request.ignoreChanges]
        detailed = {
            # Nothing of what changed within a secret is shown.
            _top(path) if wire.has_secret(marked.get(_top(path))) else path: provider_pb2.PropertyDiff(
                kind=_KINDS_OF_CHANGE.Value(f"{kind}_REPLACE" if forces else kind), inputDiff=False
            )
            for path, kind, forces in found
        }
        fixed_name = schema.named and "name" not in inputs.get("__defaults", ())
        return provider_pb2.DiffResponse(
            changes=wire.some(changed=bool(found)),
            replaces=sorted({_top(path) for path, _, forces in found if forces}),
            diffs=sorted({_top(path) for path, _, _ in found}),
            # Two cannot have one name at the same time.
            deleteBeforeReplace=schema.delete_first or fixed_name,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        kind, marked = _kind(request), wire.props(request.properties)
        inputs = wire.plain(marked)
        if request.preview:
            unknown = dict.fromkeys(kind.schema.computed - inputs.keys(), rpc.UNKNOWN)
            return provider_pb2.CreateResponse(properties=_outputs(marked, {**inputs, **unknown}))
        try:
            with self._engine(context) as engine:
                identity, outputs = kind.create(engine, inputs)
        except Incomplete as error:
            _refuse_incomplete(context, error, marked)
        except Failed as error:
            wire.refuse(context, str(error))
        return provider_pb2.CreateResponse(id=identity, properties=_outputs(marked, outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        marked, inputs = wire.props(request.properties), wire.props(request.inputs)
        try:
            with self._engine(context) as engine:
                outputs = _kind(request).read(engine, request.id, wire.plain(marked))
        except Failed as error:
            wire.refuse(context, str(error))
        if outputs is None:
            return provider_pb2.ReadResponse()
        seen = {name: outputs[name] for name in inputs if not schemas.is_nothing(outputs.get(name))}
        seen = schemas.keep_secrets(inputs, seen)
        return provider_pb2.ReadResponse(
            id=outputs["id"], properties=_outputs(marked, outputs), inputs=wire.struct({**seen, **_marks(inputs)})
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        kind, marked = _kind(request), wire.props(request.news)
        state, inputs = wire.plain(wire.props(request.olds)), wire.plain(marked)
        kept = {name: value for name, value in state.items() if name in kind.schema.computed or name in inputs}
        outputs = {**kept, **inputs}
        if not request.preview:
            try:
                with self._engine(context) as engine:
                    outputs.update(kind.update(engine, request.id, state, inputs))
            except Failed as error:
                wire.refuse(context, str(error))
        return provider_pb2.UpdateResponse(properties=_outputs(marked, outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        try:
            with self._engine(context) as engine:
                _kind(request).delete(engine, request.id, wire.plain(wire.props(request.properties)))
        except Failed as error:
            wire.refuse(context, str(error))
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        self.cancelled.set()
        return empty_pb2.Empty()

    @contextmanager
    def _engine(self, context: grpc.ServicerContext) -> Iterator[Engine]:
        """A connection of its own to the engine for each request: they come in parallel."""
        known = self._configured[context.peer()]
        try:
            client = docker.APIClient(base_url=known.host, version="auto", timeout=60)
        except docker.errors.DockerException as error:
            raise Failed(f"Cannot connect to the Docker daemon at {known.host}: {error}") from error
        try:
            yield Engine(client, known.logins, self.cancelled)
        finally:
            client.close()


def _kind(request: Any) -> Kind:
    return KINDS[request.urn.split("::")[2].split("$")[-1]]


def _random_name(request: Any) -> str:
    return f"{request.urn.split('::')[-1]}-{hashlib.sha256(request.randomSeed or os.urandom(8)).hexdigest()[:7]}"


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What is at a path, in each element of the lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield from () if schemas.is_empty(value) else (value,)
    elif isinstance(value, dict):
        yield from _values(value.get(path[0]), path[1:])


def _top(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _marks(inputs: Props) -> Props:
    return {name: value for name, value in inputs.items() if name == "__defaults"}


def _outputs(marked: Props, outputs: Props) -> struct_pb2.Struct:
    return wire.struct(schemas.keep_secrets(marked, {k: v for k, v in outputs.items() if k != "__defaults"}))


def _refuse_incomplete(context: grpc.ServicerContext, error: Incomplete, marked: Props) -> None:
    outputs = _outputs(marked, {**wire.plain(marked), "id": error.identity})
    wire.refuse_incomplete(
        context,
        provider_pb2.ErrorResourceInitFailed(
            id=error.identity, properties=outputs, reasons=[str(error)], inputs=wire.struct(marked)
        ),
    )


if __name__ == "__main__":
    wire.serve(Provider(), workers=32)
