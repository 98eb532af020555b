"""Stands in for the plugin of pulumi-kubernetes 4.34.2: what it would do, done with a real API server.

`python -m standins.kubernetes_provider`, with tests/ on the path, prints its port and serves until it is ended;
`PULUMI_DEBUG_PROVIDERS=kubernetes:PORT` attaches Pulumi to it. A server has one configuration, that of the last
Configure. It knows the kinds of `kubernetes_schema.KINDS`, and server-side apply alone.
"""

import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2_grpc, plugin_pb2, provider_pb2

from standins import kubernetes_schema as schemas
from standins import wire
from standins.kubernetes_await import SECONDS, Incomplete, Watch
from standins.kubernetes_client import Address, ApiError, Client, NotConfigured
from standins.kubernetes_schema import KINDS, Schema, annotation
from standins.wire import Log, Props

VERSION = "4.34.2"

_CHANGES = provider_pb2.PropertyDiff.Kind
_OLD_MANAGER = "pulumi-kubernetes"
# Whose fields the first update takes over, and by which operation they had them.
_TAKEN_OVER = {
    *(("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"), (_OLD_MANAGER, "Update")),
    *(("pulumi-kubernetes.exe", "Update"), ("pulumi-resource-kubernetes", "Update")),
}
_AUTONAMED = "pulumi.com/autonamed"
_PROPAGATION = {"orphan": "Orphan", "background": "Background"}
# Of these, whoever skips the wait skips that for the deletion too.
_UNAWAITED_DELETION = {"Namespace", "DaemonSet", "Deployment", "StatefulSet", "Job"}
_UNREACHABLE = "configured Kubernetes cluster is unreachable"
_DELETE_UNREACHABLE = (
    'rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)
_CONFLICTS = (
    "server-side apply field conflict detected, see https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/"
    "managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources for troubleshooting help"
)
_EXISTS = """

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Managing an existing resource: use a Patch resource (e.g. NamespacePatch)
    to manage specific fields without owning the resource lifecycle.
  - Adopting a resource into Pulumi: use `pulumi import`. Note that
    protected resources (e.g. kube-system) cannot be deleted on destroy.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create."""
_SETTINGS = {
    "config_map_mutable": ("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
    "secret_mutable": ("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
    "delete_unreachable": ("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
    "patch_force": ("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
    "upsert": ("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
}


@dataclass(frozen=True)
class Session:
    """One configuration. Without a client, `unreachable` says why."""

    client: Client | None = None
    unreachable: str = "the provider is not configured"
    namespace: str = "default"
    schema: Schema = field(default_factory=Schema)
    config_map_mutable: bool = False
    secret_mutable: bool = False
    delete_unreachable: bool = False
    patch_force: bool = False
    upsert: bool = False


class Failed(Exception):
    """The operation failed and left nothing that Pulumi does not know."""


class Provider(wire.Servicer):
    """The requests of Pulumi's engine."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._session = Session()
        self._engine: engine_pb2_grpc.EngineStub | None = None

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        self._listen(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        self._listen(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        olds, news = (wire.plain(wire.props(side)) for side in (request.olds, request.news))
        changed = sorted(key for key in olds.keys() | news.keys() if olds.get(key) != news.get(key))
        try:
            replaces = _replacing(olds, news, changed)
        except NotConfigured as error:
            wire.refuse(context, f"failed to parse kubeconfig: {error}")
        return provider_pb2.DiffResponse(changes=wire.some(changed=bool(changed)), diffs=changed, replaces=replaces)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        given = {name.removeprefix("kubernetes:config:"): value for name, value in request.variables.items()}
        if not _flag(given, "enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", default=True):
            wire.refuse(context, "the stand-in knows server-side apply alone", grpc.StatusCode.UNIMPLEMENTED)
        self.cancelled.clear()
        flags: dict[str, Any] = {name: _flag(given, *names) for name, names in _SETTINGS.items()}
        # What was learnt of the API lasts, as the types of the official provider are compiled in.
        session = Session(**flags, namespace=given.get("namespace") or "default", schema=self._session.schema)
        self._session = _connected(session, Address(given.get("kubeconfig", ""), given.get("context", "")))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, news = self._session, wire.props(request.news)
        kind = _kind(request, context)
        inputs = session.schema.normal({**wire.plain(news), "metadata": wire.plain(news.get("metadata")) or {}})
        if annotation(inputs, _AUTONAMED):
            text = f'ignoring user-specified value for internal annotation "{_AUTONAMED}"'
            self._log(request).lasting("WARNING", text)
        if annotation(inputs, "pulumi.com/waitFor"):
            wire.refuse(
                context, "the stand-in does not know the annotation pulumi.com/waitFor", grpc.StatusCode.UNIMPLEMENTED
            )
        if "generateName" in inputs["metadata"] and "name" not in inputs["metadata"]:
            text = "the `.metadata.generateName` field is not supported in Server-Side Apply mode"
            wire.refuse(context, text)
        if "name" not in inputs["metadata"] and (name := _automatic_name(request)):
            annotations = {**inputs["metadata"].get("annotations", {}), _AUTONAMED: "true"}
            inputs["metadata"] = {**inputs["metadata"], "name": name, "annotations": annotations}
        if KINDS[kind].namespaced and not inputs["metadata"].get("namespace"):
            inputs["metadata"] = {**inputs["metadata"], "namespace": session.namespace}
        return provider_pb2.CheckResponse(inputs=wire.struct(schemas.keep_secrets(inputs, news)))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, kind = self._session, _kind(request, context)
        old_inputs, live = _parsed(wire.props(request.olds))
        new = _placed(session.schema.normal(wire.plain(wire.props(request.news))), kind)
        old = _placed(schemas.prune(live, session.schema.normal(old_inputs)), kind)
        old = {"apiVersion": new["apiVersion"], "kind": kind, **old}
        old["metadata"] = {
            **old["metadata"],
            **({"name": live["metadata"]["name"]} if new["metadata"].get("name") else {}),
        }
        found = [
            change
            for change in schemas.changes(old, new)
            if not any(schemas.covers(path, change.path) for path in request.ignoreChanges)
        ]
        mutable = {"config_map_mutable": session.config_map_mutable, "secret_mutable": session.secret_mutable}
        forced = schemas.forces(new, **mutable)
        replaces = [str(change) for change in found if change.forces(forced)]
        replaces += self._unready(request, new, live)
        same = all(new["metadata"].get(key) == live["metadata"].get(key) for key in ("name", "namespace"))
        return provider_pb2.DiffResponse(
            changes=wire.some(changed=bool(found or replaces)),
            replaces=replaces,
            # Two cannot have one name at the same time.
            deleteBeforeReplace=bool(replaces) and same and annotation(new, _AUTONAMED) != "true",
            detailedDiff={str(change): _detail(change, str(change) in replaces) for change in found},
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, marked = self._session, wire.props(request.properties)
        inputs, unchanged = wire.plain(marked), provider_pb2.CreateResponse(properties=request.properties)
        if request.preview and (session.client is None or schemas.has_unknown(inputs)):
            return unchanged
        manager = _manager(inputs, {})
        try:
            client = self._require_client(session)
            live = self._create(client, request, inputs, manager)
            if live is None:
                return unchanged
            if not request.preview:
                live = self._wait(client, request, inputs, live)
        except Incomplete as error:
            message = (
                f'resource "{request.urn}" was successfully created, but the Kubernetes API server reported that it '
                f"failed to fully initialize or become live: {error}"
            )
            _refuse_incomplete(context, message, error, _checkpoint(inputs, error.live, marked, manager))
        except (ApiError, Failed) as error:
            wire.refuse(context, str(error))
        if request.preview:
            return provider_pb2.CreateResponse(properties=_checkpoint(inputs, _previewed(live), marked, manager))
        return provider_pb2.CreateResponse(id=_identifier(live), properties=_checkpoint(inputs, live, marked, manager))

    def _create(self, client: Client, request: Any, inputs: Props, manager: str) -> Props | None:
        """The object as the API server has it; None if that cannot be said before the update runs."""
        log, pause = self._log(request), 1
        while True:
            try:
                if self._session.upsert:
                    return self._apply(client, inputs, None, manager, dry_run=request.preview)
                return client.create(inputs, _OLD_MANAGER, dry_run=request.preview)
            except ApiError as error:
                kind = error.details.get("kind")
                if request.preview and (
                    error.reason in _NOT_IN_A_PREVIEW or (error.code == 404 and kind == "namespaces")
                ):
                    return None
                # What it needs may be on its way.
                if error.code != 404 or pause > _LONGEST_PAUSE or self.cancelled.is_set():
                    said = (
                        f'resource "{request.urn}" was not successfully created by the Kubernetes API server: {error}'
                    )
                    raise Failed(said + (_EXISTS if error.reason == "AlreadyExists" else "")) from error
                log.status("INFO", f"Retry #{pause.bit_length() - 1}; creation failed: {error}")
            self.cancelled.wait(pause)
            pause *= 2

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, kind = self._session, _kind(request, context)
        state, marked = wire.props(request.properties), wire.props(request.inputs)
        if session.client is None:
            return self._read_unreachable(request, context)
        namespace, _, name = request.id.rpartition("/")
        known = bool(marked or state)
        inputs = session.schema.normal({"metadata": {}, **wire.plain(marked)})
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        identity = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata}
        failure = None
        try:
            if (live := session.client.find(identity)) is None:
                return provider_pb2.ReadResponse()
            if known and annotation(inputs, "pulumi.com/skipAwait") != "true":
                self._watch(session.client, request, inputs, reads=True).check(live)
        except Incomplete as error:
            failure, live = error, error.live
        except ApiError as error:
            wire.refuse(context, str(error))
        seen = schemas.prune(live, inputs) if known else schemas.as_inputs(live)
        properties = _checkpoint(seen, live, marked, _manager(inputs, wire.plain(state)))
        kept = wire.struct(schemas.keep_secrets(seen, marked))
        if failure:
            _refuse_incomplete(context, str(failure), failure, properties, kept)
        return provider_pb2.ReadResponse(id=request.id, properties=properties, inputs=kept)

    def _read_unreachable(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._log(request).lasting("WARNING", f"{_UNREACHABLE}: {self._session.unreachable}")
        if not self._session.delete_unreachable:
            text = (
                "failed to read resource state due to unreachable cluster. If the cluster was deleted, you can remove "
            )
            wire.refuse(context, f"{text}this resource from Pulumi state by {_DELETE_UNREACHABLE}")
        return provider_pb2.ReadResponse()

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, marked, state = self._session, wire.props(request.news), wire.props(request.olds)
        inputs = session.schema.normal(wire.plain(marked))
        if request.preview and (session.client is None or schemas.has_unknown(inputs)):
            return provider_pb2.UpdateResponse(properties=request.news)
        old_inputs, old_live = _parsed(state)
        manager, old_manager = (_manager(side, wire.plain(state)) for side in (inputs, old_inputs))
        try:
            client = self._require_client(session)
        except Failed as error:
            wire.refuse(context, str(error))
        try:
            live = self._update(client, request, inputs, old_live, manager)
            if not request.preview and manager != old_manager:
                client.apply(_bare(live), old_manager)
        except ApiError as error:
            if request.preview and error.reason == "Forbidden":
                return provider_pb2.UpdateResponse(properties=request.news)
            self._refuse_update(context, client, request, error, (inputs, old_live, marked, manager))
        except Incomplete as error:
            self._refuse_update(context, client, request, error, (inputs, old_live, marked, manager))
        return provider_pb2.UpdateResponse(properties=_checkpoint(inputs, live, marked, manager))

    def _update(self, client: Client, request: Any, inputs: Props, old_live: Props, manager: str) -> Props:
        before = client.get(_identity(old_live, inputs))
        if not request.preview:
            before = _taken_over(client, before, manager)
        for path in request.ignoreChanges:
            inputs = _without_ignored(inputs, before, path.split("."), manager)
        live = self._apply(client, inputs, before, manager, dry_run=request.preview)
        return live if request.preview else self._wait(client, request, inputs, live, before)

    def _apply(self, client: Client, inputs: Props, before: Props | None, manager: str, *, dry_run: bool) -> Props:
        managed = (before or {}).get("metadata", {}).get("managedFields", [])
        ours = any((entry["manager"], entry["operation"]) in _OWN_UPDATES for entry in managed)
        force = self._session.patch_force or annotation(inputs, "pulumi.com/patchForce") == "true"
        force = force or (dry_run and (before is None or ours)) or (before is not None and not managed)
        try:
            return client.apply(inputs, manager, force=force, dry_run=dry_run)
        except ApiError as error:
            if error.reason != "Conflict":
                raise
            message = f'{_CONFLICTS}\nThe resource managed by field manager "{manager}" had an apply conflict: {error}'
            raise ApiError(message, error.code, error.reason, error.details) from error

    def _refuse_update(
        self,
        context: grpc.ServicerContext,
        client: Client,
        request: Any,
        error: ApiError | Incomplete,
        known: tuple[Props, Props, Props, str],
    ) -> NoReturn:
        """As the official provider does: whatever failed, what was asked for is in the state with what is live."""
        inputs, old_live, marked, manager = known
        try:
            live = client.get(_identity(old_live, inputs))
        except ApiError as unread:
            message = f'update of resource "{request.urn}" failed: {error}\nunable to get cluster state: {unread}'
            wire.refuse(context, message)
        message = (
            f'the Kubernetes API server reported that "{_identifier(live)}" failed to fully initialize or become live: '
            f"{error}"
        )
        incomplete = Incomplete(str(error), live, error.reasons if isinstance(error, Incomplete) else ())
        _refuse_incomplete(context, message, incomplete, _checkpoint(inputs, live, marked, manager))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        session, state = self._session, wire.props(request.properties)
        inputs, live = _parsed(state)
        if session.client is None:
            return self._delete_unreachable(request, context)
        propagation = annotation(inputs, "pulumi.com/deletionPropagationPolicy").lower()
        try:
            session.client.delete(_identity(live, live), _PROPAGATION.get(propagation, "Foreground"))
            if annotation(inputs, "pulumi.com/skipAwait") != "true" or live["kind"] not in _UNAWAITED_DELETION:
                self._watch(session.client, request, inputs).gone(live)
        except Incomplete as error:
            _refuse_incomplete(
                context, str(error), error, _checkpoint(live, error.live, state, _manager(inputs, state))
            )
        except ApiError as error:
            if error.code != 404:
                wire.refuse(context, str(error))
        return empty_pb2.Empty()

    def _delete_unreachable(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._log(request).lasting("WARNING", f"{_UNREACHABLE}: {self._session.unreachable}")
        if not self._session.delete_unreachable:
            text = f"{_UNREACHABLE}. If the cluster was deleted, you can remove this resource from Pulumi state by "
            wire.refuse(context, text + _DELETE_UNREACHABLE)
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        self.cancelled.set()
        return empty_pb2.Empty()

    def _listen(self, address: str) -> None:
        """Tell the engine at this address from now on."""
        if address:
            self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def _log(self, request: Any) -> Log:
        return Log(self._engine, request.urn)

    def _require_client(self, session: Session) -> Client:
        if session.client is None:
            raise Failed(f"{_UNREACHABLE}: {session.unreachable}")
        return session.client

    def _watch(
        self, client: Client, request: Any, inputs: Props, before: Props | None = None, *, reads: bool = False
    ) -> Watch:
        said = annotation(inputs, "pulumi.com/timeoutSeconds")
        seconds = getattr(request, "timeout", 0) or (int(said) if said.isdigit() else SECONDS)
        return Watch(client, self.cancelled, self._log(request), seconds, before, reads)

    def _wait(self, client: Client, request: Any, inputs: Props, live: Props, before: Props | None = None) -> Props:
        if annotation(inputs, "pulumi.com/skipAwait") == "true":
            self._log(request).status("INFO", "Skipping await logic")
            return live
        live = self._watch(client, request, inputs, before).ready(live)
        self._log(request).status("INFO", "")
        return live

    def _unready(self, request: Any, new: Props, live: Props) -> list[str]:
        """What the annotation `replaceUnready` of a Job adds to what forces a new one."""
        client = self._session.client
        if annotation(new, "pulumi.com/replaceUnready") != "true" or new["kind"] != "Job" or client is None:
            return []
        found = client.find(_identity(live, new))
        try:
            if found is not None:
                self._watch(client, request, new, reads=True).check(found)
        except Incomplete:
            return ['.metadata.annotations["pulumi.com/replaceUnready"]']
        return []


_LONGEST_PAUSE = 32
_NOT_IN_A_PREVIEW = {"Forbidden", "AlreadyExists"}
_OWN_UPDATES = {(name, "Update") for name in (_OLD_MANAGER, "pulumi-kubernetes.exe", "pulumi-resource-kubernetes")}


def _flag(given: Mapping[str, str], name: str, variable: str, *, default: bool = False) -> bool:
    found = given.get(name, os.environ.get(variable))
    return default if found is None else found == "true"


def _connected(session: Session, address: Address) -> Session:
    """The session with a client, or with the reason why there is none."""
    try:
        client = Client(address)
    except (NotConfigured, OSError, ValueError) as error:
        what = "failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- "
        return replace(session, unreachable=f"{what if address.kubeconfig else _NO_KUBECONFIG}{error}")
    try:
        schema = Schema(client.schema()["definitions"])
    except ApiError as error:
        client.close()
        text = f"unable to load schema information from the API server: {error}"
        return replace(session, unreachable=text, namespace=client.namespace)
    return replace(session, client=client, unreachable="", namespace=client.namespace, schema=schema)


_NO_KUBECONFIG = (
    "unable to load Kubernetes client configuration from kubeconfig file. Make sure you have: \n\n \t • set up the "
    "provider as per https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/ \n\n "
)


def _replacing(olds: Props, news: Props, changed: list[str]) -> list[str]:
    """What of the configuration means another cluster."""
    identified = "clusterIdentifier"
    if news.get(identified) and olds.get(identified) == news[identified]:
        return []
    replaces = [identified] if identified in changed and identified in olds and identified in news else []
    where = [key for key in ("kubeconfig", "context", "cluster") if key in changed]
    if unknown := [key for key in where if news.get(key) == rpc.UNKNOWN]:
        return [*replaces, unknown[0]]
    old, new = (Address(side.get("kubeconfig", ""), side.get("context", "")) for side in (olds, news))
    clusters = [address.cluster() if address.kubeconfig else None for address in (old, new)]
    return [*replaces, *(where if None not in clusters and clusters[0] != clusters[1] else [])]


def _kind(request: Any, context: grpc.ServicerContext) -> str:
    """The kind of the resource, if the stand-in knows it."""
    token = request.urn.split("::")[2].split("$")[-1].removeprefix("kubernetes:")
    version, _, kind = token.rpartition(":")
    if kind not in KINDS or KINDS[kind].api_version != version.removeprefix("core/"):
        wire.refuse(
            context, f"the stand-in does not know {token}; known: {', '.join(KINDS)}", grpc.StatusCode.UNIMPLEMENTED
        )
    return str(kind)


def _automatic_name(request: Any) -> str:
    """The one it had, or a new one."""
    old = wire.plain(wire.props(request.olds))
    if old:
        return str(old["metadata"]["name"]) if annotation(old, _AUTONAMED) == "true" else ""
    return request.autonaming.proposed_name or f"{request.urn.split('::')[-1]}-{secrets.token_hex(4)}"


def _parsed(state: Props) -> tuple[Props, Props]:
    """The inputs and the live object that the state has."""
    live = wire.plain(state)
    return live.pop("__inputs", {"metadata": {}}), live


def _placed(given: Props, kind: str) -> Props:
    """With the namespace it is in, or without one that is none of its."""
    metadata = {key: value for key, value in given.get("metadata", {}).items() if key != "namespace"}
    if KINDS[kind].namespaced:
        metadata["namespace"] = given.get("metadata", {}).get("namespace") or "default"
    return {**given, "metadata": metadata}


def _detail(change: schemas.Change, replaces: bool) -> Any:
    kind = _CHANGES.Value(f"{change.kind}_REPLACE" if replaces else change.kind)
    return provider_pb2.PropertyDiff(kind=kind, inputDiff=change.kind == "DELETE")


def _manager(inputs: Props, state: Props) -> str:
    """The name by which the fields are managed."""
    fresh = f"{_OLD_MANAGER}-{secrets.token_hex(4)}"
    return annotation(inputs, "pulumi.com/patchFieldManager") or str(state.get("__fieldManager") or fresh)


def _checkpoint(inputs: Props, live: Props, marked: Props, manager: str) -> struct_pb2.Struct:
    """The state: what is live, with the inputs that led to it."""
    own = {
        "__inputs": schemas.keep_secrets(inputs, marked),
        "__initialApiVersion": inputs.get("apiVersion", live["apiVersion"]),
        "__fieldManager": manager,
    }
    return wire.struct({**schemas.keep_secrets(live, marked), **own})


def _refuse_incomplete(
    context: grpc.ServicerContext,
    message: str,
    error: Incomplete,
    properties: struct_pb2.Struct,
    inputs: struct_pb2.Struct | None = None,
) -> NoReturn:
    wire.refuse_incomplete(
        context,
        provider_pb2.ErrorResourceInitFailed(
            id=_identifier(error.live), properties=properties, reasons=[message, *error.reasons], inputs=inputs
        ),
    )


def _previewed(live: Props) -> Props:
    return {key: value for key, value in live.items() if key != "status"}


def _identifier(live: Props) -> str:
    namespace, name = live["metadata"].get("namespace"), str(live["metadata"]["name"])
    return f"{namespace}/{name}" if namespace else name


def _identity(named: Props, typed: Props) -> Props:
    """Where an object is, with the version of its API as it is now."""
    metadata = {key: named["metadata"][key] for key in ("name", "namespace", "uid") if named["metadata"].get(key)}
    return {"apiVersion": typed["apiVersion"], "kind": typed["kind"], "metadata": metadata}


def _bare(live: Props) -> Props:
    """An object without a field, for a manager that gives up all of its."""
    metadata = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}


def _taken_over(client: Client, live: Props, manager: str) -> Props:
    """The object with the fields that it was made with in the hands of its manager."""
    entries = live["metadata"].get("managedFields", [])
    taken = [entry for entry in entries if _is_taken(entry)]
    if not taken:
        return live
    own = [entry for entry in entries if _is_own(entry, manager)]
    rest = [entry for entry in entries if not _is_taken(entry) and not _is_own(entry, manager)]
    fields: Props = {}
    for entry in (*own, *taken):
        fields = _joined(fields, entry["fieldsV1"])
    entry = {**(own or taken)[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return client.patch(_bare(live), [{"op": "replace", "path": "/metadata/managedFields", "value": [*rest, entry]}])


def _is_taken(entry: Props) -> bool:
    return (entry["manager"], entry["operation"]) in _TAKEN_OVER and not entry.get("subresource")


def _is_own(entry: Props, manager: str) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, "Apply", "")


def _joined(one: Props, other: Props) -> Props:
    """The fields that are in one or in the other."""
    both = {key: _joined(one[key], other[key]) for key in one.keys() & other.keys()}
    return {**one, **other, **both}


def _without_ignored(inputs: Props, live: Props, path: list[str], manager: str) -> Props:
    """The inputs without a field that another manages, or with what is live in it."""
    own = other = False
    for entry in live["metadata"].get("managedFields", []):
        has = _manages(entry["fieldsV1"], path)
        own, other = own or (has and entry["manager"] == manager), other or (has and entry["manager"] != manager)
    found = _at(live, path)
    if other and not own:
        return _with(inputs, path, None)
    return inputs if found is None else _with(inputs, path, found)


def _manages(fields: Props, path: list[str]) -> bool:
    for step in path:
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
    return True


def _at(found: Any, path: list[str]) -> Any:
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _with(given: Props, path: list[str], value: Any) -> Props:
    """With another value at a path, or without one."""
    if len(path) == 1:
        rest = {key: item for key, item in given.items() if key != path[0]}
        return rest if value is None else {**rest, path[0]: value}
    inner = given.get(path[0])
    if not isinstance(inner, dict) and value is None:
        return given
    return {**given, path[0]: _with(inner if isinstance(inner, dict) else {}, path[1:], value)}


if __name__ == "__main__":
    wire.serve(Provider(), workers=64)
