"""A connection to a Docker Engine, and what goes wrong with it in the words of the official provider."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker import errors

from standins.wire import Props

_SECONDS_IN_USE = 30
_SECONDS_BETWEEN = 0.2
_HUB = ("registry-1.docker.io", "index.docker.io", "docker.io", "registry.hub.docker.com")


class Failed(Exception):
    """The engine refused, or the wait was over."""


class Incomplete(Failed):
    """It was made and then failed: it stays, for Pulumi to know."""

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(reason)
        self.identity = identity


@dataclass(frozen=True)
class Engine:
    """`logins` are by the registry's host. Waits end when `cancelled` is set."""

    client: docker.APIClient
    logins: Mapping[str, Mapping[str, str]]
    cancelled: threading.Event

    def find_image(self, name: str, platform: str | None = None) -> Props:
        """The local image, pulled now if there is none."""
        with engine_errors(f"unable to inspect image {name}"):
            try:
                return dict(self.client.inspect_image(name))
            except errors.ImageNotFound:
                pass
        with engine_errors(f"unable to pull image {name}: error pulling image {name}"):
            self.client.pull(_tagged(name), auth_config=dict(self._login(name)), platform=platform)
        try:
            return dict(self.client.inspect_image(name))
        except errors.ImageNotFound:
            # The plugin does not look at what the engine says once a pull has begun.
            raise Failed(f"unable to find or pull image {name}") from None

    def until(self, seconds: float, done: Callable[[], bool]) -> bool:
        """Whether it was done within the time. Failed if the update is cancelled meanwhile."""
        end = time.monotonic() + seconds
        while not done():
            if self.cancelled.wait(_SECONDS_BETWEEN):
                raise Failed("the update was cancelled")
            if time.monotonic() > end:
                return False
        return True

    def remove(self, remove: Callable[[], None], in_use: str) -> None:
        """Remove it as soon as it is out of use; that it is gone already is as good."""

        def removed() -> bool:
            try:
                remove()
            except errors.NotFound:
                return True
            except errors.APIError as error:
                if in_use not in str(error.explanation):
                    raise
                return False
            return True

        if not self.until(_SECONDS_IN_USE, removed):
            raise Failed(f"still in use after {_SECONDS_IN_USE} seconds: {in_use}")

    def _login(self, name: str) -> Mapping[str, str]:
        host = name.split("/", maxsplit=1)[0]
        is_host = "/" in name and ("." in host or ":" in host or host == "localhost")
        names = (host,) if is_host and host not in _HUB else _HUB
        # An empty login keeps the SDK from looking into the user's own Docker configuration.
        return next((self.logins[each] for each in names if each in self.logins), {"username": "", "password": ""})


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """The engine's refusals, with what was being done."""
    try:
        yield
    except errors.APIError as error:
        raise Failed(f"{what}: Error response from daemon: {error.explanation or error}") from error


def _tagged(name: str) -> str:
    """With the tag that is meant if there is none: the engine would pull all of them."""
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
