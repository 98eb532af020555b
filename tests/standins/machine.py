"""What stand-ins that need root do to this machine: commands, interfaces, mounts, and processes that were left."""

import contextlib
import fcntl
import ipaddress
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil


class MachineFailed(Exception):
    """A command did not do its work."""


def run(*command: str, given: str | None = None) -> str:
    """The output of a command that gets `given`. MachineFailed carries what it said."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineFailed(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def holds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def serving(names: Sequence[str], marks: Sequence[str]) -> list[psutil.Process]:
    """Processes with one of these names that have one of the marks in their arguments."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() in names and any(mark in word for mark in marks for word in process.cmdline()):
                found.append(process)
    return found


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end(processes: Sequence[psutil.Process], number: signal.Signals, seconds: float) -> list[psutil.Process]:
    """Signal them and wait. Returns those that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return psutil.wait_procs(processes, timeout=seconds)[1]


def interfaces() -> dict[str, list[ipaddress.IPv4Address]]:
    return {
        name: [ipaddress.IPv4Address(each.address) for each in addresses if each.family == socket.AF_INET]
        for name, addresses in psutil.net_if_addrs().items()
    }


def unmount_below(folders: Sequence[Path]) -> None:
    """The last mounted first."""
    points = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if any(point.is_relative_to(folder) for folder in folders):
            run("umount", "--lazy", str(point))


@contextlib.contextmanager
def alone(directory: Path, taken: Exception) -> Iterator[None]:
    """Two never share a directory: the second one gets `taken`. The lock goes with its process, however that ends."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        try:
            yield
        finally:
            Path(lock.name).unlink()


@contextlib.contextmanager
def ending_well() -> Iterator[None]:
    """SIGTERM ends the `with`, where nobody else has said what it does."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end_once(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
