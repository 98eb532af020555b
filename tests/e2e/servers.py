"""Real PostgreSQL and Redis on 127.0.0.1, for the length of a `with`. Nothing of them outlives it."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

POSTGRES_USER = "postgres"
REDIS_MEMORY = 64 * 2**20

_SECONDS_TO_START = 30
_SECONDS_TO_STOP = 20
_POSTGRES = Path("/usr/lib/postgresql")

Command = Sequence[str | Path]


class ServerMissing(Exception):
    """A server is needed and not installed."""


class NotYet(Exception):
    """The server does not answer."""


@dataclass(frozen=True)
class Server:
    """A running server. `password_file` holds its password, for its owner only."""

    address: str
    password_file: Path
    pid: int


@contextlib.contextmanager
def postgres(directory: Path, port: int) -> Iterator[Server]:
    """A new cluster with the superuser POSTGRES_USER. Its password file and its log are in `directory`."""
    programs = _postgres_programs()
    password = _password(directory / "postgres-password")
    # PostgreSQL refuses to run as root, and its user cannot enter a test's own directory.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="watchstack-postgres-") as own:
        home = Path(own)
        (home / "password").write_text(password.read_text())
        if user:
            shutil.chown(home, user)
            shutil.chown(home / "password", user)
        cluster = [f"--pgdata={home}/data", f"--username={POSTGRES_USER}", f"--pwfile={home}/password"]
        _run([programs / "initdb", *cluster, "--auth=scram-sha-256", "--no-sync", "--no-locale"], home, user)
        settings = [
            f"-cport={port}",
            "-clisten_addresses=127.0.0.1",
            f"-cunix_socket_directories={home}",
            "-cfsync=off",
        ]
        command: Command = [programs / "postgres", "-D", home / "data", *settings]
        ready: Command = [programs / "pg_isready", "--host=127.0.0.1", f"--port={port}"]
        # The polite signal would wait until the last client has left.
        with _running(command, ready, directory / "postgres.log", user, signal.SIGINT) as pid:
            yield Server(f"127.0.0.1:{port}", password, pid)


@contextlib.contextmanager
def redis(directory: Path, port: int) -> Iterator[Server]:
    """An empty Redis with at most REDIS_MEMORY bytes. Its password file and its log are in `directory`."""
    server, client = _program("redis-server", "redis-server"), _program("redis-cli", "redis-tools")
    password = _password(directory / "redis-password")
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": directory,
        "save": '""',
        "maxmemory": REDIS_MEMORY,
        "requirepass": password.read_text(),
    }
    configuration = directory / "redis.conf"
    configuration.touch(0o600)
    configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    # Without the password it answers that it wants one, which is an answer.
    ready: Command = [client, "-h", "127.0.0.1", "-p", str(port), "ping"]
    with _running([server, configuration], ready, directory / "redis.log", None, signal.SIGTERM) as pid:
        yield Server(f"127.0.0.1:{port}", password, pid)


@contextlib.contextmanager
def asked(server: Server) -> Iterator[None]:
    """Somebody asks a Redis for a key that it has and for one that it has not, twice a second, while the `with` lasts.

    Without it there is no share of hits.
    """
    over = threading.Event()
    host, _, port = server.address.partition(":")

    def ask(connection: socket.socket) -> None:
        while not over.wait(0.5):
            connection.sendall(b"GET watched\r\nGET missing\r\n")
            connection.recv(4096)

    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"AUTH {server.password_file.read_text()}\r\nSET watched yes\r\n".encode())
        asking = threading.Thread(target=ask, args=(connection,))
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()


def _password(file: Path) -> Path:
    file.touch(0o600)
    file.write_text(secrets.token_urlsafe(16))
    return file


def _postgres_programs() -> Path:
    """The directory of the newest PostgreSQL's programs, which Debian keeps off PATH."""
    found = [path.parent for path in _POSTGRES.glob("*/bin/initdb")]
    if not found:
        raise ServerMissing(f"there is no initdb below {_POSTGRES}; install Debian's postgresql")
    return max(found, key=lambda path: int(path.parent.name))


def _program(name: str, package: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise ServerMissing(f"there is no {name} on PATH; install Debian's {package}")
    return Path(found)


def _run(command: Command, directory: Path, user: str | None) -> None:
    done = subprocess.run(command, cwd=directory, user=user, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _running(command: Command, ready: Command, log: Path, user: str | None, stop: signal.Signals) -> Iterator[int]:
    """The process id of a program that has begun to answer. It is stopped and waited for at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, user=user, cwd="/", stdout=out, stderr=subprocess.STDOUT)
    try:
        for attempt in Retrying(
            wait=wait_fixed(0.05),
            stop=stop_after_delay(_SECONDS_TO_START),
            retry=retry_if_exception_type(NotYet),
            reraise=True,
        ):
            with attempt:
                assert process.poll() is None, log.read_text()
                if subprocess.run(ready, capture_output=True, check=False).returncode != 0:
                    raise NotYet(log.read_text())
        yield process.pid
    finally:
        process.send_signal(stop)
        process.wait(_SECONDS_TO_STOP)
