"""A container registry of one's own, for the length of a `with`: the distribution registry, on 127.0.0.1."""

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from standins import demand
from toolchain import programs

_SECONDS_TO_START = 30
_SECONDS_TO_STOP = 20


class RegistryFailed(Exception):
    """The registry was started, and does not listen."""


class NotYet(Exception):
    """The registry does not listen yet."""


@contextlib.contextmanager
def registry(directory: Path, users: Mapping[str, str] | None = None, port: int = 0) -> Iterator[str]:
    """An empty registry with its images and its log in `directory`; yields HOST:PORT. Engines take it without TLS.

    With `users`, name -> password, nobody else pulls or pushes. Without `port` it takes a free one.
    """
    demand.require(["registry"])
    program = programs.program("registry")
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "registry.yml"
    configuration.write_text(yaml.safe_dump(_settings(directory, port) | _access(directory, users or {}, program)))
    with (directory / "registry.log").open("w") as log:
        process = subprocess.Popen([program, "serve", configuration], stdout=log, stderr=log)
    try:
        yield _address(process, directory / "registry.log")
    finally:
        process.terminate()
        process.wait(_SECONDS_TO_STOP)


def _settings(directory: Path, port: int) -> dict[str, object]:
    return {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "images")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }


def _access(directory: Path, users: Mapping[str, str], program: Path) -> dict[str, object]:
    if not users:
        return {}
    file = directory / "htpasswd"
    file.touch(0o600)
    lines = (
        subprocess.run([program, "htpasswd", name], input=password, capture_output=True, text=True, check=True).stdout
        for name, password in users.items()
    )
    file.write_text("".join(lines))
    return {"auth": {"htpasswd": {"realm": "registry", "path": str(file)}}}


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """The port that it has taken is in its log."""
    for attempt in Retrying(
        retry=retry_if_exception_type(NotYet),
        stop=stop_after_delay(_SECONDS_TO_START),
        wait=wait_fixed(0.05),
        reraise=True,
    ):
        said = log.read_text(errors="replace")
        if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", said):
            return listening[1]
        if process.poll() is not None:
            raise RegistryFailed(f"the registry ended with {process.returncode}:\n{said[-2000:]}")
        with attempt:
            raise NotYet(f"the registry does not listen after {_SECONDS_TO_START} s; see {log}")
    raise AssertionError("the last attempt returns or raises")
