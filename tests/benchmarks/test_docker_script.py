"""A script that makes what an engine has: from what the engine says, to lines of a shell."""

import io
import tarfile
from itertools import pairwise
from typing import Any

import pytest

from benchmarks import docker_script
from benchmarks.docker_script import Failed, Thing

SECOND = 10**9


def _container(name: str, *after: str, part: str = "", files: bytes = b"", **host: Any) -> Thing:
    seen = {
        "Binds": ["data:/data:rw"],
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "Devices": [],
        "ExtraHosts": None,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "Memory": 2**26,
        "MemorySwap": 2**26,
        "NanoCpus": SECOND // 2,
        "NetworkMode": "none",
        "PidMode": "",
        "PortBindings": {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19090"}]},
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "no"},
        "SecurityOpt": ["no-new-privileges:true"],
        "Ulimits": [{"Name": "nproc", "Soft": 1, "Hard": 2}],
        **host,
    }
    body = {
        "Image": "shell:1",
        "Entrypoint": ["sh", "-c"],
        "Cmd": ["sleep 1"],
        "Env": ["A=b"],
        "Healthcheck": {"Test": ["CMD", "wget", "a b"], "Interval": 10 * SECOND},
        "Labels": {"of": "test"},
        "User": "1:1",
        "WorkingDir": "/data",
        "HostConfig": seen,
    }
    networks = {"back": ["short"], "front": []} if host.get("NetworkMode") == "back" else {}
    return Thing("container", name, body, frozenset(after), networks, files, ends=bool(part), part=part)


def _script() -> dict[str, Thing]:
    volume = Thing("volume", "data", {"Labels": None}, frozenset(), {})
    return {
        "settle": _container("settle", "runs", part="settle"),
        "runs": _container("runs", "load", "data", NetworkMode="back"),
        "load": _container("load", "data", part="loader", files=b"a tar"),
        "data": volume,
    }


def test_what_is_needed_comes_first_and_nobody_waits_for_readiness() -> None:
    lines = [line for line, _ in docker_script.commands(_script())]
    assert [line[1:3] + line[-1:] for line in lines if line[1] in {"volume", "cp", "network", "start"}] == [
        ["volume", "create", "data"],
        ["cp", "-", "load:/"],
        ["start", "--attach", "load"],
        ["network", "connect", "runs"],
        ["start", "runs", "runs"],
    ]


def test_files_are_the_input_of_the_line_that_copies_them() -> None:
    assert [(line[1], given) for line, given in docker_script.commands(_script()) if given] == [("cp", b"a tar")]


def test_a_line_has_all_that_the_engine_says_of_a_container() -> None:
    (line, _), *_ = docker_script.commands({"one": _container("one")})
    assert line[:3] == ["docker", "run", "--detach"]
    assert line[-6:] == ["none", "--entrypoint", "sh", "shell:1", "-c", "sleep 1"]
    pairs = set(pairwise(line))
    assert {
        ("--volume", "data:/data:rw"),
        ("--cap-drop", "ALL"),
        ("--cpus", "0.5"),
        ("--health-cmd", "wget 'a b'"),
        ("--health-interval", "10000000000ns"),
        ("--label", "of=test"),
        ("--publish", "127.0.0.1:19090:9090/tcp"),
        ("--ulimit", "nproc=1:2"),
        ("--user", "1:1"),
    } <= pairs
    assert "--read-only" in line
    assert "--pid" not in line, "what is empty is not asked for"


def test_uploads_are_packed_in_one_archive_with_their_owners() -> None:
    given: list[dict[str, Any]] = [
        {"file": "/a/b", "content": "text", "permissions": "0644"},
        {"file": "/a/c", "content": {"plaintext": '"secret"'}, "permissions": "0400", "owner": "7", "group": "8"},
    ]
    with tarfile.open(fileobj=io.BytesIO(docker_script._packed(given))) as archive:
        found = [(each.name, each.mode, each.uid, each.gid, _read(archive, each)) for each in archive]
    assert found == [("a/b", 0o644, 0, 0, "text"), ("a/c", 0o400, 7, 8, "secret")]


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = archive.extractfile(member)
    assert content
    return content.read().decode()


class Api:
    """Takes what is asked of an engine; one-shot containers end with `code`."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.asked: list[str] = []

    def create_volume(self, name: str, *_: Any, **__: Any) -> None:
        self.asked.append(name)

    def create_container_from_config(self, config: dict[str, Any], name: str) -> None:
        assert ("back" in config["NetworkingConfig"]["EndpointsConfig"]) is (name == "runs")
        self.asked.append(name)

    def connect_container_to_network(self, name: str, network: str, aliases: list[str]) -> None:
        self.asked.append(f"{name} in {network} {aliases}")

    def put_archive(self, name: str, *_: Any) -> None:
        self.asked.append(f"files of {name}")

    def start(self, name: str) -> None:
        self.asked.append(f"start {name}")

    def wait(self, name: str) -> dict[str, int]:
        self.asked.append(f"end of {name}")
        return {"StatusCode": self.code}

    def logs(self, _: str) -> bytes:
        return b"what it said"


class Client:
    def __init__(self, api: Api) -> None:
        self.api = api


def test_the_same_is_made_over_the_api_in_order() -> None:
    api, script = Api(), _script()
    script["data"] = Thing("volume", "data", {"Driver": "local", "Labels": None}, frozenset(), {})
    docker_script.make(script, Client(api), 1)  # type: ignore[arg-type]
    assert api.asked == [
        *["data", "load", "files of load", "start load", "end of load"],
        *["runs", "runs in front []", "start runs", "settle", "start settle", "end of settle"],
    ]


def test_a_script_fails_with_the_words_of_what_did_not_end_well() -> None:
    with pytest.raises(Failed, match="load ended with 3: what it said"):
        docker_script.make({"load": _container("load", part="loader")}, Client(Api(3)), 1)  # type: ignore[arg-type]
