"""Other backends that Prometheus sends every sample to."""

from collections.abc import Mapping

from stacks.settings import Queue, RemoteWrite

# What rules and panels on it require.
NAME = "remote-write"

# Of what a shard holds back, in requests: as many as with Prometheus's own defaults.
_REQUESTS_WAITING = 5


def credentials(backends: Mapping[str, RemoteWrite]) -> set[str]:
    """The names of the secrets that are needed to log in."""
    return {name for each in backends.values() for name in (each.password, each.bearer) if name}


def config(backends: Mapping[str, RemoteWrite], secrets: str) -> list[dict[str, object]]:
    """`remote_write` of Prometheus's configuration; `secrets` is the directory of the secrets, seen from it."""
    return [_backend(name, each, secrets) for name, each in sorted(backends.items())]


def _backend(name: str, wanted: RemoteWrite, secrets: str) -> dict[str, object]:
    login: dict[str, object] = {}
    if wanted.password:
        login["basic_auth"] = {"username": wanted.username, "password_file": f"{secrets}/{wanted.password}"}
    if wanted.bearer:
        login["authorization"] = {"credentials_file": f"{secrets}/{wanted.bearer}"}
    headers = {"headers": dict(wanted.headers)} if wanted.headers else {}
    exemplars = {"send_exemplars": True} if wanted.exemplars else {}
    # Without a name Prometheus makes one of the whole entry, and its metrics would begin anew with every edit.
    return {"name": name, "url": wanted.url, "queue_config": _queue(wanted.queue), **login, **headers, **exemplars}


def _queue(wanted: Queue) -> dict[str, int]:
    return {**wanted.model_dump(), "capacity": wanted.max_samples_per_send * _REQUESTS_WAITING}
