import io
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from standins import images
from standins.engine import Engine, engine
from standins.images import Entry, File, Folder, ImageFailed, Link
from standins.registry import registry

ROOT = Path(__file__).parents[2]
# What the official images say of themselves.
USERS = {
    "docker.io/prom/prometheus": "nobody",
    "docker.io/prom/alertmanager": "nobody",
    "docker.io/prom/node-exporter": "nobody",
    "docker.io/grafana/loki": "10001",
    "docker.io/otel/opentelemetry-collector-contrib": "10001",
    "docker.io/jaegertracing/jaeger": "10001",
    "quay.io/prometheuscommunity/postgres-exporter": "nobody",
    "docker.io/oliver006/redis_exporter": "59000:59000",
    "ghcr.io/google/cadvisor": "",
}
WITH_SHELL = ("prometheus", "alertmanager", "node-exporter", "postgres-exporter", "cadvisor")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def digests(address: str) -> Mapping[str, str]:
    """Official reference -> digest, of all images."""
    return images.push(address)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(tmp_path_factory.mktemp("engine") / "own") as there:
        yield there


def run(there: Engine, image: str | None, command: list[str], **more: Any) -> str:
    """Output of a container that has no network, no write access and no capabilities."""
    least = {"network_mode": "none", "read_only": True, "cap_drop": ["ALL"], "remove": True, "stderr": True}
    arguments: Any = {"image": image, "command": command} | least | more
    said: bytes = there.client.containers.run(**arguments)
    return said.decode()


@pytest.mark.e2e
@pytest.mark.parametrize("name", USERS)
def test_images_run_as_their_user(there: Engine, address: str, digests: Mapping[str, str], name: str) -> None:
    reference = next(each for each in images.names() if each.startswith(f"{name}:"))
    repository, digest = images.local(address, reference).rpartition(":")[0], digests[reference]
    pulled = there.client.images.pull(f"{repository}@{digest}")
    assert pulled.attrs["RepoDigests"] == [f"{repository}@{digest}"]
    assert pulled.attrs["Config"]["User"] == USERS[name]
    said = run(there, pulled.id, ["version" if name.endswith("jaeger") else "--version"])
    assert "version" in said.lower() or "Redis Metrics Exporter" in said
    has_shell = name.rpartition("/")[2] in WITH_SHELL
    if has_shell:
        assert run(there, pulled.id, ["-un"], entrypoint="id").strip() == (USERS[name] or "root")
    else:
        with pytest.raises(docker.errors.APIError, match="no such file or directory"):
            run(there, pulled.id, ["-c", "true"], entrypoint="/bin/sh")


@pytest.mark.e2e
def test_an_image_comes_back_after_it_was_removed(there: Engine, address: str, digests: Mapping[str, str]) -> None:
    reference = images.official("prometheus")
    name = images.local(address, reference)
    pulled = there.client.images.pull(name)
    there.client.images.remove(pulled.id, force=True)
    with pytest.raises(docker.errors.ImageNotFound):
        there.client.images.get(name)
    assert there.client.images.pull(name).id == pulled.id
    assert images.push(address, [reference]) == {reference: digests[reference]}
    directory = there.client.containers.run(name, ["-c", "%u %a %n", "/prometheus"], entrypoint="stat", remove=True)
    assert directory.decode() == f"{images.NOBODY} 755 /prometheus\n"


@pytest.mark.e2e
def test_the_commands_of_busybox(there: Engine, address: str, digests: Mapping[str, str]) -> None:
    del digests
    name = images.local(address, images.official("busybox"))
    there.client.images.pull(name)
    script = """
    set -e
    mkdir /data/a; echo one >/data/a/f; chown 65534:65534 /data/a/f; ln -s f /data/a/link
    find /data -name 'f' -user 65534 | grep -c a/f
    head -c 3 /data/a/link | base64
    sleep 60 & kill %1
    echo answer | nc -l -p 7000 >/dev/null & sleep 0.3
    nc 127.0.0.1 7000 </dev/null
    httpd -p 127.0.0.1:7001 -h /data/a; wget -qO- http://localhost:7001/f
    """
    more = {"tmpfs": {"/data": ""}, "cap_add": ["CHOWN", "DAC_OVERRIDE"]}
    assert run(there, name, ["sh", "-c", script], **more).splitlines() == ["1", "b25l", "answer", "one"]


@pytest.mark.e2e
def test_applications_are_built_on_python_with_nothing_to_download(
    there: Engine, address: str, digests: Mapping[str, str], tmp_path: Path
) -> None:
    del digests
    name = images.local(address, images.official("python"))
    there.client.images.pull(name)
    for folder in ("workloads", "instrument"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    built, log = there.client.images.build(
        path=str(tmp_path), dockerfile="workloads/Dockerfile", buildargs={"BASE": name}
    )
    said = "".join(str(line["stream"]) for line in log if isinstance(line, dict) and "stream" in line)
    pinned = (ROOT / "workloads" / "requirements.txt").read_text().split()
    assert [line for line in pinned if f"Requirement already satisfied: {line} " not in said] == []
    assert "Collecting" not in said
    script = """
import importlib, pkgutil
for top in ("workloads", "instrument"):
    for module in pkgutil.walk_packages([f"/opt/watchstack/{top}"], f"{top}."):
        if not module.name.endswith((".__main__", ".streamlit")):
            importlib.import_module(module.name)
            print(module.name)
"""
    imported = run(there, built.id, ["-c", script], entrypoint="python3").splitlines()
    assert {"workloads.capture", "workloads.lmmc.process", "instrument.tracing.export"} <= set(imported)


@pytest.mark.e2e
def test_cadvisor_sees_containers_of_its_engine(there: Engine, address: str, digests: Mapping[str, str]) -> None:
    del digests
    cadvisor, busybox = (
        images.local(address, each) for each in (images.official("cadvisor"), images.official("busybox"))
    )
    for name in (cadvisor, busybox):
        there.client.images.pull(name)
    seen = there.client.containers.run(busybox, ["sleep", "600"], name="seen", labels={"a.b": "c"}, detach=True)
    socket = there.host.removeprefix("unix://")
    volumes = ["/:/rootfs:ro", "/sys:/sys:ro", f"{socket}:/var/run/docker.sock"]
    watching = there.client.containers.run(
        cadvisor,
        ["-docker_only", "-store_container_labels=false", "-whitelisted_container_labels=a.b"],
        volumes=volumes,
        detach=True,
    )
    script = (
        "until wget -qO- http://localhost:8080/metrics | grep '^container_memory_usage_bytes.*seen'; do sleep 0.2; done"
    )
    code, said = watching.exec_run(["timeout", "20", "sh", "-c", script])
    assert isinstance(said, bytes)
    logs = watching.logs().decode()
    watching.remove(force=True, v=True)
    seen.remove(force=True)
    assert code == 0, logs
    assert 'container_label_a_b="c"' in said.decode()
    assert f'image="{busybox}",name="seen"' in said.decode()


@pytest.mark.e2e
def test_kube_state_metrics_is_a_program_without_a_shell(
    there: Engine, address: str, digests: Mapping[str, str]
) -> None:
    del digests
    name = images.local(address, images.official("kube-state-metrics"))
    image = there.client.images.pull(name)
    assert image.attrs["Config"]["User"] == "nobody"
    assert image.attrs["Config"]["Entrypoint"] == ["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"]
    assert "--resources" in run(there, name, ["--help"])
    with pytest.raises(docker.errors.ContainerError, match="resource podz does not exist"):
        run(there, name, ["--resources=podz"])
    with pytest.raises(docker.errors.APIError, match="no such file or directory"):
        run(there, name, ["-c", "true"], entrypoint="/bin/sh")


@pytest.mark.e2e
def test_an_unknown_image_is_refused(address: str) -> None:
    with pytest.raises(ImageFailed, match=r"docker\.io/prom/promethues:v3\.15\.0 has no stand-in; did you mean"):
        images.push(address, ["docker.io/prom/promethues:v3.15.0"])


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("x")
    entries: dict[str, Entry] = {
        "/bin/x": File(program, 0o755),
        "/bin/y": Link("x"),
        "/data": Folder(1, 0o700),
        "/etc/z": File("text"),
    }
    one, two = io.BytesIO(), io.BytesIO()
    images._write(entries, one)
    program.touch()
    images._write(dict(reversed(entries.items())), two)
    assert one.getvalue() == two.getvalue()
