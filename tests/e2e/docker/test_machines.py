"""Another machine of a Docker environment, end to end: a second engine, in a network namespace of its own."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from docker.types import LogConfig
from standins.elsewhere import Elsewhere, elsewhere
from standins.engine import Engine, engine
from standins.rehearse import Ground

from e2e.environments import Environment, eventually
from stacks import images
from stacks.settings import Registry
from stacks.targets import engine as engines
from toolchain import interrupted

pytestmark = pytest.mark.e2e

NAME = "machines"
MACHINE = "web-1"
OWN: dict[str, str | list[str] | bool] = {"label": f"watchstack.environment={NAME}"}
AGENTS = {"cadvisor": "cadvisor", "node-exporter": "node_exporter", "otel-collector": "otelcol"}


@pytest.fixture(scope="module")
def far(there: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Elsewhere, Engine]]:
    """The other machine and its engine, with the images that agents need: it does not reach the registry here."""
    directory = tmp_path_factory.mktemp("far") / "engine"
    with elsewhere(directory) as place, engine(directory, on=place) as found:
        for product in (*AGENTS.values(), "busybox"):
            _copy(_image(there, product), there.client, found.client)
        yield place, found
        assert _left(found.client) == []


def _image(there: Ground, product: str) -> str:
    return images.named(product, Registry(address=there.registry))


def _copy(name: str, of: docker.DockerClient, to: docker.DockerClient) -> None:
    saved = of.images.pull(name).save(named=name)
    to.images.load(io.BytesIO(b"".join(saved)))


def _left(client: docker.DockerClient) -> list[str]:
    found: list[Container | Network | Volume] = [
        *client.containers.list(all=True, filters=OWN),
        *client.networks.list(filters=OWN),
        *client.volumes.list(filters=OWN),
    ]
    return sorted(str(one.name) for one in found)


@pytest.fixture(scope="module")
def watching(there: Ground, far: tuple[Elsewhere, Engine], scratch: Path) -> Iterator[Environment]:
    place, found = far
    machine = {
        "engine": found.host,
        "address": place.address,
        "data_root": str(found.client.info()["DockerRootDir"]),
        "socket": found.host.removeprefix("unix://"),
    }
    own = {"docker": {"container_metrics": True, "agents_at": place.here, "hosts": {MACHINE: machine}}}
    environment = Environment(NAME, scratch, variables=tuple(there.variables.items()))
    environment.write(target="docker", jaeger={"enabled": False}, **there.settings(own))
    with environment.running():
        yield environment
    assert environment.watchstack("audit")["left"] == []
    assert _left(there.client) == []


def _instance(watching: Environment, job: str) -> str:
    port = {"cadvisor": 8080, "node-exporter": 9100, "otel-collector": 8888}[job]
    return f"{MACHINE}:{port + watching.offset}"


def _values(watching: Environment, query: str) -> dict[str, float]:
    """By instance."""
    answer = watching.get(9090, "/api/v1/query", query=query)
    return {one["metric"]["instance"]: float(one["value"][1]) for one in answer["data"]["result"]}


def test_selftest_is_green_after_up(watching: Environment) -> None:
    answer = watching.watchstack("selftest", "--timeout", "120", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_agents_are_scraped_and_each_machine_is_seen(watching: Environment) -> None:
    for job in AGENTS:
        up = _values(watching, f'up{{job="{job}"}}')
        assert up[_instance(watching, job)] == 1
        assert len(up) == 2
    hosts = _values(watching, 'node_network_receive_bytes_total{device="uplink"}')
    assert {*hosts} == {_instance(watching, "node-exporter")}, "it has the network of the other machine"
    memory = _values(watching, "node_memory_MemTotal_bytes")
    assert {*memory} == {_instance(watching, "node-exporter"), "node-exporter:9100"}
    seen = _values(watching, f'sum by (instance) (container_last_seen{{name="watchstack-{NAME}-cadvisor-{MACHINE}"}})')
    assert {*seen} == {_instance(watching, "cadvisor")}, "each sees the containers of its own engine"


def test_status_knows_the_agents(watching: Environment) -> None:
    services = watching.watchstack("status", check=False)["services"]
    ready = {one["service"]: (one["ready"], bool(one["id"])) for one in services if one["service"].endswith(MACHINE)}
    assert ready == {f"{agent}-{MACHINE}": (True, True) for agent in AGENTS}


def test_a_second_up_changes_nothing(watching: Environment) -> None:
    assert "unchanged" in watching.up("--expect-no-changes", preview=True)
    watching.pulumi("refresh", "--yes", "--expect-no-changes")


def test_agents_listen_in_the_private_network_alone(watching: Environment, far: tuple[Elsewhere, Engine]) -> None:
    place, found = far
    bound = [
        binding["HostIp"]
        for one in found.client.containers.list()
        for bindings in (one.attrs["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    assert bound == [place.address] * 2
    [exporter] = [one for one in found.client.containers.list() if "node-exporter" in str(one.name)]
    assert f"--web.listen-address={place.address}:{9100 + watching.offset}" in exporter.attrs["Args"]


def test_a_line_of_a_container_there_is_found_with_its_machine(
    watching: Environment, there: Ground, far: tuple[Elsewhere, Engine]
) -> None:
    labels = {"watchstack.environment": NAME, "watchstack.service": "shop", "watchstack.system": "shop"}
    shop = far[1].client.containers.run(
        _image(there, "busybox"),
        ["echo", "the shop is open"],
        labels=labels,
        detach=True,
        log_config=LogConfig(type=LogConfig.types.JSON, config={"labels": ",".join(labels)}),
    )
    loki = watching.urls()["loki"]
    try:
        for attempt in eventually(30):
            with attempt:
                [stream] = _lines(loki, f'{{app="shop", system="shop"}} | host_name="{MACHINE}"')
                assert [line for _, line in stream["values"]] == ["the shop is open"]
    finally:
        shop.remove(force=True)


def _lines(loki: str, query: str) -> list[Any]:
    url = f"{loki}/loki/api/v1/query_range"
    answer = httpx.get(url, params={"query": query, "since": "10m"}, trust_env=False).raise_for_status().json()
    return list(answer["data"]["result"])


def test_what_was_half_made_there_is_removed_after_an_interrupted_run(
    watching: Environment, there: Ground, far: tuple[Elsewhere, Engine]
) -> None:
    state = json.loads(watching.output("stack", "export"))["deployment"]
    known = interrupted.known(state)
    assert known
    assert len(known.hosts) == 2
    before = _left(far[1].client)
    labels, name = {"watchstack.environment": NAME}, f"watchstack-{NAME}-half"
    far[1].client.containers.create(_image(there, "busybox"), ["true"], name=name, labels=labels)
    begun = replace(known, begun=frozenset({name}))
    assert engines.remove_unknown(NAME, begun, None) == [f"container {name}"]
    assert _left(far[1].client) == before


def test_an_agent_that_was_removed_is_made_anew(watching: Environment, far: tuple[Elsewhere, Engine]) -> None:
    far[1].client.containers.get(f"watchstack-{NAME}-node-exporter-{MACHINE}").remove(force=True)
    watching.up("--refresh")
    assert far[1].client.containers.get(f"watchstack-{NAME}-node-exporter-{MACHINE}").status == "running"


def test_a_machine_that_is_gone_for_ever_is_forgotten(
    watching: Environment, there: Ground, far: tuple[Elsewhere, Engine]
) -> None:
    """Its engine is not asked any more: that here still has everything, and it comes back at the end."""
    settings, before = watching.settings, _left(far[1].client)
    docker_settings = {key: value for key, value in settings["docker"].items() if key not in ("hosts", "agents_at")}
    provider = f"urn:pulumi:{NAME}::watchstack::pulumi:providers:docker::engine-{MACHINE}"
    try:
        watching.set({**settings, "docker": docker_settings})
        watching.pulumi("state", "delete", "--yes", "--force", "--target-dependents", provider)
        watching.up()
        assert _left(far[1].client) == before
        assert not [name for name in _left(there.client) if MACHINE in name]
        assert MACHINE not in watching.pulumi("stack", "export")
    finally:
        _clear(far[1].client)
        watching.set(settings)
        watching.up()
    assert _left(far[1].client) == before


def _clear(client: docker.DockerClient) -> None:
    for one in client.containers.list(all=True, filters=OWN):
        one.remove(force=True)
    for network in client.networks.list(filters=OWN):
        network.remove()
    for volume in client.volumes.list(filters=OWN):
        volume.remove()
