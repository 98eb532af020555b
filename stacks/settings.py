"""What an environment wants: the typed, frozen form of `stacks/env/Pulumi.<environment>.yaml`."""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from apps.routing import Told
from stacks.changes import Override, PanelChange
from stacks.names import IN_THE_CLEAR, PARTS, Label, Name, SecretName
from stacks.strict import Refused, Strict, line_of, load
from stacks.units import Duration, Size

PROJECT = "watchstack"
STACK_FILES = Path(__file__).parent / "env"
SECRETS = f"{PROJECT}:secrets"
_PREFIX = f"{PROJECT}:"
# What a problem with a key of a stack file begins with, said by the settings or, after its name, by a check.
_KEY = re.compile(rf"(?:[a-z]+: )?(?P<key>{PROJECT}(?::[\w./-]*[\w/-])?): ")

# What Prometheus calls the backend that is Thanos.
THANOS = "thanos"
# The name of the capture receiver, where an address is asked for.
CAPTURE = "capture"
Version = Annotated[str, Field(pattern=r"^v[1-9][0-9]*$")]
ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(:[0-9]{1,5})?$")]
HostPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5}$")]
Target = Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.\-\[\]:]+|[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5})$")]
Smarthost = Annotated[str, Field(pattern=r"^(capture|[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5})$")]
Mail = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
RegistryAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[a-z0-9._\-/]+)?$")]
EngineUrl = Annotated[str, Field(pattern=r"^(unix|tcp|ssh)://.+$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
Directory = Annotated[str, Field(pattern=r"^/[\w./-]+$")]
IpAddress = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$|^[0-9a-fA-F:]*:[0-9a-fA-F:]*$")]


def _within_a_private_network(address: str) -> str:
    found = ip_address(address)
    if found.is_global or found.is_loopback or found.is_unspecified or found.is_multicast:
        raise ValueError(
            "what is there is open to whoever reaches it, and in the clear: give the machine's address in a private "
            "network, as 10.0.0.5"
        )
    return address


PrivateAddress = Annotated[IpAddress, AfterValidator(_within_a_private_network)]


def _without_steps_back(path: str) -> str:
    if not path or ".." in Path(path).parts:
        raise ValueError("a path here starts at the root of the repository or of the disk, and has no `..`")
    return path


def _without_login(url: object) -> object:
    if isinstance(url, str) and "@" in url:
        raise PydanticCustomError(
            IN_THE_CLEAR, "no login stands in an address; give `username` and `password`, or `bearer`, beside it"
        )
    return url


WriteUrl = Annotated[str, BeforeValidator(_without_login), Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+(/[^\s#]*)?$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]

Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
S3Endpoint = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-]+(:[0-9]{1,5})?$")]


def _day(text: str) -> str:
    # One without quotes comes out of Pulumi as Go prints it.
    day = text.removesuffix(" 00:00:00 +0000 UTC")
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError as problem:
        raise ValueError(f"a day is year, month and day, as 2026-12-01: {problem}") from None


Day = Annotated[str, AfterValidator(_day)]

# Read while the Plan is made, so that what it says is reviewed with the stack file.
RepositoryPath = Annotated[str, AfterValidator(_without_steps_back)]


class PostgresExporter(Strict):
    """A PostgreSQL server to watch."""

    address: HostPort = Field(description="Where the server is.", examples=["127.0.0.1:5432"])
    database: str = Field("postgres", description="The database to connect to.")
    user: str = Field("postgres", description="A role with `pg_monitor`.")
    password: SecretName = Field(description="Name of the secret with its password.")


class RedisExporter(Strict):
    """A Redis server to watch."""

    address: HostPort = Field(description="Where the server is.", examples=["127.0.0.1:6379"])
    password: SecretName | None = Field(default=None, description="Name of the secret with its password.")


class Exporters(Strict):
    postgres: PostgresExporter | None = Field(default=None, description="Run postgres_exporter for this server.")
    redis: RedisExporter | None = Field(default=None, description="Run redis_exporter for this server.")


class System(Strict):
    """A monitored system, by the name of its profile in `apps/`."""

    pack: Version = Field("v1", description="Version of the system's rule pack under `rules/`.")
    workload: bool = Field(
        default=False,
        description="Run the simulated application in place of the real one, with fault switches.",
    )
    targets: dict[ServiceName, Target] = Field(
        {},
        description="Where the services of the real application are, by their names in the profile, with "
        "`:port` where its ports are in different places. Not with `workload`.",
        examples=[{"boss-workflow": "127.0.0.1:8000"}],
    )
    token: SecretName | None = Field(
        default=None, description="Name of the secret with the bearer token that the application asks of a scrape."
    )
    jobs: tuple[Name, ...] = Field((), description="Scrape jobs of the profile that are off unless named here.")
    exporters: Exporters = Field(Exporters(), description="Servers that the system uses, watched by real exporters.")
    objectives: tuple[RepositoryPath, ...] = Field(
        (), description="Files with more objectives, in [Sloth's format](objectives.md#sloth-files)."
    )
    own_packs: tuple[RepositoryPath, ...] = Field(
        (), description="Directories with [rule packs of your own](own-packs.md)."
    )

    @model_validator(mode="after")
    def _one_application(self) -> "System":
        if self.workload == bool(self.targets):
            raise ValueError("give either `workload: true` or the `targets` of the real application")
        return self


class Queue(Strict):
    """How samples are sent to a backend: more of both where an answer takes long."""

    max_shards: int = Field(default=50, ge=1, le=1000, description="How many requests at most are under way at once.")
    max_samples_per_send: int = Field(default=2000, ge=1, le=100_000, description="How many samples a request brings.")


class RemoteWrite(Strict):
    """Another backend that gets every sample, too: Mimir, VictoriaMetrics, Grafana Cloud."""

    url: WriteUrl = Field(description="Where it takes samples.", examples=["https://mimir.example.org/api/v1/push"])
    username: str | None = Field(default=None, description="To log in with, together with `password`.")
    password: SecretName | None = Field(default=None, description="Name of the secret with the password.")
    bearer: SecretName | None = Field(default=None, description="Name of the secret with a bearer token.")
    headers: dict[HeaderName, str] = Field(
        {},
        description="Headers of each request, such as the tenant. None is secret.",
        examples=[{"X-Scope-OrgID": "a"}],
    )
    exemplars: bool = Field(default=False, description="Send exemplars, too, which lead from a sample to a trace.")
    queue: Queue = Field(Queue(), description="How samples are sent.")

    @field_validator("headers")
    @classmethod
    def _no_credential(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(name.lower() in ("authorization", "proxy-authorization", "cookie") for name in headers):
            raise ValueError("a header with a credential would stand in the clear; give `password` or `bearer`")
        return headers

    @model_validator(mode="after")
    def _one_login(self) -> "RemoteWrite":
        if (self.username is None) != (self.password is None):
            raise ValueError("give both `username` and `password`, or neither")
        if self.password and self.bearer:
            raise ValueError("give `password` or `bearer`, not both")
        return self


class Prometheus(Strict):
    replicas: int = Field(
        default=1, ge=1, le=5, description="How many of them. Each scrapes everything and evaluates every rule."
    )
    scrape_interval: Duration = Field("15s", description="How often a target is scraped.")
    evaluation_interval: Duration = Field("15s", description="How often rules are evaluated.")
    retention: Duration = Field("15d", description="How long samples are kept.")
    volume: Size = Field("10GB", description="Size of the volume. At most 80 % of it is filled with samples.")
    series_per_target: int = Field(
        default=1500,
        ge=1,
        le=50_000,
        description="How many series a target has, on average: what memory and disk are [reckoned](sizing.md) with.",
    )
    remote_write: dict[Name, RemoteWrite] = Field({}, description="Other backends that get every sample, by name.")


class ObjectStorage(Strict):
    """A bucket of a store that speaks S3. What is of this environment is below its name there."""

    endpoint: S3Endpoint = Field(description="Where the store is.", examples=["s3.eu-central-1.amazonaws.com"])
    bucket: Bucket = Field(description="The bucket, which must be there.")
    region: str | None = Field(default=None, description="Its region, where the store has some.")
    credentials: SecretName = Field(
        description="Name of the secret with the access key: a file of AWS's form, with `[default]`, "
        "`aws_access_key_id = ...` and `aws_secret_access_key = ...`."
    )
    insecure: bool = Field(default=False, description="Without TLS.")


class KeptFor(Strict):
    """How long samples are kept in the bucket, at each resolution."""

    raw: Duration = Field("90d", description="As they came.")
    five_minutes: Duration = Field(
        "1y", alias="5m", description="One every five minutes. They are made after 40 hours."
    )
    hour: Duration = Field("5y", alias="1h", description="One an hour. They are made after ten days.")


class Thanos(Strict):
    """Prometheus sends its samples to a receiver, which brings them to the bucket of `object_storage`."""

    retention: KeptFor = Field(KeptFor(), description="How long samples are kept in the bucket.")
    volume: Size = Field(
        "10GB", description="Size of each volume: of the receiver, of the store's index and of the compactor's work."
    )


class Alertmanager(Strict):
    replicas: int = Field(
        default=1, ge=1, le=5, description="How many of them. They agree on who notifies; any one that is left does."
    )
    retention: Duration = Field("120h", description="How long notifications and silences are remembered.")
    volume: Size = Field("256MB", description="Size of the volume.")


class LogBucket(Strict):
    """Logs go to a bucket of the store of `object_storage`, in place of the volume."""

    name: Bucket = Field(
        description="The bucket, which must be there, and which no other environment's logs go to: they have no place "
        "of their own in it."
    )
    since: Day = Field(
        description="The first day, in UTC, whose logs go there. Older ones stay in the volume for as long as they are "
        "kept; so where there are logs already, it is a day to come."
    )


class Loki(Strict):
    enabled: bool = Field(default=True, description="Run Loki and the log pipeline of the collector.")
    retention: Duration = Field("7d", description="How long log lines are kept. At least 24h.")
    volume: Size = Field("10GB", description="Size of the volume.")
    bucket: LogBucket | None = Field(default=None, description="A bucket for the logs.")


class Jaeger(Strict):
    enabled: bool = Field(default=True, description="Run Jaeger and the trace pipeline of the collector.")
    retention: Duration = Field("72h", description="How long traces are kept.")
    volume: Size = Field("5GB", description="Size of the volume.")


class Email(Strict):
    """The mail server for receivers that send mail."""

    smarthost: Smarthost = Field(
        description="The mail server. `capture`: the capture receiver, without TLS.", examples=["capture"]
    )
    sender: Mail = Field(alias="from", description="The address that mail comes from.")
    to: tuple[Mail, ...] = Field(description="Who gets it.", min_length=1)
    username: str | None = Field(default=None, description="To log in with.")
    password: SecretName | None = Field(default=None, description="Name of the secret with the password.")
    tls: bool = Field(default=True, description="Refuse to send without TLS.")

    @property
    def captured(self) -> bool:
        return self.smarthost == CAPTURE

    @model_validator(mode="after")
    def _capture_asks_for_nothing(self) -> "Email":
        if self.captured and (self.username or self.password):
            raise ValueError("smarthost `capture` takes no `username` and no `password`")
        return self


class Switch(Strict):
    enabled: bool = Field(default=True, description="Run it.")


class Registry(Strict):
    """Where images come from, in place of the registries of their publishers."""

    address: RegistryAddress = Field(
        description="Host, port and path of a mirror: `docker.io/prom/prometheus` becomes `ADDRESS/prom/prometheus`.",
        examples=["registry.example.org/mirror"],
    )
    username: str | None = Field(default=None, description="To log in with.")
    password: SecretName | None = Field(default=None, description="Name of the secret with the password.")

    @model_validator(mode="after")
    def _both(self) -> "Registry":
        if (self.username is None) != (self.password is None):
            raise ValueError("give both `username` and `password`, or neither")
        return self


class Door(Strict):
    """Caddy before a page, with TLS and a password."""

    domain: Domain = Field(description="The name that people reach it by.", examples=["grafana.example.org"])
    before: ServiceName = Field("grafana", description="The service whose page is behind it.")
    users: SecretName = Field(
        description="Name of the secret with a line for each user: a name, and what `caddy hash-password` prints."
    )
    email: Mail | None = Field(
        default=None,
        description="Where Let's Encrypt writes to. Without it, Caddy makes certificates of its own.",
    )
    port: int = Field(default=443, ge=1, le=65535, description="The port of the machine.")


class DockerHost(Strict):
    """Another machine with a Docker Engine, and the agents on it: node-exporter, cAdvisor and a collector."""

    engine: EngineUrl = Field(description="Its engine.", examples=["ssh://ops@web-1.example.org"])
    address: PrivateAddress = Field(
        description="Its address in a private network, where Prometheus reaches its agents: they listen there, and "
        "nowhere else, on their ports and `port_offset`.",
        examples=["10.0.0.5"],
    )
    data_root: Directory = Field("/var/lib/docker", description="Where its engine keeps its data.")
    socket: Directory = Field("/var/run/docker.sock", description="The socket of its engine, for cAdvisor.")


class Docker(Strict):
    """On `docker`: the engine, and what an environment shows of itself and sees of the machine."""

    engine: EngineUrl | None = Field(
        default=None,
        description="The engine. Without it, the one that `DOCKER_HOST` names, or else this machine's.",
        examples=["ssh://ops@monitoring.example.org"],
    )
    data_root: Directory = Field(
        "/var/lib/docker", description="Where the engine keeps its data: the log files of containers are below it."
    )
    publish: tuple[ServiceName, ...] = Field(
        ("grafana",), description="The services whose page can be reached from outside, on its port and `port_offset`."
    )
    address: IpAddress = Field("127.0.0.1", description="The address of the machine that they are published on.")
    door: Door | None = Field(default=None, description="What is published in place of a service.")
    container_metrics: bool = Field(
        default=False, description="Run cAdvisor, which sees the whole machine and asks the engine's socket."
    )
    discover: bool = Field(
        default=False,
        description="Scrape containers with the labels `watchstack.environment` and `watchstack.scrape`, which "
        "Prometheus finds by asking the engine's socket.",
    )
    socket: Directory = Field("/var/run/docker.sock", description="That socket, on the engine's machine.")
    socket_group: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="The number of the group that may use it: `stat -c %g /var/run/docker.sock`.",
    )
    hosts: dict[Name, DockerHost] = Field(
        {}, description="Other machines that the environment watches, by name: [agents](docker.md#other-machines)."
    )
    agents_at: PrivateAddress | None = Field(
        default=None,
        description="With `hosts`: the address of the engine's machine in their private network. The collector takes "
        "log lines there, by OTLP over HTTP, on its port and `port_offset`.",
        examples=["10.0.0.2"],
    )

    @property
    def engines(self) -> dict[str, str | None]:
        """The engine of each machine by its name; that of the first is empty."""
        return {"": self.engine, **{name: host.engine for name, host in self.hosts.items()}}

    @model_validator(mode="after")
    def _told_apart(self) -> "Docker":
        if bool(self.hosts) != (self.agents_at is not None):
            raise ValueError("give both `hosts` and `agents_at`, or neither: their agents send log lines there")
        if wrong := [name for name in self.hosts if name.rpartition("-")[2] in PARTS]:
            raise ValueError(f"hosts: {wrong[0]!r} ends as a part of a service does ({', '.join(PARTS)}); rename it")
        for key, given in (
            ("engine", [self.engine, *(host.engine for host in self.hosts.values())]),
            ("address", [self.agents_at, *(host.address for host in self.hosts.values())]),
        ):
            if twice := [each for each in given if each and given.count(each) > 1]:
                raise ValueError(f"hosts: two machines have the {key} {twice[0]}; each has its own")
        return self


class Namespaces(Strict):
    """Whatever is in them belongs to the environment: no other one has the same."""

    monitoring: Name = Field("monitoring", description="Of the stack. It enforces Pod Security `restricted`.")
    host: Name = Field(
        "monitoring-host",
        description="Of what sees the machines: node-exporter and the collector of logs, one on each. `privileged`.",
    )
    tracing: Name = Field("tracing", description="Of Jaeger. It enforces `restricted`.")


class Ingress(Strict):
    """A way in for people, by the cluster's ingress controller."""

    domain: Domain = Field(description="The name that people reach it by.", examples=["grafana.example.org"])
    before: ServiceName = Field("grafana", description="The service whose page is behind it.")
    controller: Name | None = Field(
        default=None, alias="class", description="The class of the ingress controller; without it, the cluster's own."
    )
    namespace: Name = Field("ingress-nginx", description="Where the controller runs: nobody else gets in.")
    tls: Name = Field(description="The Secret with the certificate, in the namespace `monitoring`.")


class Kubernetes(Strict):
    """On `kubernetes`: the cluster, and what an environment has and sees of it."""

    context: str | None = Field(
        default=None,
        description="The context of the kubeconfig, which is the file that `KUBECONFIG` names, or `~/.kube/config`. "
        "Without it, the current one.",
        examples=["prod-eu"],
    )
    namespaces: Namespaces = Field(Namespaces(), description="Their names.")
    storage_class: Name | None = Field(
        default=None, description="Of all volumes. Without it, the cluster's default. Another one makes them anew."
    )
    discover: tuple[Name, ...] = Field(
        (),
        description="Namespaces whose pods and services are scraped where their annotations `prometheus.io/scrape`, "
        "`port`, `path` and `scheme` ask for it, besides those of the systems.",
    )
    kubelet_verified: bool = Field(
        default=True,
        description="Whether kubelets have certificates of the cluster's authority. kubeadm gives them such only with "
        "`serverTLSBootstrap`; where they sign their own, `false` scrapes them without a proof of who they are.",
    )
    patience: Duration = Field("5m", description="How long an object may take until it is ready, before `up` fails.")
    api_port: int = Field(
        default=6443,
        ge=1,
        le=65535,
        description="The port of the API servers behind the service `kubernetes`, which few pods may reach: "
        "`kubectl get endpointslices` shows it.",
    )
    ingress: Ingress | None = Field(default=None, description="What people reach without a port-forward.")
    adopt: bool = Field(
        default=False,
        description="For one `up`: what is in the cluster, and not in the state, becomes the environment's own, as "
        "after a state that was lost. What somebody else set in it is overwritten.",
    )


class Dashboards(Strict):
    """Which dashboards there are. All that fit the environment, unless `only` is given."""

    only: tuple[Name, ...] | None = Field(
        default=None,
        description="The dashboards to show, by name or by folder: a system, `platform` or `own`.",
        examples=[["platform", "boss-workflow"]],
    )
    own: tuple[str, ...] = Field(
        (),
        description="Your own dashboards: JSON files, Python modules with a function `board()`, or directories of "
        "them, by path from the root of the repository.",
        examples=[["ops/dashboards"]],
    )
    panels: dict[str, PanelChange] = Field({}, description="Changes to shipped panels, by `<dashboard>/<panel>`.")


class Secret(Strict):
    """Where the value of a secret comes from. The value itself never stands here in the clear."""

    file: str | None = Field(
        default=None,
        description="A file on the machine that runs Pulumi, outside the repository. `up` needs it, a preview none.",
    )
    secure: str | None = Field(
        default=None,
        description="Encrypted, by `pulumi config set --secret --path 'watchstack:secrets.NAME'`.",
    )
    capture: Name | None = Field(
        default=None,
        description="No secret: the address of the capture receiver, at this path. For throw-away stacks.",
    )

    @model_validator(mode="before")
    @classmethod
    def _never_in_the_clear(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(
                "a secret never stands in a stack file in the clear; "
                "use `pulumi config set --secret --path 'watchstack:secrets.NAME'` or give `file:`"
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "Secret":
        if sum(source is not None for source in (self.file, self.secure, self.capture)) != 1:
            raise ValueError("give exactly one of `file`, `secure`, `capture`")
        return self


class Accepted(Strict):
    """A component whose version the check `versions` would refuse."""

    because: str = Field(min_length=8, description="Why it is kept all the same.")


class Settings(Strict):
    """One environment."""

    environment: Name = Field(description="The stack's name; not a key of the file.", exclude=True)
    target: Literal["local", "docker", "kubernetes"] = Field(description="The ground the environment runs on.")
    lifecycle: Literal["ephemeral", "durable"] = Field(
        description="`ephemeral`: destroy removes the data too. `durable`: the data outlives destroy."
    )
    port_offset: int = Field(
        default=0,
        ge=0,
        le=48000,
        description="On `local`, added to every port: 10000 puts Prometheus (9090) on 19090. One block an environment. "
        "On the other targets, added to the ports of pages on the machine that they are looked at from, and to those "
        "of agents on other machines.",
    )
    fast_forward: int = Field(
        default=1,
        ge=1,
        le=120,
        description="For drills: how many times shorter all ranges and waits of rules and routes are. "
        "Not with `durable`.",
    )
    ttl: Duration | None = Field(
        default=None,
        description="How long the environment is kept after its last update: then `./watchstack reap` takes it down. "
        "Not with `durable`.",
        examples=["8h"],
    )
    unlocked: bool = Field(
        default=False,
        description="On `docker` and `kubernetes`: the volumes of a `durable` environment may be deleted.",
    )
    registry: Registry | None = Field(default=None, description="A mirror of the registries of the images.")
    docker: Docker = Field(Docker(), description="The Docker Engine and what it publishes.")
    kubernetes: Kubernetes = Field(Kubernetes(), description="The cluster and the environment's place in it.")
    external_labels: dict[Label, str] = Field(
        {},
        description="Labels on everything that leaves this Prometheus. `cluster` and `environment` are the "
        "environment's name unless given.",
    )
    systems: dict[Name, System] = Field(description="The monitored systems. The first also gets the platform's alerts.")
    packs: dict[Literal["platform", "containers", "kubernetes", "logs"], Version] = Field(
        {},
        description="Versions of the packs that every environment has, as far as it runs what they need; else `v1`.",
    )
    prometheus: Prometheus = Field(Prometheus(), description="Metrics and rules.")
    object_storage: ObjectStorage | None = Field(default=None, description="A bucket for what is kept for long.")
    thanos: Thanos | None = Field(default=None, description="Long-term storage of metrics in the bucket.")
    alertmanager: Alertmanager = Field(Alertmanager(), description="Notifications.")
    loki: Loki = Field(Loki(), description="Logs.")
    jaeger: Jaeger = Field(Jaeger(), description="Traces.")
    grafana: Switch = Field(Switch(), description="Dashboards.")
    node_exporter: Switch = Field(Switch(), description="Metrics of the host.")
    capture: Switch = Field(
        Switch(), description="A receiver that keeps what it is sent, for tests, drills and a first try."
    )
    email: Email | None = Field(default=None, description="The mail server. Without it, receivers send no mail.")
    dashboards: Dashboards = Field(Dashboards(), description="Which dashboards, and whose.")
    receivers: dict[Name, Told] = Field(
        {}, description="Other ways to tell a receiver of a profile, in place of those that the profile gives."
    )
    override: dict[str, Override] = Field({}, description="Changes to shipped alerts, by `<pack>/<alert>`.")
    accept: dict[str, Accepted] = Field(
        {}, description="Components that are kept in a version which [versions](checks/versions.md) refuses, by name."
    )
    secrets: dict[Name, Secret] = Field({}, description="Secrets by name: Discord webhook, heartbeat address.")

    @model_validator(mode="after")
    def _whole(self) -> "Settings":
        if not self.systems:
            raise ValueError("at least one system must be monitored")
        captured = [name for name, secret in self.secrets.items() if secret.capture]
        if captured and not self.capture.enabled:
            raise ValueError(f"secrets {', '.join(captured)} point at the capture receiver, which is not enabled")
        if self.prometheus.replicas > 1 and "replica" in self.external_labels:
            raise ValueError("the label `replica` of external_labels is what replicas of Prometheus are told apart by")
        if self.thanos and not self.object_storage:
            raise ValueError("thanos keeps its samples in a bucket: give `object_storage`")
        if self.loki.bucket and not self.object_storage:
            raise ValueError("loki.bucket is of a store: give `object_storage`")
        if self.thanos and THANOS in self.prometheus.remote_write:
            raise ValueError(f"prometheus.remote_write.{THANOS} is the name of the stack's own; call it something else")
        if self.email and self.email.captured and not self.capture.enabled:
            raise ValueError("email.smarthost is the capture receiver, which is not enabled")
        if self.ttl and self.lifecycle == "durable":
            raise ValueError("ttl is for environments that go: a `durable` one has none")
        if self.fast_forward > 1 and self.lifecycle == "durable":
            raise ValueError("fast_forward is for rehearsals: a `durable` environment judges in real time, with 1")
        return self


class _Loader(yaml.SafeLoader):
    """A day stays text, as it does for Pulumi: one that is in no calendar is then told like any other wrong value."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def stack_file(environment: str) -> Path:
    """Where the stack file of an environment is."""
    return STACK_FILES / f"Pulumi.{environment}.yaml"


def environments() -> list[str]:
    """Every environment that has a stack file."""
    return sorted(path.stem.removeprefix("Pulumi.") for path in STACK_FILES.glob("Pulumi.*.yaml"))


def from_stack_file(path: Path, environment: str, changes: Mapping[str, str] | None = None) -> Settings:
    """Settings of a stack file; secrets in it stay encrypted. Refused where it cannot be used.

    `changes` are values by key as `pulumi up -c` takes them, with or without the project's name.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise Refused(f"{path}: no such stack file; environments are the files {path.parent}/Pulumi.*.yaml") from None
    return from_text(text, path, environment, changes)


def from_text(text: str, path: Path, environment: str, changes: Mapping[str, str] | None = None) -> Settings:
    """Settings of the text of a stack file, which is or will be at `path`."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as problem:
        raise Refused(f"{path}: not YAML: {problem}") from None
    config = (document or {}).get("config") or {}
    # `pulumi config set` writes every value as a string, and means what stands in it.
    given = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in (changes or {}).items()}
    return _settings(_own(config | given), environment)


def from_pulumi(config: Mapping[str, str], secret_keys: Collection[str], environment: str) -> Settings:
    """Settings of Pulumi's configuration map: structures are JSON text, and secrets come decrypted."""
    values = _own(config)
    if SECRETS in secret_keys:
        values[SECRETS] = {
            name: {"secure": source} if isinstance(source, str) else source for name, source in values[SECRETS].items()
        }
    return _settings(values, environment)


def placed(problems: str, path: Path) -> str:
    """Problems, one a line, each that names a key of the stack file with file and line before it."""
    return "\n".join(_placed(line, path) for line in problems.splitlines())


def _placed(line: str, path: Path) -> str:
    found = _KEY.match(line)
    if found is None or not path.is_file():
        return line
    first, *others = found["key"].split(".")
    text = path.read_text()
    if f"{first}:" not in text:  # of the file as a whole, missing, or given on the command line
        return f"{path.name}: {line}"
    steps = ["config", first, *(int(step) if step.isdigit() else step for step in others)]
    return f"{path.name}:{line_of(text, steps)}: {line}"


def _settings(config: Mapping[str, Any], environment: str) -> Settings:
    own = {key.removeprefix(_PREFIX): value for key, value in config.items()}
    return load(Settings, {**own, "environment": environment}, _PREFIX)


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of this project. A stack file may have those of providers, too."""
    return {
        key: _value(key, value) if isinstance(value, str) else value
        for key, value in config.items()
        if key.startswith(_PREFIX)
    }


def _value(key: str, text: str) -> Any:
    """Structures are JSON where Pulumi wrote them, and YAML where a person did."""
    if text[:1] in ("{", "["):
        with suppress(json.JSONDecodeError):
            return json.loads(text)
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        shown = "the value (not shown)" if key == SECRETS else json.dumps(text)
        raise Refused(f"{key}: {shown} is not accepted: it is neither JSON nor YAML") from None
