"""What an environment is made of on an engine, and how a script makes and removes the same without Pulumi."""

import io
import json
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from graphlib import TopologicalSorter
from typing import Any

import docker

Props = Mapping[str, Any]

_CONTAINER = "docker:index/container:Container"
_NETWORK = "docker:index/network:Network"
_VOLUME = "docker:index/volume:Volume"
# As many at once as Pulumi makes: four for each processor.
_AT_ONCE_PER_PROCESSOR = 4
# What the engine says of a container and takes from nobody, or makes of the name.
_OF_THE_ENGINE = ("Hostname", "Domainname", "ExposedPorts")
_JOINED = "container:"


class Failed(Exception):
    """A container of the script did not end well."""


@dataclass(frozen=True)
class Thing:
    """A network, volume or container: `body` is what the engine says of it, and takes, `after` are URNs.

    A container has its networks with its names in each, and its files as a tar. `ends`: it is waited for.
    """

    kind: str
    name: str
    body: Props
    after: frozenset[str]
    networks: Mapping[str, Sequence[str]]
    files: bytes = b""
    ends: bool = False
    part: str = ""


Script = Mapping[str, Thing]


def recorded(state: Props, client: docker.DockerClient) -> dict[str, Thing]:
    """All that is in an exported state, as it is on the engine; images are there, and no part of it."""
    known = {each["urn"]: each for each in state["deployment"]["resources"] if each["type"] in _KINDS}
    names = {each["id"]: each["outputs"]["name"] for each in known.values()}
    return {
        urn: _KINDS[each["type"]](each, client, frozenset(each.get("dependencies", ())) & known.keys(), names)
        for urn, each in known.items()
    }


def _network(resource: Props, client: docker.DockerClient, after: frozenset[str], _: Mapping[str, str]) -> Thing:
    seen = client.api.inspect_network(resource["id"])
    return Thing("network", seen["Name"], seen, after, {})


def _volume(resource: Props, client: docker.DockerClient, after: frozenset[str], _: Mapping[str, str]) -> Thing:
    seen = client.api.inspect_volume(resource["id"])
    return Thing("volume", seen["Name"], seen, after, {})


def _container(resource: Props, client: docker.DockerClient, after: frozenset[str], names: Mapping[str, str]) -> Thing:
    seen, inputs = client.api.inspect_container(resource["id"]), resource["inputs"]
    config = {key: value for key, value in seen["Config"].items() if key not in _OF_THE_ENGINE}
    host = {key: _by_name(value, names) for key, value in seen["HostConfig"].items()}
    networks = {one["name"]: one.get("aliases", ()) for one in inputs.get("networksAdvanced", ())}
    if networks:
        host["NetworkMode"] = next(iter(networks))
    return Thing(
        kind="container",
        name=seen["Name"].removeprefix("/"),
        body={**config, "HostConfig": host},
        after=after,
        networks=networks,
        files=_packed(_plain(inputs["uploads"])) if inputs.get("uploads") else b"",
        ends=not inputs.get("mustRun", True),
        part=seen["Config"]["Labels"].get("watchstack.part", ""),
    )


_KINDS: dict[str, Callable[..., Thing]] = {_NETWORK: _network, _VOLUME: _volume, _CONTAINER: _container}


def _by_name(value: Any, names: Mapping[str, str]) -> Any:
    """A container that is joined by its id has another one when it is made again."""
    if isinstance(value, str) and value.startswith(_JOINED):
        return _JOINED + names[value.removeprefix(_JOINED)]
    return value


def _plain(value: Any) -> Any:
    """Without the wrapping of a secret: an export with `--show-secrets` has its JSON."""
    if isinstance(value, dict) and "plaintext" in value:
        return json.loads(value["plaintext"])
    return value


def _packed(uploads: Iterable[Props]) -> bytes:
    """All files in one tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for upload in map(_plain, uploads):
            content = str(_plain(upload["content"])).encode()
            entry = tarfile.TarInfo(upload["file"].removeprefix("/"))
            entry.mode, entry.size = int(upload["permissions"], 8), len(content)
            entry.uid, entry.gid = int(upload.get("owner", 0)), int(upload.get("group", 0))
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def make(script: Script, client: docker.DockerClient, processors: int) -> None:
    """Over the Engine API, each as soon as what it needs is there, until the last has ended that ends."""
    _in_order(script, {urn: thing.after for urn, thing in script.items()}, partial(_make, client.api), processors)


def remove(script: Script, client: docker.DockerClient, processors: int) -> None:
    """In the other direction, and as gently: a container has the time to stop that it asked for."""
    before: dict[str, set[str]] = {urn: set() for urn in script}
    for urn, thing in script.items():
        for needed in thing.after:
            before[needed].add(urn)
    _in_order(script, before, partial(_remove, client.api), processors)


def _in_order(
    script: Script, graph: Mapping[str, Iterable[str]], work: Callable[[Thing], None], processors: int
) -> None:
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    under_way: dict[Future[None], str] = {}
    with ThreadPoolExecutor(_AT_ONCE_PER_PROCESSOR * processors) as pool:
        while sorter.is_active():
            under_way |= {pool.submit(work, script[urn]): urn for urn in sorter.get_ready()}
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                done.result()
                sorter.done(under_way.pop(done))


def _make(api: docker.APIClient, thing: Thing) -> None:
    body = thing.body
    match thing.kind:
        case "network":
            # The addresses too: arguments of containers have them.
            api.create_network(
                thing.name, body["Driver"], ipam=body["IPAM"], internal=body["Internal"], labels=body["Labels"]
            )
        case "volume":
            api.create_volume(thing.name, body["Driver"], labels=body["Labels"])
        case _:
            _make_container(api, thing)


def _make_container(api: docker.APIClient, thing: Thing) -> None:
    networks = [*thing.networks]
    endpoints = {network: {"Aliases": [*thing.networks[network]]} for network in networks[:1]}
    api.create_container_from_config({**thing.body, "NetworkingConfig": {"EndpointsConfig": endpoints}}, thing.name)
    for network in networks[1:]:
        api.connect_container_to_network(thing.name, network, aliases=[*thing.networks[network]])
    if thing.files:
        api.put_archive(thing.name, "/", thing.files)
    api.start(thing.name)
    if thing.ends:
        code = api.wait(thing.name)["StatusCode"]
        if code:
            raise Failed(f"{thing.name} ended with {code}: {api.logs(thing.name).decode(errors='replace')}")


def _remove(api: docker.APIClient, thing: Thing) -> None:
    match thing.kind:
        case "network":
            api.remove_network(thing.name)
        case "volume":
            api.remove_volume(thing.name)
        case _:
            api.stop(thing.name)
            api.remove_container(thing.name, v=True)


def commands(script: Script) -> list[tuple[list[str], bytes]]:
    """Lines of a shell script that makes the same in turn, each with its input. It waits for no readiness."""
    order = TopologicalSorter({urn: thing.after for urn, thing in script.items()}).static_order()
    return [line for urn in order for line in _lines(script[urn])]


def run(lines: Iterable[tuple[list[str], bytes]], variables: Mapping[str, str]) -> None:
    for line, given in lines:
        subprocess.run(line, input=given, env=variables, check=True, stdout=subprocess.DEVNULL)


def _lines(thing: Thing) -> list[tuple[list[str], bytes]]:
    match thing.kind:
        case "network":
            subnet = ["--subnet", thing.body["IPAM"]["Config"][0]["Subnet"]]
            internal = ["--internal"] if thing.body["Internal"] else []
            return [(["docker", "network", "create", *_labels(thing), *internal, *subnet, thing.name], b"")]
        case "volume":
            return [(["docker", "volume", "create", *_labels(thing), thing.name], b"")]
        case _:
            return [] if thing.part == "settle" else _run_lines(thing)


def _run_lines(thing: Thing) -> list[tuple[list[str], bytes]]:
    """`docker run` where one command does it: files and a second network go between making and starting."""
    first, *others = thing.networks or [thing.body["HostConfig"]["NetworkMode"]]
    words = [*_flags(thing), "--network", first, *_aliases(thing, first), *_program(thing)]
    if not thing.files and not others:
        return [(["docker", "run", *([] if thing.ends else ["--detach"]), *words], b"")]
    return [
        (["docker", "create", *words], b""),
        *((["docker", "network", "connect", *_aliases(thing, one), one, thing.name], b"") for one in others),
        *([(["docker", "cp", "-", f"{thing.name}:/"], thing.files)] if thing.files else []),
        (["docker", "start", *(["--attach"] if thing.ends else []), thing.name], b""),
    ]


def _aliases(thing: Thing, network: str) -> list[str]:
    option = "--alias" if network != next(iter(thing.networks), None) else "--network-alias"
    return [word for alias in thing.networks.get(network, ()) for word in (option, alias)]


def _labels(thing: Thing) -> list[str]:
    return [word for label, value in (thing.body["Labels"] or {}).items() for word in ("--label", f"{label}={value}")]


def _program(thing: Thing) -> list[str]:
    """The image and its arguments; of the entrypoint's words an option takes but the first."""
    entrypoint = thing.body["Entrypoint"] or []
    option = ["--entrypoint", entrypoint[0]] if entrypoint else []
    return [*option, thing.body["Image"], *entrypoint[1:], *(thing.body["Cmd"] or [])]


def _flags(thing: Thing) -> list[str]:
    """Of a container, as `docker run` takes them."""
    body, host = thing.body, thing.body["HostConfig"]
    check = body.get("Healthcheck") or {}
    repeated = {
        "--env": body["Env"],
        "--volume": host["Binds"],
        "--cap-add": host["CapAdd"],
        "--cap-drop": host["CapDrop"],
        "--security-opt": host["SecurityOpt"],
        "--add-host": host["ExtraHosts"],
        "--device": [f"{one['PathOnHost']}:{one['PathInContainer']}:r" for one in host["Devices"] or ()],
        "--tmpfs": [f"{path}:{options}" for path, options in (host.get("Tmpfs") or {}).items()],
        "--ulimit": [f"{one['Name']}={one['Soft']}:{one['Hard']}" for one in host["Ulimits"] or ()],
        "--log-opt": [f"{key}={value}" for key, value in host["LogConfig"]["Config"].items()],
        "--publish": [
            f"{binding['HostIp']}:{binding['HostPort']}:{port}"
            for port, bindings in (host["PortBindings"] or {}).items()
            for binding in bindings
        ],
    }
    single = {
        "--name": thing.name,
        "--user": body["User"],
        "--workdir": body["WorkingDir"],
        "--memory": host["Memory"],
        "--memory-swap": host["MemorySwap"],
        "--cpus": host["NanoCpus"] / 1e9,
        "--log-driver": host["LogConfig"]["Type"],
        "--restart": host["RestartPolicy"]["Name"],
        "--stop-timeout": body.get("StopTimeout"),
        "--pid": host["PidMode"],
        "--health-cmd": shlex.join(check.get("Test", ())[1:]),
        "--health-interval": _duration(check.get("Interval")),
        "--health-timeout": _duration(check.get("Timeout")),
        "--health-start-period": _duration(check.get("StartPeriod")),
        "--health-retries": check.get("Retries"),
    }
    words = [word for option, values in repeated.items() for value in values or () for word in (option, value)]
    words += [word for option, value in single.items() if value for word in (option, str(value))]
    return [*words, *_labels(thing), *(["--read-only"] if host["ReadonlyRootfs"] else [])]


def _duration(nanoseconds: int | None) -> str:
    return f"{nanoseconds}ns" if nanoseconds else ""
