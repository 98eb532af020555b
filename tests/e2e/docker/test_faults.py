"""What goes wrong on the Docker target: runs that are killed anywhere, and what cannot be done said in clear words."""

import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker.models.images import Image
from standins import images, rehearse
from standins.engine import engine
from standins.leaks import leaks
from standins.registry import registry
from standins.rehearse import Ground

from e2e.environments import Environment
from toolchain import interrupted

pytestmark = pytest.mark.e2e

NAME = "faulty"
SMALL = {"loki": {"enabled": False}, "jaeger": {"enabled": False}, "target": "docker"}
OF_ENVIRONMENT = f"watchstack.environment={NAME}"
# The run ends before the seventh of more than a dozen operations of a kind has begun, or in one of those before it.
LAST_KILLED = 14


class Provider:
    """The stand-in of the provider, which a test may kill."""

    def __init__(self, there: Ground, log: Path) -> None:
        self._there, self._log, self._stack = there, log, ExitStack()
        self.start()

    def start(self) -> None:
        before = set(psutil.Process().children())
        self.port = self._stack.enter_context(rehearse.provider("docker", {"DOCKER_HOST": self._there.host}, self._log))
        (self.process,) = set(psutil.Process().children()) - before

    def restart(self) -> None:
        self.process.kill()
        self.close()
        self.start()

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def provider(there: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    found = Provider(there, tmp_path_factory.mktemp("provider") / "log")
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def faulty(there: Ground, provider: Provider, scratch: Path) -> Iterator[Callable[[], Environment]]:
    """The environment with the provider of the moment; at the end nothing is left of it on the engine."""

    def now() -> Environment:
        variables = {**there.variables, "PULUMI_DEBUG_PROVIDERS": f"docker:{provider.port}"}
        return Environment(NAME, scratch, variables=tuple(variables.items()))

    now().write(**SMALL, **there.settings({}))
    yield now
    now().write(**SMALL, **there.settings({}))
    now().down()
    assert now().watchstack("audit")["left"] == []


def _state(environment: Environment) -> Any:
    return json.loads(environment.pulumi("stack", "export"))["deployment"]


def _known(environment: Environment) -> set[str]:
    found = _state(environment)
    assert found.get("pending_operations", []) == []
    kinds = ("network:Network", "volume:Volume", "container:Container")
    return {one["id"] for one in found.get("resources", ()) if one["type"].removeprefix("docker:index/") in kinds}


def _on_engine(there: Ground) -> set[str]:
    label: dict[str, Any] = {"label": OF_ENVIRONMENT}
    client = there.client
    found = [*client.containers.list(all=True, filters=label), *client.networks.list(filters=label)]
    return {str(one.id) for one in [*found, *client.volumes.list(filters=label)]}


def _demand_whole(environment: Environment, there: Ground) -> None:
    """State and engine agree, services run, and what had to end has ended well."""
    assert _known(environment) == _on_engine(there)
    for one in there.client.containers.list(all=True, filters={"label": OF_ENVIRONMENT}):
        state = one.attrs["State"]
        ended = "watchstack.part" in one.labels
        assert (state["Status"], state["ExitCode"]) == ("exited" if ended else "running", 0), one.name
    environment.up("--expect-no-changes")


@contextmanager
def _run(environment: Environment, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    own = {**os.environ, **dict(environment.variables), "PYTHONPATH": str(environment.clone)}
    own |= {"PULUMI_HOME": str(environment.clone / ".pulumi-home")}
    command = [sys.executable, "-m", "toolchain.pulumi", environment.name, "--", *arguments]
    with subprocess.Popen(
        command, cwd=environment.clone, env=own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process


def _kill_within(environment: Environment, verb: str, chance: random.Random, kill: Callable[[int], None]) -> str:
    """Run a verb, and kill once a random operation of it is at a random point; says which it was."""
    left = chance.randint(1, LAST_KILLED)
    with _run(environment, verb, "--yes", "--skip-preview", "--json") as process:
        assert process.stdout
        for line in process.stdout:
            what = json.loads(line).get("resourcePreEvent", {}).get("metadata") if line.startswith('{"seq') else None
            if not what or not what["type"].startswith("docker:") or what["op"] == "same":
                continue
            left -= 1
            if left == 0:
                time.sleep(chance.uniform(0, 0.4))
                (pulumi,) = (one for one in psutil.Process(process.pid).children() if one.name() == "pulumi")
                kill(pulumi.pid)
                process.stdout.read()
                assert process.wait() != 0
                return f"{what['op']} {what['urn'].rpartition('::')[2]}"
    raise AssertionError(f"{verb} had fewer than {LAST_KILLED} operations")


@pytest.mark.parametrize("victim", ["pulumi", "provider", "both"])
def test_one_command_converges_after_a_kill_at_any_resource(
    victim: str, faulty: Callable[[], Environment], there: Ground, provider: Provider
) -> None:
    chance = random.Random(f"{victim} 1")

    def kill(pulumi: int) -> None:
        if victim != "pulumi":
            provider.process.kill()
        if victim != "provider":
            psutil.Process(pulumi).kill()

    def killed(verb: str) -> None:
        _kill_within(faulty(), verb, chance, kill)
        if victim != "pulumi":
            provider.restart()

    killed("up")
    faulty().up()
    _demand_whole(faulty(), there)

    changes = {
        "external_labels": {"edition": victim},
        "docker": {**faulty().settings["docker"], "publish": ["prometheus", "alertmanager", "capture"]},
        "prometheus": {**faulty().settings["prometheus"], "retention": "2d", "replicas": 2},
        "alertmanager": {"retention": "100h"},
    }
    faulty().set({**faulty().settings, **changes})
    killed("up")
    faulty().up()
    _demand_whole(faulty(), there)

    killed("destroy")
    faulty().pulumi("destroy", "--yes")
    assert faulty().watchstack("audit")["left"] == []
    assert _known(faulty()) == _on_engine(there) == set()


@contextmanager
def _edited(file: Path, text: str) -> Iterator[None]:
    """A file of the clone with another text, and then as it was: without one that was not there."""
    before = file.read_text() if file.exists() else None
    file.write_text(text)
    try:
        yield
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)


def _refused(environment: Environment, *words: str) -> str:
    said = environment.up(check=False)
    missing = [word for word in words if word not in said]
    assert missing == [], said
    assert "Traceback" not in said
    return said


def test_an_engine_that_does_not_answer_is_named_before_anything(faulty: Callable[[], Environment]) -> None:
    gone = Environment(NAME, faulty().clone, variables=(("DOCKER_HOST", "unix:///run/there-is-none.sock"),))
    _refused(gone, "watchstack:docker.engine", "does not answer", "start it, name another")


def test_names_and_ports_of_others_are_refused_before_anything(
    faulty: Callable[[], Environment], there: Ground
) -> None:
    client = there.client
    busybox = images.local(there.registry, images.official("busybox"))
    client.images.pull(busybox)
    port = 9090 + faulty().offset
    volume = client.volumes.create(f"watchstack-{NAME}-generated", labels={"watchstack.environment": "other"})
    network = client.networks.create(f"watchstack-{NAME}-back")
    containers = [
        client.containers.create(busybox, name=f"watchstack-{NAME}-prometheus-loader"),
        client.containers.create(busybox, name="holder", ports={"80/tcp": ("127.0.0.1", port)}),
    ]
    try:
        _refused(
            faulty(),
            f"volume watchstack-{NAME}-generated is of environment other",
            f"network watchstack-{NAME}-back is without the label watchstack.environment",
            f"container watchstack-{NAME}-prometheus-loader is without the label",
            f"port {port} (prometheus) is published by container holder",
            "port_offset",
        )
        assert _on_engine(there) == set()
    finally:
        for one in containers:
            one.remove(force=True)
        network.remove()
        volume.remove()


def _lock(there: Ground) -> str:
    """Of the images, with a digest that the registry does not have."""
    return json.dumps({images.local(there.registry, images.official("alertmanager")): f"sha256:{0:064}"})


def _that_ends(there: Ground) -> Image:
    """An image whose process ends at once, with some words."""
    text = f"FROM {images.local(there.registry, images.official('busybox'))}\n"
    text += 'ENTRYPOINT ["sh", "-c", "echo the disk is full of bees; exit 3"]\n'
    made, _ = there.client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)
    return made


def test_what_fails_halfway_is_told_and_healed_by_the_next_up(faulty: Callable[[], Environment], there: Ground) -> None:
    now = faulty()
    whole = now.settings
    now.set({**whole, "registry": {"address": f"{there.registry}/elsewhere"}})
    _refused(now, f"{there.registry}/elsewhere/", "not found: manifest unknown")
    now.set(whole)
    with _edited(now.clone / "stacks" / "images.lock.yaml", _lock(there)):
        _refused(now, f"@sha256:{0:064}", "not found: manifest unknown")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 9090 + now.offset))
        taken.listen()
        _refused(now, f"watchstack-{NAME}-prometheus", f"127.0.0.1:{9090 + now.offset}", "address already in use")
    now.up()
    _demand_whole(now, there)

    loader = now.clone / "stacks" / "targets" / "loader.sh"
    with _edited(loader, loader.read_text() + "echo no room in the volume >&2\nexit 7\n"):
        _refused(now, f"watchstack-{NAME}-", " ended with 7: no room in the volume")
        # And again, though nothing has changed since.
        _refused(now, f"watchstack-{NAME}-", " ended with 7: no room in the volume")
    now.up()
    _demand_whole(now, there)

    for reference in images.names():
        path, _, tag = images.local(f"{there.registry}/bees", reference).rpartition(":")
        if reference == images.official("alertmanager"):
            _that_ends(there).tag(path, tag)
        elif there.client.images.list(images.local(there.registry, reference)):
            there.client.images.get(images.local(there.registry, reference)).tag(path, tag)
    now.set({**whole, "registry": {"address": f"{there.registry}/bees"}})
    said = _refused(now, "the disk is full of bees")
    # It runs in between.
    ends = r"is (restarting|running) after \d+ restarts?:\nthe disk is full of bees$"
    assert re.search(f"^watchstack-{NAME}-alertmanager {ends}", said, re.MULTILINE), said
    now.set(whole)
    now.up()
    _demand_whole(now, there)


def test_no_disk_is_told_and_healed_once_there_is_some(
    faulty: Callable[[], Environment], there: Ground, tmp_path: Path
) -> None:
    def mount(*arguments: str) -> None:
        command = ["mount", "-t", "tmpfs", *arguments, "watchstack", str(tmp_path)]
        subprocess.run(command, check=True)

    mount("-o", "size=96m")
    try:
        with (
            engine(tmp_path / "engine") as small,
            rehearse.provider("docker", {"DOCKER_HOST": small.host}, tmp_path / "log") as port,
        ):
            variables = {"DOCKER_HOST": small.host, "PULUMI_DEBUG_PROVIDERS": f"docker:{port}"}
            tight = Environment(NAME, faulty().clone, variables=tuple(variables.items()))
            tight.set({**tight.settings, "docker": {"publish": ["prometheus"]}})
            said = _refused(tight, "unable to find or pull image")
            assert any(f"image {images.local(there.registry, name)}" in said for name in images.names()), said
            mount("-o", "remount,size=2g")
            tight.up()
            _demand_whole(tight, replace(there, client=small.client))
            tight.pulumi("destroy", "--yes")
            assert tight.watchstack("audit")["left"] == []
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)  # noqa: S607


def test_a_registry_with_a_password(faulty: Callable[[], Environment], there: Ground, tmp_path: Path) -> None:
    password = "n0b0dy-pulls-without-0123456789ab"  # noqa: S105 - what is looked for everywhere
    given = tmp_path / "password"
    with registry(tmp_path / "registry", users={"puller": password}) as address:
        images.push(address, login=("puller", password))
        own = {"address": address, "username": "puller", "password": "registry"}
        now = faulty()
        now.set(
            {**now.settings, "registry": own, "secrets": {**now.settings["secrets"], "registry": {"file": str(given)}}}
        )
        given.write_text("wrong-0123456789abcdef")
        said_no = _refused(now, "unauthorized: authentication required")
        # Of which image first is chance.
        assert any(images.local(address, reference) in said_no for reference in images.names()), said_no
        given.write_text(password)
        said: dict[str, bytes | str] = {
            "preview": now.pulumi("preview", "--diff"),
            "json": now.pulumi("preview", "--json"),
        }
        said |= {"up": now.up("--json")}
        _demand_whole(now, there)
        state = now.clone / ".watchstack" / "state"
        said |= {str(file.relative_to(state)): interrupted.plain(file) for file in state.rglob("*") if file.is_file()}
        said |= {str(one.name): json.dumps(one.attrs) for one in there.client.containers.list(all=True)}
        assert leaks(password, said) == []
        now.pulumi("destroy", "--yes")
