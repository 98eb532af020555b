import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from docker.models.containers import Container
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from standins import images
from standins.engine import Engine, EngineFailed, EngineMissing, engine
from standins.registry import registry

TESTS = Path(__file__).parents[1]
SERVER = ["sh", "-c", "echo here >/tmp/index.html; exec httpd -f -p 8000 -h /tmp"]
# A process that nothing else starts.
SLEEP = ["sleep", "86397"]
STARTER = f"""
import sys, time
from pathlib import Path
from standins.engine import engine
with engine(Path(sys.argv[1])) as there:
    there.client.images.pull(sys.argv[2])
    there.client.networks.create("left")
    there.client.containers.run(sys.argv[2], {SLEEP}, network="left", detach=True)
    print(there.pid, there.gateway, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a busybox image in a registry."""
    with registry(tmp_path_factory.mktemp("registry")) as address:
        images.push(address, [images.official("busybox")])
        yield images.local(address, images.official("busybox"))


def left(directory: Path, gateway: str) -> list[str]:
    """What is on this machine of an engine: nothing, once it has ended."""
    network = ".".join(gateway.split(".")[:2]) + "."
    rules = subprocess.run(["/usr/sbin/iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    processes = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    addresses = [each.address for group in psutil.net_if_addrs().values() for each in group]
    return [
        *(str(path) for path in directory.parent.glob(f"{directory.name}*")),
        *(line for line in mounts if str(directory) in line),
        *(rule for rule in rules if network in rule),
        *(address for address in addresses if address.startswith(network)),
        *(" ".join(command) for command in processes if command == SLEEP),
        *(
            " ".join(command)
            for command in processes
            if f"{directory}/" in " ".join(command) and "python" not in command[0]
        ),
    ]


def serve(there: Engine, image: str, network: str, name: str) -> Container:
    there.client.networks.create(network)
    ports = {"8000/tcp": ("127.0.0.1", 0)}
    return there.client.containers.run(
        image, SERVER, name=name, user="65534", network=network, ports=ports, detach=True
    )


def said(there: Engine, image: str, network: str, script: str) -> str:
    command = ["sh", "-c", f"{script} 2>&1; echo code $?"]
    return there.client.containers.run(image, command, user="65534", network=network, remove=True).decode()


def published(container: Container) -> str:
    container.reload()
    port = container.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
    for attempt in Retrying(
        retry=retry_if_exception_type(OSError), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True
    ):
        with attempt, urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    raise AssertionError


@pytest.mark.e2e
def test_networks_work_and_nothing_is_left(tmp_path: Path, busybox: str) -> None:
    directory = tmp_path / "engine"
    with engine(directory) as there:
        there.client.images.pull(busybox)
        web = serve(there, busybox, "one", "web")
        serve(there, busybox, "two", "other")
        assert published(web) == "here\n"
        assert said(there, busybox, "one", "wget -qO- http://web:8000/") == "here\ncode 0\n"
        assert said(there, busybox, "two", "wget -qO- http://other:8000/") == "here\ncode 0\n"
        apart = there.client.containers.get("other").attrs["NetworkSettings"]["Networks"]["two"]["IPAddress"]
        assert said(there, busybox, "one", f"timeout 2 wget -qO- http://{apart}:8000/").endswith("code 143\n")
        assert "bad address" in said(there, busybox, "one", "wget -qO- http://other:8000/")
        assert left(directory, there.gateway)
    assert left(directory, there.gateway) == []


@pytest.mark.e2e
def test_two_engines_are_apart_and_reach_the_outside(tmp_path: Path, busybox: str) -> None:
    """For the second engine, the first one's containers are the outside: forwarded by this machine, in its name."""
    with engine(tmp_path / "one") as one, engine(tmp_path / "two") as two:
        for there in (one, two):
            there.client.images.pull(busybox)
        web = serve(one, busybox, "net", "web")
        assert published(web) == "here\n"
        address = web.attrs["NetworkSettings"]["Networks"]["net"]["IPAddress"]
        two.client.networks.create("net")
        assert said(two, busybox, "net", f"timeout 5 wget -qO- http://{address}:8000/") == "here\ncode 0\n"
        assert two.client.networks.get("net").id != one.client.networks.get("net").id


@pytest.mark.e2e
@pytest.mark.parametrize("daemon_too", [False, True], ids=["starter", "starter and daemon"])
def test_an_engine_that_was_killed_is_cleared_away(tmp_path: Path, busybox: str, daemon_too: bool) -> None:
    directory = tmp_path / "engine"
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, directory, busybox], cwd=TESTS, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout
        pid, gateway = starter.stdout.readline().split()
        starter.kill()
    if daemon_too:
        os.kill(int(pid), signal.SIGKILL)
    assert " ".join(SLEEP) in left(directory, gateway)
    with engine(directory) as there:
        assert there.client.containers.list(all=True) == []
        assert " ".join(SLEEP) not in left(directory, gateway)
    assert left(directory, gateway) == []


@pytest.mark.e2e
def test_two_engines_never_share_a_directory(tmp_path: Path) -> None:
    with engine(tmp_path / "engine") as there:
        with pytest.raises(EngineFailed, match="another process runs an engine in"), engine(tmp_path / "engine"):
            pass
        assert there.client.ping()


@pytest.mark.e2e
def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "precious").touch()
    with pytest.raises(EngineFailed, match=r"files that no engine has put there$"), engine(tmp_path / "engine"):
        pass
    assert (tmp_path / "engine" / "precious").exists()


@pytest.mark.e2e
def test_a_daemon_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with (
        pytest.raises(EngineFailed, match=r"ended with 1:\n(.*\n)*.*taken"),
        engine(tmp_path / "engine", tmp_path / "taken"),
    ):
        pass
    assert not (tmp_path / "engine").exists()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if "docker" in program else program)
    with pytest.raises(EngineMissing, match=r"install Debian's docker\.io$"), engine(tmp_path / "engine"):
        pass


def test_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineMissing, match=r"as root, and this is user 1000$"), engine(tmp_path / "engine"):
        pass
