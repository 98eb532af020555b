"""The supervisor of a local environment: one supervisord, spoken to over its own socket.

It starts a program again within a second or two of its death, and keeps its output in rotated files.
"""

import hashlib
import http.client
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# Found in a process's environment, it says whose child the process is, should its supervisor be gone.
MARKER = "WATCHSTACK_HOME"
START_SECONDS = 10
STOP_SECONDS = 20

# supervisord reads all its files at each change: one change at a time.
_LOCK = threading.Lock()

_SUPERVISORD = """\
[supervisord]
identifier={identifier}
directory={home}
logfile={home}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
loglevel=warn
pidfile={home}/supervisord.pid
nocleanup=true

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={home}/programs/*.conf
"""

# startretries: a port that frees late must not end in FATAL, from which nothing restarts.
_PROGRAM = """\
[program:{name}]
command={command}
directory={directory}
autorestart=true
startsecs=1
startretries=30
stopwaitsecs={stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={directory}/log/stdout.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    """As supervisor's own, whose import costs more than all that an update asks which changes nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _Connection(self._path)
        self._connection = host, connection
        return connection


@dataclass(frozen=True)
class Supervisor:
    """The supervisor whose files are in `home`."""

    home: Path

    @property
    def socket(self) -> Path:
        # Not in `home`: the name of a socket is at most 107 bytes, and a clone may lie deep.
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"watchstack-{os.getuid()}-{digest}.sock"

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it, with nothing in its environment but `environment` and the marker. A running one stays."""
        if self.running():
            return
        self.end_orphans()
        # A new supervisor starts with no programs: each service puts its own, and waits until it is ready.
        shutil.rmtree(self.home / "programs", ignore_errors=True)
        (self.home / "programs").mkdir(parents=True)
        config = self.home / "supervisord.conf"
        identifier = f"watchstack-{self.home.name}"
        config.write_text(_SUPERVISORD.format(identifier=identifier, home=self.home, socket=self.socket))
        subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env={**environment, MARKER: str(self.home)},
            check=True,
            cwd=self.home,
        )
        if not wait(self.running, START_SECONDS):
            raise RuntimeError(f"supervisord does not answer on {self.socket}; see {self.home / 'supervisord.log'}")

    def stop(self) -> None:
        """End it and all its programs, and whatever they left running."""
        if self.running():
            own = psutil.Process(int((self.home / "supervisord.pid").read_text()))
            self._ask("shutdown")
            psutil.wait_procs([own], timeout=STOP_SECONDS + 5)
        self.end_orphans()
        self.socket.unlink(missing_ok=True)

    def running(self) -> bool:
        try:
            return bool(self._ask("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def put(self, name: str, command: Sequence[str]) -> None:
        """Start a program, or start it anew with another command."""
        self.remove(name)
        with _LOCK:
            self._program(name).write_text(self.program_text(name, command))
            self._ask("reloadConfig")
            self._ask("addProcessGroup", name)

    def program_text(self, name: str, command: Sequence[str]) -> str:
        return _PROGRAM.format(
            name=name,
            # A percent sign is supervisor's own escape character.
            command=shlex.join(command).replace("%", "%%"),
            directory=self.home / name,
            stop_seconds=STOP_SECONDS,
        )

    def has(self, name: str, command: Sequence[str]) -> bool:
        """Whether the program is kept running with exactly this command."""
        path = self._program(name)
        return path.is_file() and path.read_text() == self.program_text(name, command) and self.pid(name) is not None

    def restart(self, name: str) -> None:
        self._ask("stopProcess", name)
        wait_until_started = False
        self._ask("startProcess", name, wait_until_started)

    def reload(self, name: str) -> None:
        self._ask("signalProcess", name, "HUP")

    def remove(self, name: str) -> None:
        """Stop a program and forget it. One that is not there is no error."""
        self._program(name).unlink(missing_ok=True)
        if name not in {info["name"] for info in self._programs()}:
            return
        self._ask("stopProcessGroup", name)
        with _LOCK:
            self._ask("removeProcessGroup", name)
            self._ask("reloadConfig")

    def programs(self) -> dict[str, int]:
        """Process ids by name of the programs that run."""
        running = (info for info in self._programs() if info["statename"] in ("RUNNING", "STARTING"))
        return {info["name"]: info["pid"] for info in running if info["pid"]}

    def pid(self, name: str) -> int | None:
        """Process id of a running program, else None."""
        return self.programs().get(name)

    def pids(self) -> set[int]:
        """Every process of this environment, the supervisor's own among them."""
        return {process.pid for process in _marked(self.home)}

    def end_orphans(self) -> None:
        """End processes that outlived their supervisor, which a new one would collide with."""
        left = _marked(self.home)
        for process in left:
            process.terminate()
        _, alive = psutil.wait_procs(left, timeout=STOP_SECONDS)
        for process in alive:
            process.kill()

    def _programs(self) -> list[dict[str, Any]]:
        """What the supervisor says of its programs; nothing if it does not answer."""
        try:
            programs: list[dict[str, Any]] = self._ask("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return []
        return programs

    def _program(self, name: str) -> Path:
        return self.home / "programs" / f"{name}.conf"

    def _ask(self, method: str, *arguments: object) -> Any:
        # The host is never looked up: the transport knows its socket.
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=_Transport(self.socket)) as server:
            return getattr(server.supervisor, method)(*arguments)


def wait(condition: Any, seconds: float) -> bool:
    """Whether the condition came true in time; asked ten times a second."""
    # Only who waits pays for it: an update that changes nothing does not.
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed  # noqa: PLC0415

    retrying = Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.1),
        retry=retry_if_result(lambda value: not value),
        retry_error_callback=lambda _state: False,
    )
    return bool(retrying(condition))


def _marked(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == str(home):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
