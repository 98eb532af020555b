"""What the stand-in for the Kubernetes provider asks of an API server, as plain dicts, and the errors it gets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from standins.wire import Props

_NO_CONFIGURATION = (
    "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable"
)
# One for each request that the stand-in serves at a time.
_CONNECTIONS = 32
_SECONDS_TO_CONNECT = 10
_SECONDS_TO_ANSWER = 60


class ApiError(Exception):
    """The API server refused, or did not answer, which has no `code`."""

    def __init__(self, message: str, code: int = 0, reason: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details or {}


class NotConfigured(Exception):
    """There is no cluster to ask: the configuration is missing, or makes no sense."""


@dataclass(frozen=True)
class Address:
    """A cluster by its kubeconfig, which is text or a file, or empty for the one this process is given."""

    kubeconfig: str = ""
    context: str = ""

    def read(self) -> Props:
        """The kubeconfig as it is."""
        file = Path(self.kubeconfig or config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION).expanduser()
        is_file = "\n" not in self.kubeconfig and file.exists()
        if not self.kubeconfig and not is_file:
            raise NotConfigured(_NO_CONFIGURATION)
        found = yaml.safe_load(file.read_text(encoding="utf-8") if is_file else self.kubeconfig)
        if not isinstance(found, dict):
            raise NotConfigured(f"couldn't get version/kind; json parse error: {str(found)[:60]!r} is no kubeconfig")
        return self._absolute(found, file.parent) if is_file else found

    @staticmethod
    def _absolute(found: Props, folder: Path) -> Props:
        """With the files that it names relative to itself."""
        for name, entry in (("clusters", "cluster"), ("users", "user")):
            for item in found.get(name) or []:
                own = item.get(entry) or {}
                own |= {key: str(folder / own[key]) for key in _FILES if own.get(key)}
        return found

    def active(self) -> Props:
        """The context that is used."""
        found = self.read()
        name = self.context or found.get("current-context")
        contexts = {item["name"]: item.get("context") or {} for item in found.get("contexts") or []}
        if name not in contexts:
            raise NotConfigured(f'context "{name}" does not exist' if name else _NO_CONFIGURATION)
        return dict(contexts[name])

    def cluster(self) -> Props | None:
        """The settings of the cluster that is used, if there are any."""
        try:
            name = self.active().get("cluster")
        except NotConfigured:
            return None
        clusters = {item["name"]: item.get("cluster") or {} for item in self.read().get("clusters") or []}
        return clusters.get(name)


_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class Client:
    """Requests to one cluster. Many threads use it at a time."""

    def __init__(self, address: Address) -> None:
        self.namespace: str = address.active().get("namespace") or "default"
        settings: Any = client.Configuration()
        settings.retries = urllib3.Retry(total=2, connect=0, read=2, backoff_factor=0.1)
        try:
            config.load_kube_config_from_dict(
                address.read(), address.context or None, client_configuration=settings, persist_config=False
            )
        except ConfigException as error:
            raise NotConfigured(str(error)) from error
        settings.connection_pool_maxsize = _CONNECTIONS
        self.api: Any = client.ApiClient(settings)

    def close(self) -> None:
        self.api.close()

    def schema(self) -> Props:
        """The OpenAPI document of all kinds."""
        return self._request("GET", "/openapi/v2")

    def get(self, identity: Props) -> Props:
        return self._request("GET", _path(identity))

    def find(self, identity: Props) -> Props | None:
        """The object, or None if there is none."""
        try:
            return self.get(identity)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def all(self, api_version: str, kind: str, namespace: str, fields: str = "") -> list[Props]:
        """All of a kind in a namespace. An empty list if they may not be seen."""
        path = _path({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace, "name": ""}})
        try:
            return list(self._request("GET", path, {"fieldSelector": fields} if fields else {})["items"])
        except ApiError as error:
            if error.code in {403, 404}:
                return []
            raise

    def create(self, body: Props, manager: str, *, dry_run: bool) -> Props:
        path = _path({**body, "metadata": {**body["metadata"], "name": ""}})
        return self._request("POST", path, {"fieldManager": manager, **_dry(dry_run)}, body)

    def apply(self, body: Props, manager: str, *, force: bool = False, dry_run: bool = False) -> Props:
        """By server-side apply."""
        query = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry_run)}
        return self._request("PATCH", _path(body), query, body, "application/apply-patch+yaml")

    def patch(self, identity: Props, operations: list[Props]) -> Props:
        return self._request("PATCH", _path(identity), {}, operations, "application/json-patch+json")

    def delete(self, identity: Props, propagation: str) -> None:
        self._request("DELETE", _path(identity), {}, {"propagationPolicy": propagation})

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> Props:
        headers = {"Accept": "application/json", "Content-Type": content, **self.api.default_headers}
        settings = self.api.configuration
        self.api.update_params_for_auth(headers, [], list(settings.auth_settings()), path, method, body)
        try:
            answer = self.api.rest_client.pool_manager.request(
                method,
                settings.host + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=_SECONDS_TO_CONNECT, read=_SECONDS_TO_ANSWER),
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f'{method.capitalize()} "{settings.host}{path}": {error}') from error
        return _answer(answer)


def _answer(answer: Any) -> Props:
    if 200 <= answer.status < 300:
        return dict(json.loads(answer.data))
    try:
        said = json.loads(answer.data)
    except ValueError:
        said = {"message": "the server could not find the requested resource" if answer.status == 404 else ""}
    message = said.get("message") or answer.data.decode(errors="replace") or f"the server answered {answer.status}"
    raise ApiError(message, answer.status, said.get("reason") or "", said.get("details"))


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _path(identity: Props) -> str:
    """Where the API server has the object, or without a name, all of its kind."""
    version, kind, metadata = identity["apiVersion"], identity["kind"], identity["metadata"]
    parts = ["apis", version] if "/" in version else ["api", version]
    if namespace := metadata.get("namespace"):
        parts += ["namespaces", namespace]
    parts += [plural(kind), *([metadata["name"]] if metadata.get("name") else [])]
    return "/" + "/".join(quote(part, safe="/") for part in parts)


def plural(kind: str) -> str:
    """As the API server names the kind in its addresses."""
    name = kind.lower()
    if name == "endpoints":
        return name
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}es" if name.endswith("s") else f"{name}s"
