"""The vocabulary: what a service is, whatever ground it runs on.

Services run in a directory of their own, and every path here is relative to it, so that the same
files work as processes, in containers and in pods.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import yaml

# The system that the stack's own services belong to.
PLATFORM = "platform"

# On this machine, what each further replica of a service adds to its ports.
REPLICA_PORTS = 100


@dataclass(frozen=True, kw_only=True)
class Port:
    name: str
    number: int
    protocols: tuple[Literal["TCP", "UDP"], ...] = ("TCP",)


@dataclass(frozen=True, kw_only=True)
class File:
    """A text file. `on_change`: what makes the running program take an edit."""

    path: str
    text: str
    on_change: Literal["reload", "restart", "watched"] = "reload"


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A file of mode 0400 with the value of a secret of the environment, or a generated one.

    A generated value is made once for an environment: services that name the same secret get the same value.
    With `json_key` the file is a JSON object that holds the value under this key.
    """

    path: str
    secret: str
    generated: bool = False
    json_key: str | None = None

    def text(self, value: str) -> str:
        """What the file holds."""
        return json.dumps({self.json_key: value}) if self.json_key else value

    def value(self, text: str) -> str:
        """What a file with this text holds the value of."""
        return str(json.loads(text)[self.json_key]) if self.json_key else text


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A directory that outlives the process; `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a service may take of its machine, where something can hold it to that: bytes and processors."""

    memory: int = 256 * 2**20
    cpus: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Host:
    """What a service in a container sees of the machine under it. On `local` it sees all of it anyway.

    `mounts` are directories of the machine by their place in the container, all read-only. With `network` the service
    has the network of the machine. `capabilities` are those of Linux that it needs: with most, it runs as root.
    `groups` are those of the machine that its user joins, by number.
    """

    mounts: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a service may ask of the API of its cluster: of `resources` of a `group`, or of `urls`, to `verbs`.

    In these `namespaces`, or without any in the whole cluster.
    """

    resources: tuple[str, ...] = ()
    group: str = ""
    urls: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list", "watch")
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    port: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Reload:
    """SIGHUP re-reads the files; afterwards `proof` must tell another time, and `success`, if any, must be 1."""

    at: Endpoint
    proof: str
    success: str | None = None


Found = Literal["pods", "nodes", "each"]


@dataclass(frozen=True, kw_only=True)
class ScrapeTarget:
    """`address` is what Prometheus connects to, `instance` what the series are called; `labels` join them."""

    address: str
    instance: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScrapeJob:
    """A job of Prometheus. `token` names the secret that goes with a scrape.

    `program` has a catalogue of what it exposes; without one the profile of the system says it alone.
    `found`: in a cluster its targets are not those named here, but found: the `pods` of the system that have
    annotations, the `nodes`, or the replica of a service on `each` node.
    """

    job: str
    system: str
    targets: tuple[ScrapeTarget, ...]
    path: str = "/metrics"
    interval: str | None = None
    scheme: str = "http"
    token: str | None = None
    honor_labels: bool = False
    program: str | None = None
    found: Found | None = None


@dataclass(frozen=True, kw_only=True)
class LogSource:
    """Log files for the collector: a glob below the directory that holds all services' directories.

    Lines of replicas have the same `service`, and another `instance`.
    """

    service: str
    instance: str
    system: str
    glob: str


@dataclass(frozen=True, kw_only=True)
class ContainerLogs:
    """What the containers of an environment print: files of the Docker Engine in this directory of the machine.

    The engine writes the labels of a container beside each line. Those of another `machine` are told apart by its name.
    """

    environment: str
    directory: str
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class PodLogs:
    """What the pods of these namespaces print, by the system that each belongs to: files of a node's kubelet."""

    systems: Mapping[str, str]


# The label of a container with each of these; ENVIRONMENT and SERVICE are on whatever else belongs to one, too.
ENVIRONMENT = "watchstack.environment"
SERVICE = "watchstack.service"
KIND = "watchstack.kind"
SYSTEM = "watchstack.system"
# The environment variable of a container of a cluster that names its node.
NODE = "WATCHSTACK_NODE"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One program. `args` follow the program's name; `product` is its row in `toolchain/versions.yaml`.

    `aliases` are names under which others reach it besides its own. No secret stands in `environment`.
    `replica` counts the services of one `kind`, which do the same. `system` is what its log lines are of.
    `outbound`: it reaches what is outside the environment, as well as the other services. `borrows` are volumes of
    other services that it uses too, by the other's name and the path. In a cluster `per_node` runs one on each node,
    `access` is what it may ask of the API, and `scraped` what annotations say to who finds it. `machine` is the other
    machine that it runs on, and `exposed` are the ports, by name, that machines of a private network reach.
    """

    name: str
    replica: int = 1
    product: str
    program: str
    args: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()
    files: tuple[File, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ready: Endpoint
    reload: Reload | None = None
    metrics: Endpoint | None = None
    page: Endpoint | None = None
    aliases: tuple[str, ...] = ()
    system: str = PLATFORM
    limits: Limits = Limits()
    outbound: bool = False
    borrows: tuple[tuple[str, str], ...] = ()
    host: Host | None = None
    per_node: bool = False
    access: tuple[Access, ...] = ()
    scraped: Endpoint | None = None
    machine: str = ""
    exposed: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name of the first replica, on the first machine, which stands for all of them."""
        name = self.name.removesuffix(f"-{self.machine}") if self.machine else self.name
        return name if self.replica == 1 else name.removesuffix(f"-{self.replica}")

    def port(self, name: str) -> int:
        return next(port.number for port in self.ports if port.name == name)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """How services find each other on a target: by name, or on this machine by a block of ports.

    `hosts` are addresses in place of names, of services on other machines, and for who asks from outside of the
    environment: host by service, or host:port by service:port. `shared`: services share the addresses of a machine with
    others, and listen on ports moved by the offset though they are in containers. `namespaces` are those of services in
    a cluster; the others are in `namespace`. `published` are the services in containers whose pages people reach, at
    this address of the `machine`; of those in `doors`, at these URLs.
    """

    target: Literal["local", "docker", "kubernetes"]
    port_offset: int = 0
    hosts: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    published: tuple[str, ...] = ()
    machine: str = "127.0.0.1"
    doors: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False

    @property
    def contained(self) -> bool:
        """Whether services run in containers, and their output is the engine's to keep."""
        return self.target != "local"

    def replica(self, number: int) -> "Ground":
        """The ground of a replica of a service: on this machine each has ports of its own."""
        return replace(self, port_offset=self.port_offset + REPLICA_PORTS * (number - 1))

    def bind(self, number: int) -> int:
        return number + (0 if self.contained and not self.shared else self.port_offset)

    def listen(self, number: int) -> str:
        """`host:port` that a service listens on."""
        host = "0.0.0.0" if self.contained else "127.0.0.1"  # noqa: S104 - inside its own network
        return f"{host}:{self.bind(number)}"

    def address(self, service: str, number: int) -> str:
        """`host:port` at which other services reach it."""
        if not self.contained:
            return f"127.0.0.1:{self.bind(number)}"
        name = f"{service}.{self.namespace_of(service)}" if self.target == "kubernetes" else service
        return self.hosts.get(f"{service}:{number}", f"{self.hosts.get(service, name)}:{number}")

    def namespace_of(self, service: str) -> str:
        """Where a service is in a cluster."""
        return self.namespaces.get(service, self.namespace)

    def url(self, service: str, number: int, path: str = "") -> str:
        return f"http://{self.address(service, number)}{path}"

    def page(self, service: str, number: int, path: str = "") -> str:
        """Where people reach a page of a service; where other services do, if it is not published."""
        if service in self.doors:
            return f"{self.doors[service]}{path}"
        if self.contained and service in self.published:
            return f"http://{self.machine}:{number + self.port_offset}{path}"
        return self.url(service, number, path)


def in_url(address: str) -> str:
    """An address of a network as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def on_machine(service: Service, ground: Ground, machine: str) -> Service:
    """The same service on another machine, by a name of its own. It was made with this ground, which is `shared`."""
    shown = {endpoint.port for endpoint in (service.ready, service.metrics) if endpoint}
    return replace(
        service,
        name=machine_name(service.name, machine),
        machine=machine,
        ports=tuple(replace(port, number=ground.bind(port.number)) for port in service.ports),
        exposed=tuple(port.name for port in service.ports if port.name in shown),
    )


def machine_name(name: str, machine: str) -> str:
    """Of a service on another machine."""
    return f"{name}-{machine}"


def replica_name(name: str, number: int) -> str:
    """The first replica has the plain name."""
    return name if number == 1 else f"{name}-{number}"


def replicas(ground: Ground, name: str, count: int) -> list[tuple[str, Ground]]:
    """Name and ground of each replica of a service."""
    return [(replica_name(name, number), ground.replica(number)) for number in range(1, count + 1)]


class _Plain(yaml.CSafeDumper):
    """Writes a value that occurs twice twice: anchors are for machines."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def to_yaml(value: object) -> str:
    """YAML with sorted keys: the same value gives the same bytes."""
    text: str = yaml.dump(value, Dumper=_Plain, sort_keys=True, width=110, allow_unicode=True)
    return text
