"""`make rehearse ENV=dev`: an environment where neither image registries nor Pulumi's plugins can be reached.

All is real but the plugin and where the images come from: a Docker Engine, one of its own where none runs, or a
Kubernetes cluster of one node; a registry; images of the programs of this machine by the official names; and the
stand-in for the provider. It stays until `make down`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psutil
import yaml
from docker.errors import DockerException
from rich.console import Console

from stacks import settings
from stacks.targets.supervisor import wait
from standins import images
from standins.cluster import Cluster, cluster
from standins.engine import engine
from standins.registry import registry
from toolchain import pulumi

ROOT = Path(__file__).resolve().parents[2]
_SECONDS_TO_START = 900
_SECONDS_TO_END = 180
_console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What an environment stands on: `host` is the engine's address, `registry` HOST:PORT, `provider` a port."""

    host: str
    client: docker.DockerClient
    registry: str
    provider: int

    @property
    def variables(self) -> dict[str, str]:
        """What Pulumi and ./watchstack find in their environment."""
        return {"DOCKER_HOST": self.host, "PULUMI_DEBUG_PROVIDERS": f"docker:{self.provider}"}

    def settings(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What is other in a stack file with these settings. Prometheus is published, for there is no Grafana."""
        socket = Path(self.host.removeprefix("unix://"))
        here = {
            "data_root": str(self.client.info()["DockerRootDir"]),
            "socket": str(socket),
            "socket_group": socket.stat().st_gid,
            "publish": ["prometheus"],
        }
        return {
            "docker": {**own.get("docker", {}), **here},
            "grafana": {"enabled": False},
            "registry": {"address": self.registry},
        }


@dataclass(frozen=True, kw_only=True)
class ClusterGround:
    """What an environment in a cluster stands on: the cluster, `registry` HOST:PORT, `provider` a port."""

    cluster: Cluster
    registry: str
    provider: int

    @property
    def variables(self) -> dict[str, str]:
        """What Pulumi and ./watchstack find in their environment."""
        return {"KUBECONFIG": str(self.cluster.kubeconfig), "PULUMI_DEBUG_PROVIDERS": f"kubernetes:{self.provider}"}

    def settings(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What is other in a stack file with these settings."""
        port = int(self.cluster.server.rpartition(":")[2])
        return {
            "grafana": {"enabled": False},
            "kubernetes": {**own.get("kubernetes", {}), "context": None, "api_port": port},
            "registry": {"address": self.registry},
        }


@contextmanager
def cluster_ground(directory: Path, *, long_term: bool = False) -> Iterator[ClusterGround]:
    """A cluster of one node, with all it has in `directory`; its registry has images of long-term storage if asked."""
    directory.mkdir(parents=True, exist_ok=True)
    with (
        cluster(directory / "cluster", lambda step: _console.print(step, style="dim")) as there,
        registry(directory / "registry") as address,
    ):
        images.push(address, [*images.names(), images.ours(), *_long_term(long_term)])
        own = {"KUBECONFIG": str(there.kubeconfig)}
        with provider("kubernetes", own, directory / "provider.log") as port:
            yield ClusterGround(cluster=there, registry=address, provider=port)


@contextmanager
def ground(directory: Path, *, running: bool = False, long_term: bool = False) -> Iterator[Ground]:
    """With all it has in `directory`. `running`: an engine that runs is used, before one is started."""
    directory.mkdir(parents=True, exist_ok=True)
    with _engine(directory / "engine", running=running) as host, registry(directory / "registry") as address:
        images.push(address, [*images.names(), *_long_term(long_term)])
        with provider("docker", {"DOCKER_HOST": host}, directory / "provider.log") as port:
            client = docker.DockerClient(base_url=host)
            yield Ground(host=host, client=client, registry=address, provider=port)


def _long_term(wanted: bool) -> list[str]:
    return [images.official(name) for name in images.LONG_TERM if wanted]


@contextmanager
def _engine(directory: Path, *, running: bool) -> Iterator[str]:
    if running and (host := _found()):
        yield host
    else:
        with engine(directory) as there:
            yield there.host


def _found() -> str | None:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        docker.DockerClient(base_url=host, timeout=5).ping()
    except DockerException:
        return None
    return host


@contextmanager
def provider(name: str, variables: Mapping[str, str], log: Path) -> Iterator[int]:
    """The port of a stand-in for a provider of Pulumi."""
    own = {**os.environ, **variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-m", f"standins.{name}_provider"]
    with (
        log.open("w") as said,
        subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=said, text=True) as server,
    ):
        try:
            assert server.stdout
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def _place(environment: str) -> Path:
    return ROOT / ".watchstack" / "rehearsal" / environment


def _variables(environment: str) -> Path:
    """Read by the Makefile: while it is there, `make up`, `down` and `preview` are about the rehearsal."""
    return _place(environment).with_suffix(".mk")


def written(stack_file: Path) -> dict[str, Any]:
    """What a stack file says, by key."""
    config = yaml.safe_load(stack_file.read_text(encoding="utf-8"))["config"]
    return {key.removeprefix("watchstack:"): value for key, value in config.items()}


def hold(environment: str) -> None:
    """Be the ground of a rehearsal until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    own = written(settings.stack_file(environment))
    # One of processes is rehearsed in containers.
    target = "kubernetes" if own["target"] == "kubernetes" else "docker"
    with _ground_of(target, _place(environment), long_term="thanos" in own) as found:
        changes = {f"watchstack:{key}": json.dumps(value) for key, value in found.settings(own).items()}
        changes["watchstack:target"] = target
        lines = [f"export {name} := {value}" for name, value in found.variables.items()]
        lines.append("CONFIG += " + " ".join(f"-c '{key}={value}'" for key, value in changes.items()))
        new = _variables(environment).with_suffix(".new")
        new.write_text("\n".join([*lines, f"REHEARSAL := {os.getpid()}"]) + "\n")
        new.rename(_variables(environment))
        ended.wait()
        _variables(environment).unlink()


def _ground_of(target: str, directory: Path, *, long_term: bool) -> AbstractContextManager[Ground | ClusterGround]:
    if target == "kubernetes":
        return cluster_ground(directory, long_term=long_term)
    return ground(directory, running=True, long_term=long_term)


def start(environment: str) -> int:
    """Start the ground in the background, and return once it is there."""
    pulumi.stack_file(environment)
    if written(settings.stack_file(environment))["lifecycle"] == "durable":
        _console.print(
            f"{environment} is durable: a rehearsal of it would tell its real receivers, and write to its bucket. "
            "Rehearse another one, such as staging.",
            style="red",
        )
        return 1
    _console.print(
        "This is a rehearsal: the images hold programs of this machine, under the official names and in the versions "
        "that are installed here, and a stand-in does what Pulumi's plugin does. There is no Grafana."
    )
    if _variables(environment).exists():
        return 0
    _place(environment).mkdir(parents=True, exist_ok=True)
    log = _place(environment) / "rehearsal.log"
    own = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    with log.open("w") as said, _console.status("starting an engine or a cluster and a registry, and making images"):
        holder = subprocess.Popen(
            [sys.executable, "-m", "standins.rehearse", environment, "--hold"],
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        wait(lambda: _variables(environment).exists() or holder.poll() is not None, _SECONDS_TO_START)
    if not _variables(environment).exists():
        _console.print(f"the rehearsal does not start; {log}:\n{log.read_text()[-2000:]}", style="red", markup=False)
        return 1
    return 0


def end(environment: str) -> int:
    """End the ground of a rehearsal, if there is one, and all it has."""
    if not _variables(environment).exists():
        return 0
    words = _variables(environment).read_text().splitlines()[-1]
    holder = psutil.Process(int(words.rpartition(" ")[2]))
    with _console.status("ending the rehearsal"):
        holder.terminate()
        psutil.wait_procs([holder], timeout=_SECONDS_TO_END)
    _remove(_place(environment))
    pulumi.tidy()
    return 0


def _remove(place: Path) -> None:
    shutil.rmtree(place)
    if not any(place.parent.iterdir()):
        place.parent.rmdir()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m standins.rehearse", description=__doc__)
    parser.add_argument("environment")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--hold", action="store_true", help="be the ground, until SIGTERM")
    what.add_argument("--end", action="store_true", help="end it")
    asked = parser.parse_args()
    if asked.hold:
        hold(asked.environment)
        return 0
    return end(asked.environment) if asked.end else start(asked.environment)


if __name__ == "__main__":
    sys.exit(main())
