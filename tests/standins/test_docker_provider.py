"""The stand-in for the Docker provider, with a small stack of all that Watchstack makes, on an engine of its own."""

import io
import secrets
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from standins import images
from standins.engine import Engine, engine
from standins.registry import registry
from standins.stack import Stack, served

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
PROGRAM = HERE / "program"
BUILD_PROGRAM = HERE / "build_program"
PULL_PROGRAM = HERE / "pull_program"
BUSYBOX = Path("/bin/busybox")
TOKEN = "open-sesame-0123456789"  # noqa: S105
BASE = {
    "name": "standin",
    "labels": {},
    "image": "local/busybox:1",
    "load": "ls -ln /watchstack/etc; cat /watchstack/etc/main.conf",
    "conf": "first\nsecond\nthird\n",
    "mode": {"permissions": "0640", "owner": "65534", "group": "65533"},
    "token": "",
    "port": 28080,
    "memory": 32,
    "cpus": "0.5",
    "interval": "1s",
    "wait": False,
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with two images of a shell, one of which has two names."""
    with engine(tmp_path_factory.mktemp("docker") / "engine") as running:
        for tag, label in (("1", "first"), ("2", "second")):
            running.client.api.import_image(
                src=_shell(), repository="local/busybox", tag=tag, changes=[f"LABEL is={label}"]
            )
        running.client.images.get("local/busybox:1").tag("local/busybox", "same")
        yield running


def _shell() -> bytes:
    """An archive of busybox and the links by which it is called."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(BUSYBOX, "bin/busybox")
        for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if name != "busybox":
                archive.addfile(link)
        for name in ("tmp", "watchstack"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
    return packed.getvalue()


@pytest.fixture(scope="module")
def port(there: Engine) -> Iterator[int]:
    """That of the stand-in."""
    with served("docker_provider", DOCKER_HOST=there.host) as port:
        yield port


@pytest.fixture(scope="module")
def stack(port: int, there: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("stack"), PROGRAM, BASE, docker=port)
    assert set(made.changes()) == {"network", "volume", "image", "loader", "service"}
    made.up()
    yield made
    made.run("destroy", "--yes", "--stack", "test")
    client = there.client
    assert not client.containers.list(all=True)
    assert not client.volumes.list()
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    assert client.images.get("local/busybox:1")  # keep_locally


def _seen(there: Engine, name: str) -> dict[str, Any]:
    return dict(there.client.api.inspect_container(f"standin-{name}"))


def test_files_are_in_the_volume_before_the_loader_runs(stack: Stack) -> None:
    stack.up("--expect-no-changes")
    outputs = stack.outputs()
    assert outputs["exit_code"] == 0
    assert "-rw-r-----    1 65534    65533" in outputs["logs"]
    assert outputs["logs"].endswith(BASE["conf"])
    assert outputs["networks"][0]["networkName"] == "standin"


def test_the_service_is_as_the_arguments_say(stack: Stack, there: Engine) -> None:
    stack.up()
    seen = _seen(there, "service")
    host, config = seen["HostConfig"], seen["Config"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (32 * 2**20, 32 * 2**20, 5 * 10**8)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert (host["Tmpfs"], host["RestartPolicy"]["Name"]) == ({"/tmp": "size=1m"}, "unless-stopped")  # noqa: S108
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28080"}]}
    assert host["Binds"] == ["standin:/watchstack/etc:ro"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert (host["Ulimits"], config["User"]) == ([{"Name": "nofile", "Soft": 1024, "Hard": 2048}], "65534:65534")
    assert (config["WorkingDir"], config["Labels"]["watchstack.environment"]) == ("/watchstack", "standin")
    assert (config["Healthcheck"]["Test"], config["Healthcheck"]["Interval"]) == (["CMD", "/bin/true"], 10**9)
    networks = seen["NetworkSettings"]["Networks"]
    assert list(networks) == ["standin"]
    assert "service" in networks["standin"]["Aliases"]


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"conf": "first\n2nd\nthird\n"}, {"loader": "replace"}),
        ({"memory": 48}, {"service": "update"}),
        ({"wait": True}, {"service": "update"}),
        ({"port": 28081}, {"service": "replace"}),
        ({"cpus": "0.25"}, {"service": "replace"}),
        ({"interval": "2s"}, {"service": "replace"}),
        ({"image": "local/busybox:2"}, {"image": "replace", "loader": "replace", "service": "replace"}),
        # The id is known only when the image is there.
        ({"image": "local/busybox:same"}, {"image": "replace", "loader": "replace", "service": "replace"}),
        ({"labels": {"new": "one"}}, dict.fromkeys(("network", "volume", "loader", "service"), "replace")),
    ],
)
def test_what_a_change_replaces(stack: Stack, settings: dict[str, Any], changes: dict[str, str]) -> None:
    stack.up()
    assert stack.changes(**settings) == changes


def test_an_image_of_another_name_and_the_same_id_replaces_no_container(stack: Stack, there: Engine) -> None:
    stack.up()
    before = _seen(there, "service")["Id"]
    stack.up(image="local/busybox:same")
    assert _seen(there, "service")["Id"] == before
    stack.up()


def test_an_edit_of_a_file_shows_its_lines_and_replaces_the_loader_alone(stack: Stack, there: Engine) -> None:
    stack.up()
    before = {name: _seen(there, name)["Id"] for name in ("loader", "service")}
    stack.set(conf="first\n2nd\nthird\n")
    lines = [line.strip() for line in stack.run("preview", "--diff", "--stack", "test").splitlines()]
    assert {"- second", "+ 2nd"} <= set(lines)
    stack.up(conf="first\n2nd\nthird\n")
    assert "2nd" in stack.outputs()["logs"]
    assert _seen(there, "service")["Id"] == before["service"]
    assert _seen(there, "loader")["Id"] != before["loader"]


def test_memory_changes_in_place_and_a_port_does_not(stack: Stack, there: Engine) -> None:
    stack.up()
    before = _seen(there, "service")["Id"]
    stack.up(memory=48)
    after = _seen(there, "service")
    assert (after["Id"], after["HostConfig"]["Memory"], after["HostConfig"]["MemorySwap"]) == (
        before,
        48 << 20,
        48 << 20,
    )
    stack.up("--expect-no-changes", memory=48)
    stack.up(memory=48, port=28081)
    assert _seen(there, "service")["Id"] != before
    assert list(_seen(there, "service")["NetworkSettings"]["Ports"]["8080/tcp"][0].values()) == ["127.0.0.1", "28081"]


def test_a_refresh_finds_what_is_gone_and_what_has_stopped(stack: Stack, there: Engine) -> None:
    stack.up()
    stack.run("refresh", "--yes", "--stack", "test")
    stack.up("--expect-no-changes")
    there.client.api.remove_container("standin-service", force=True)
    stack.run("refresh", "--yes", "--stack", "test")
    assert stack.changes() == {"service": "create"}
    stack.up()
    there.client.api.stop("standin-service", timeout=0)
    stack.run("refresh", "--yes", "--stack", "test")
    assert stack.changes() == {"service": "replace"}  # an ended container has no ports
    stack.up()
    assert _seen(there, "service")["State"]["Running"]


def test_secrets_are_not_in_the_state(stack: Stack) -> None:
    stack.up(token=TOKEN, load="cat /watchstack/etc/token | wc -c")
    assert stack.outputs()["logs"].strip() == str(len(TOKEN))
    assert TOKEN not in stack.state()
    stack.set(token=TOKEN.upper())
    shown = stack.run("preview", "--diff", "--stack", "test")
    assert "uploads: [secret] => [secret]" in shown.replace("  ", " ")
    assert TOKEN.upper() not in shown
    stack.run("refresh", "--yes", "--stack", "test")
    assert TOKEN not in stack.state()


def test_an_exit_code_is_an_output_and_no_failure(stack: Stack) -> None:
    stack.up(load="echo refused >&2; exit 3")
    outputs = stack.outputs()
    assert (outputs["exit_code"], outputs["logs"]) == (3, "refused\n")
    stack.up("--expect-no-changes", load="echo refused >&2; exit 3")


def test_waiting_for_health(stack: Stack, there: Engine) -> None:
    stack.up(port=28082, wait=True)
    assert _seen(there, "service")["State"]["Health"]["Status"] == "healthy"


def test_a_container_that_fails_stays_and_is_known(stack: Stack, there: Engine) -> None:
    stack.up()
    blocking = there.client.containers.run(
        "local/busybox:1", ["sleep", "600"], detach=True, ports={"80/tcp": ("127.0.0.1", 28083)}
    )
    try:
        refusal = stack.up(port=28083, fails=True)
    finally:
        blocking.remove(force=True)
    assert "container standin-service: Unable to start container" in refusal
    assert _seen(there, "service")["State"]["Status"] == "created"
    # The next update takes it as it is; only a refresh sees that it does not run.
    assert stack.changes(port=28083) == {"service": "update"}
    stack.run("refresh", "--yes", "--stack", "test")
    stack.up(port=28083)
    assert _seen(there, "service")["State"]["Running"]


def test_a_name_in_use_and_an_unknown_image_are_refused(stack: Stack, there: Engine) -> None:
    stack.up()
    there.client.api.remove_container("standin-service", force=True)
    stack.run("refresh", "--yes", "--stack", "test")
    other = there.client.containers.create("local/busybox:1", ["true"], name="standin-service")
    try:
        refusal = stack.up(fails=True)
    finally:
        other.remove()
    assert 'Conflict. The container name "/standin-service" is already in use by container' in refusal
    assert "unable to pull image 127.0.0.1:1/nowhere:1" in stack.up(image="127.0.0.1:1/nowhere:1", fails=True)


def test_arguments_that_no_engine_takes_are_refused_before_anything_is_done(stack: Stack) -> None:
    stack.up()
    stack.set(mode={"permissions": "640"})
    assert "uploads.permissions '640' does not match 0[0-7]{3}" in stack.run("preview", "--stack", "test", fails=True)


def test_images_are_built_from_a_context(port: int, there: Engine, tmp_path: Path) -> None:
    made = Stack(tmp_path, BUILD_PROGRAM, BASE, docker=port)
    made.up(host=there.host, word="built")
    try:
        assert there.client.images.get("built:1").id == made.outputs()["image"]
        assert there.client.containers.run("built:1", ["cat", "/word"], remove=True) == b"built\n"
        made.up("--expect-no-changes", host=there.host, word="built")
        assert made.changes(host=there.host, word="other") == {"image": "replace"}
    finally:
        made.run("destroy", "--yes", "--stack", "test")
    with pytest.raises(docker.errors.ImageNotFound):
        there.client.images.get("built:1")


def test_images_are_pulled_with_the_login_of_their_registry(port: int, there: Engine, tmp_path: Path) -> None:
    user, password = "puller", secrets.token_urlsafe()
    with registry(tmp_path / "registry", {user: password}) as address:
        reference = images.official("busybox")
        digest = images.push(address, [reference], (user, password))[reference]
        tag = images.local(address, reference)
        settings = {"address": address, "user": user, "host": there.host, "tag": tag, "digest": f"{tag}@{digest}"}
        made = Stack(tmp_path, PULL_PROGRAM, BASE, docker=port)
        assert "no basic auth credentials" in made.up(fails=True, **{**settings, "user": "", "password": ""})
        made.up(fails=False, **settings, password=password)
        outputs = made.outputs()
        assert len(set(outputs["images"])) == 1
        assert outputs["digest"] == f"{tag.rpartition(':')[0]}@{digest}"
        assert password not in made.state()
        made.run("destroy", "--yes", "--stack", "test")


def test_an_update_that_is_stopped_leaves_its_wait(stack: Stack, there: Engine) -> None:
    stack.up()
    before = _seen(there, "loader")["Id"]
    stack.set(load="sleep 600")
    update = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "test"],  # noqa: S607
        cwd=stack.directory,
        env=stack.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True):
        with attempt:
            seen = _seen(there, "loader")
            assert seen["Id"] != before
            assert seen["State"]["Running"]
    update.send_signal(signal.SIGINT)
    said, _ = update.communicate(timeout=30)
    assert update.returncode != 0
    assert "container standin-loader: the update was cancelled" in said
    stack.up()
