"""Another machine by its network: it is reached at its address alone, reaches this one, and leaves nothing."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from standins.elsewhere import Elsewhere, elsewhere

pytestmark = pytest.mark.e2e

# Connects to HOST PORT, and prints what it is told there.
CLIENT = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).recv(9).decode())"
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    print(server.getsockname()[1], flush=True)
    server.accept()[0].sendall(b"it is me")
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from standins.elsewhere import elsewhere
with elsewhere(Path(sys.argv[1])) as there:
    print(there.namespace, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _told(server: list[str], client: list[str], address: str) -> str:
    with subprocess.Popen([*server, "-c", SERVER, address], stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout
        port = listening.stdout.readline().strip()
        asked = [*client, "-c", CLIENT, address, port]
        return subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _left(there: Elsewhere) -> list[str]:
    names = [name for name in psutil.net_if_addrs() if name == there.namespace]
    return names + [str(path) for path in Path("/run/netns").glob(there.namespace)]


def test_each_reaches_the_other_and_nothing_is_left(tmp_path: Path) -> None:
    with elsewhere(tmp_path) as there:
        far = there.command(sys.executable)
        assert _told(far, [sys.executable], there.address) == "it is me"
        assert _told([sys.executable], far, there.here) == "it is me"
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([*far, "-c", CLIENT, "10.255.255.1", "1"], stderr=subprocess.PIPE, check=True)
    assert _left(there) == []


def test_two_have_networks_of_their_own(tmp_path: Path) -> None:
    with elsewhere(tmp_path / "one") as one, elsewhere(tmp_path / "two") as two:
        assert len({one.address, one.here, two.address, two.here}) == 4


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    own = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    left = subprocess.run(command, env=own, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    assert left in psutil.net_if_addrs()
    with elsewhere(tmp_path) as there:
        assert there.namespace == left
    assert _left(there) == []
