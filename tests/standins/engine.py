"""A Docker Engine of one's own, for the length of a `with`. Nothing outlives it, and no other engine is touched."""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from standins.elsewhere import Elsewhere
from standins.machine import alone, children, end, holds, interfaces, run, serving, unmount_below

_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 60
_SECONDS_TO_KILL = 10
_PROGRAMS = {"dockerd": "docker.io", "docker-proxy": "docker.io", "iptables": "iptables", "ip": "iproute2"}
# As the kernel names them: by the first fifteen letters, or whole.
_PROCESSES = ("dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2")
_STATE = "engine.json"
_LOCK = Path("/run/ws-engines.lock")


class EngineMissing(Exception):
    """Docker Engine is needed, and cannot be started here."""


class EngineFailed(Exception):
    """Docker Engine was started, and does not do its work."""


@dataclass(frozen=True)
class Engine:
    """A running engine. `host` is what DOCKER_HOST and the provider's `host` take; `gateway` reaches this machine."""

    host: str
    client: docker.DockerClient
    gateway: str
    pid: int


@contextlib.contextmanager
def engine(directory: Path, socket_file: Path | None = None, on: Elsewhere | None = None) -> Iterator[Engine]:
    """An empty engine with all it has in `directory`, which is absent, empty, or left by an engine that was killed.

    It listens at `socket_file`, or where it likes, and has the network of this machine, or that of the one that it is
    `on`. At the end its containers, networks, mounts, processes and data are gone, and so is `directory`.
    """
    _require_root_and_programs()
    directory = directory.absolute()
    with alone(directory, EngineFailed(f"another process runs an engine in {directory}")):
        _require_own(directory)
        _remove(directory)
        try:
            own = _Own.take(directory, on)
            with _running(own, socket_file or own.runtime / "docker.sock") as there:
                yield there
        finally:
            _remove(directory)


def _require_root_and_programs() -> None:
    missing = {package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        raise EngineMissing(f"Docker Engine cannot be started; install Debian's {', '.join(sorted(missing))}")
    if os.geteuid() != 0:
        raise EngineMissing(f"Docker Engine is started as root, and this is user {os.geteuid()}")


def _require_own(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()) and not (directory / _STATE).exists():
        raise EngineFailed(f"{directory} is removed at the end, and holds files that no engine has put there")


@dataclass(frozen=True)
class _Own:
    """The name, addresses, bridge and packet filter rules of one engine.

    dockerd's own rules are the same chains for every engine of a machine: starting a second one empties those of the
    first. So this one makes none, and these do the same for its addresses: containers reach the outside, networks do
    not reach each other. Ports are published by docker-proxy, which needs none.
    """

    directory: Path
    addresses: ipaddress.IPv4Network
    on: Elsewhere | None = None

    @classmethod
    def take(cls, directory: Path, on: Elsewhere | None) -> "_Own":
        """Choose addresses, and set up what belongs to them before another engine can choose the same."""
        with _LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            own = cls._choose(directory, on)
            own.up()
            return own

    @classmethod
    def _choose(cls, directory: Path, on: Elsewhere | None) -> "_Own":
        """Private addresses that no interface of this machine has."""
        taken = interfaces().values()
        for second in range(200, 250):
            addresses = ipaddress.IPv4Network(f"10.{second}.0.0/16")
            if not any(address in addresses for each in taken for address in each):
                own = cls(directory, addresses, on)
                directory.mkdir(parents=True)
                # On another machine it all goes with that.
                (directory / _STATE).write_text(json.dumps(None if on else str(addresses)))
                return own
        raise EngineFailed("no free private addresses: every 10.200.0.0/16 to 10.249.0.0/16 is used by an interface")

    @classmethod
    def read(cls, directory: Path) -> "_Own | None":
        """What an engine in this directory had chosen."""
        try:
            addresses = json.loads((directory / _STATE).read_text())
        except FileNotFoundError:
            return None
        return cls(directory, ipaddress.IPv4Network(addresses)) if addresses else None

    @property
    def name(self) -> str:
        """Of the bridge and of the chain: both have room for few letters."""
        return _name(self.directory)

    @property
    def runtime(self) -> Path:
        """Sockets have room for few letters too."""
        return _runtime(self.directory)

    @property
    def gateway(self) -> ipaddress.IPv4Address:
        return self.addresses[1]

    @property
    def _jumps(self) -> list[list[str]]:
        own = str(self.addresses)
        outside = ["-s", own, "!", "-d", own]
        return [["filter", "FORWARD", "-j", self.name], ["nat", "POSTROUTING", *outside, "-j", "MASQUERADE"]]

    def up(self) -> None:
        """dockerd makes the bridge docker0 alone, which another engine may have; any other it takes as it is."""
        self._run("ip", "link", "add", "name", self.name, "type", "bridge")
        self._run("ip", "address", "add", f"{self.gateway}/24", "dev", self.name)
        self._run("ip", "link", "set", self.name, "up")
        own = str(self.addresses)
        self._run("iptables", "-w", "-N", self.name)
        for rule in (
            ["-m", "physdev", "--physdev-is-bridged", "-s", own, "-d", own, "-j", "ACCEPT"],
            ["-s", own, "-d", own, "-j", "DROP"],
            ["-s", own, "-j", "ACCEPT"],
            ["-d", own, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
        ):
            self._run("iptables", "-w", "-A", self.name, *rule)
        for table, chain, *rule in self._jumps:
            self._run("iptables", "-w", "-t", table, "-I", chain, *rule)

    def command(self, *words: str) -> list[str]:
        return self.on.command(*words) if self.on else [*words]

    def _run(self, *words: str) -> None:
        run(*self.command(*words))

    def down(self) -> None:
        """Remove what is there of them. The bridges of its networks are known by their addresses."""
        for name, addresses in interfaces().items():
            if name == self.name or any(address in self.addresses for address in addresses):
                run("ip", "link", "delete", name)
        for table, chain, *rule in self._jumps:
            while holds("iptables", "-w", "-t", table, "-C", chain, *rule):
                run("iptables", "-w", "-t", table, "-D", chain, *rule)
        if holds("iptables", "-w", "-n", "-L", self.name):
            run("iptables", "-w", "-F", self.name)
            run("iptables", "-w", "-X", self.name)


@contextlib.contextmanager
def _running(own: _Own, socket_file: Path) -> Iterator[Engine]:
    directory = own.directory
    (directory / "daemon.json").write_text("{}")
    command = own.command(
        "dockerd",
        f"--host=unix://{socket_file}",
        # Not the configuration of the machine's own engine.
        f"--config-file={directory}/daemon.json",
        f"--data-root={directory}/data",
        f"--exec-root={own.runtime}",
        f"--pidfile={directory}/docker.pid",
        # Where the machine's containerd runs, dockerd uses it: in a namespace of its own.
        f"--containerd-namespace={own.name}",
        f"--containerd-plugins-namespace={own.name}-plugins",
        f"--bridge={own.name}",
        f"--default-address-pool=base={own.addresses},size=24",
        "--iptables=false",
        "--ip6tables=false",
        "--shutdown-timeout=5",
    )
    with (directory / "dockerd.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())
    client = None
    try:
        client = _answering(process, socket_file, directory / "dockerd.log")
        yield Engine(f"unix://{socket_file}", client, str(own.gateway), process.pid)
    finally:
        if client:
            with contextlib.suppress(docker.errors.APIError, OSError):
                _end_containers(client)
            client.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """dockerd finds its own programs; variables that point clients to another engine are not for it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}


def _answering(process: "subprocess.Popen[bytes]", socket_file: Path, log: Path) -> docker.DockerClient:
    """dockerd takes connections before it is ready, and answers once it is."""
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(OSError),
            stop=stop_after_delay(_SECONDS_TO_START),
            wait=wait_fixed(0.1),
            reraise=True,
        ):
            if process.poll() is not None:
                raise docker.errors.DockerException("it has ended")
            with attempt, socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(socket_file))
        return docker.DockerClient(base_url=f"unix://{socket_file}", timeout=120)
    except (OSError, docker.errors.DockerException) as problem:
        said = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise EngineFailed(f"dockerd does not answer: {problem}; it ended with {process.poll()}:\n{said}") from problem


def _end_containers(client: docker.DockerClient) -> None:
    for container in client.containers.list(all=True, ignore_removed=True):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


def _name(directory: Path) -> str:
    return f"ws-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def _runtime(directory: Path) -> Path:
    return Path("/run") / _name(directory)


def _remove(directory: Path) -> None:
    """Processes, interfaces, packet filter rules, mounts and files of an engine that has ended, or was killed."""
    folders = [directory, _runtime(directory)]
    _end_processes(directory)
    if own := _Own.read(directory):
        own.down()
    unmount_below(folders)
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _end_processes(directory: Path) -> None:
    """The daemon first: it ends what it knows. Then what a killed one left: shims, and the containers below them."""
    marks = (f"{directory}/", _name(directory))
    end(serving(["dockerd"], marks), signal.SIGTERM, _SECONDS_TO_STOP)
    rest = serving(_PROCESSES, marks)
    end([each for process in rest for each in (process, *children(process))], signal.SIGKILL, _SECONDS_TO_KILL)
