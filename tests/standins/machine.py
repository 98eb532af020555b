"""What stand-ins that need root do to this machine: commands, interfaces, mounts, and processes that were left."""

import contextlib
import ipaddress
import signal
import socket
import subprocess
from collections.abc import Sequence
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
