"""Containers against section 5 of the CIS Docker Benchmark, numbered as in its versions 1.6 and 1.7.

`inspected` judges what `docker inspect` says, `inside` what /proc says of the processes themselves. What is as it must
be stands in cis_exceptions.yaml with its reason; `problems` is what is left.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import yaml
from docker.models.containers import Container
from pydantic import Field, field_validator

from stacks.service import SERVICE
from stacks.strict import Strict, in_file, load, nearest
from stacks.targets.containers import PART

EXCEPTIONS = Path(__file__).with_name("cis_exceptions.yaml")

# What is told of the engine, not of a container; and what is found of a process, not in a document.
ENGINE = "the engine"
PROCESS = "process"

# Where an engine keeps its data unless it is told otherwise.
_DATA = "/var/lib/docker"
_SENSITIVE = tuple(
    map(PurePosixPath, ("/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/run", "/sys", "/usr", "/var/run", _DATA))
)
_SOCKET = "docker.sock"
_SOCKETS = (PurePosixPath("/run") / _SOCKET, PurePosixPath("/var/run") / _SOCKET)
_RETRIES = 5
_PRIVILEGED_PORTS = 1024
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - looked for, not bound
# Docker's own number for a container that has no share of the processor set.
_DEFAULT_SHARES = 1024
_FILTERED = "2"

Document = Mapping[str, Any]
# What a container of a service is for.
Kind = Literal["service", "loader", "secrets", "settle"]


class Fault(NamedTuple):
    """What is wrong, and the one thing it is about, as a port, if a container may have several."""

    wrong: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Control:
    """A recommendation of the benchmark. `offered_by`: the feature of the kernel without which nobody can follow it."""

    number: str
    title: str
    judge: Callable[[Document], Iterable[Fault]]
    offered_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault of a container; `service` and `kind` are what exceptions go by."""

    container: str
    service: str = ""
    kind: str = ""
    control: str
    title: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.container}: {self.control} {self.title}: {self.fault.wrong}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Faults, and what cannot be decided here, which is no pass."""

    findings: tuple[Finding, ...]
    undecided: tuple[str, ...]


class Exempt(Strict):
    """A finding that is as it must be. A fault that names a thing is exempt only where `about` names that thing."""

    service: str = Field(min_length=1)
    kind: Literal[Kind, "*"]
    control: str
    about: tuple[str, ...] = ()
    reason: str = Field(min_length=20)

    @field_validator("control")
    @classmethod
    def _known(cls, number: str) -> str:
        if number not in TITLES:
            raise ValueError(f"no control of this checker; {nearest(number, [*TITLES])}")
        return number

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of these."""
        named = finding.fault.about in (self.about or ("",))
        placed = fnmatchcase(finding.service, self.service) and self.kind in (finding.kind, "*")
        return bool(finding.service) and placed and finding.control == self.control and named


class _File(Strict):
    exceptions: tuple[Exempt, ...]


def exceptions(path: Path = EXCEPTIONS) -> tuple[Exempt, ...]:
    """The exceptions of a file, which is refused if it is not well made."""
    return load(_File, yaml.safe_load(path.read_text()), in_file(path.name, path)).exceptions


def problems(findings: Iterable[Finding], exempt: Sequence[Exempt]) -> list[str]:
    """Findings without an exception, and exceptions without a finding."""
    findings = tuple(findings)
    left = [str(finding) for finding in findings if not any(each.covers(finding) for each in exempt)]
    return left + [line for each in exempt for line in _unused(each, findings)]


def _unused(exempt: Exempt, findings: Sequence[Finding]) -> Iterator[str]:
    used = {finding.fault.about for finding in findings if exempt.covers(finding)}
    for about in exempt.about or ("",):
        if about not in used:
            what = " ".join((exempt.control, TITLES[exempt.control], *([f"({about})"] if about else [])))
            yield f"exception for {exempt.service} {exempt.kind}, {what}: nothing is found that it excuses"


def inspected(documents: Iterable[Document], info: Document) -> Report:
    """The findings of `docker inspect` documents, by what `docker info` says that the engine offers."""
    offered = {option.split(",")[0].removeprefix("name=") for option in info.get("SecurityOptions") or ()}
    decided = [each for each in CONTROLS if each.offered_by is None or each.offered_by in offered]
    usual = [_as_usual(document, info) for document in documents]
    lacking = (
        f"{each.number} {each.title}: the engine's host has no {each.offered_by}"
        for each in CONTROLS
        if each not in decided
    )
    return Report(
        findings=(
            *_swarm(info),
            *(
                _finding(document, each.number, fault)
                for document in usual
                for each in decided
                for fault in each.judge(document)
            ),
        ),
        undecided=(*lacking, *(f"{number} {TITLES[number]}: {why}" for number, why in _NOT_INSPECTED.items())),
    )


def _as_usual(document: Document, info: Document) -> Document:
    """With what is mounted of the engine's data in its usual place: an exception names that, wherever it is."""
    mounts = json.dumps(document.get("Mounts") or ())
    return {**document, "Mounts": json.loads(mounts.replace(f'"{info.get("DockerRootDir", _DATA)}', f'"{_DATA}'))}


def inside(container: Container) -> list[Finding]:
    """What the processes of a running container may do, by this machine's /proc: most images have nothing to run."""
    document: Document = container.attrs
    first = document["State"]["Pid"]
    if not first:
        raise ValueError(f"{_name(document)} is not running: it has no process to look at")
    return [
        _finding(document, number, fault) for status in _statuses(first) for number, fault in process_faults(status)
    ]


def process_faults(status: str) -> Iterator[tuple[str, Fault]]:
    """The controls that a process does not keep, by its /proc/PID/status."""
    told = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
    users = told["Uid"].split()
    wrong = {
        "4.1": ("runs as root (Uid: {Uid})", "0" in users),
        "5.4": ("has capabilities (CapEff: {CapEff})", int(told["CapEff"], 16) != 0),
        "5.7": ("runs", told["Name"] == "sshd"),
        "5.22": ("may make every system call (Seccomp: {Seccomp})", told["Seccomp"] != _FILTERED),
        "5.26": ("may gain privileges (NoNewPrivs: {NoNewPrivs})", told["NoNewPrivs"] != "1"),
    }
    for number, (words, is_wrong) in wrong.items():
        if is_wrong:
            said = words.format_map(told | {"Uid": " ".join(users)})
            yield number, Fault(f"process {told['Name']} {said}", PROCESS)


def _statuses(pid: int) -> Iterator[str]:
    """Of a process and all that it started. One that ends while it is looked at has none."""
    process = Path("/proc") / str(pid)
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        yield (process / "status").read_text()
        children = [child for task in process.glob("task/*/children") for child in task.read_text().split()]
        for child in children:
            yield from _statuses(int(child))


def _finding(document: Document, number: str, fault: Fault) -> Finding:
    name = _name(document)
    labels = document["Config"].get("Labels") or {}
    return Finding(
        container=name,
        service=labels.get(SERVICE, ""),
        kind=labels.get(PART, "service"),
        control=number,
        title=TITLES[number],
        fault=fault,
    )


def _name(document: Document) -> str:
    return str(document["Name"]).lstrip("/")


def _swarm(info: Document) -> Iterator[Finding]:
    state = (info.get("Swarm") or {}).get("LocalNodeState", "inactive")
    if state != "inactive":
        fault = Fault(f"swarm mode is {state}")
        yield Finding(container=ENGINE, control="5.1", title=TITLES["5.1"], fault=fault)


def _apparmor(document: Document) -> Iterator[Fault]:
    profile = document.get("AppArmorProfile") or "none"
    if profile in ("none", "unconfined"):
        yield Fault(f"AppArmorProfile is {profile}")


def _selinux(document: Document) -> Iterator[Fault]:
    options = _options(document, "label")
    if "disable" in options:
        yield Fault("SecurityOpt disables labels")
    elif not options and not document.get("ProcessLabel"):
        yield Fault("neither SecurityOpt nor ProcessLabel gives a label")


def _capabilities(document: Document) -> Iterator[Fault]:
    host = document["HostConfig"]
    if "ALL" not in _plain(host.get("CapDrop")):
        yield Fault(f"CapDrop is {host.get('CapDrop') or 'empty'}: ALL is not dropped", "CapDrop")
    for name in _plain(host.get("CapAdd")):
        yield Fault(f"CapAdd has {name}", name)


def _plain(names: Sequence[str] | None) -> list[str]:
    """Capabilities without the prefix, which engines from 20.10 write and older ones do not."""
    return [name.upper().removeprefix("CAP_") for name in names or ()]


def _privileged(document: Document) -> Iterator[Fault]:
    if document["HostConfig"]["Privileged"]:
        yield Fault("Privileged is true")


def _directories(document: Document) -> Iterator[Fault]:
    for source, how in _binds(document):
        # The socket has a control of its own.
        if source.name != _SOCKET and any(
            source.is_relative_to(each) or each.is_relative_to(source) for each in _SENSITIVE
        ):
            yield Fault(f"{source} of the host is mounted, {how}", str(source))


def _docker_socket(document: Document) -> Iterator[Fault]:
    for source, how in _binds(document):
        if source.name == _SOCKET:
            yield Fault(f"{source} is mounted, {how}", _SOCKET)
        elif any(each.is_relative_to(source) for each in _SOCKETS):
            yield Fault(f"{source}, which holds the socket, is mounted, {how}", str(source))


def _binds(document: Document) -> Iterator[tuple[PurePosixPath, str]]:
    """What is mounted from the host, and whether it can be written."""
    for mount in document.get("Mounts") or ():
        if mount["Type"] == "bind":
            yield PurePosixPath(mount["Source"]), "writable" if mount["RW"] else "read-only"


def _propagation(document: Document) -> Iterator[Fault]:
    for mount in document.get("Mounts") or ():
        if mount.get("Propagation") in ("shared", "rshared"):
            yield Fault(f"{mount['Destination']} is mounted {mount['Propagation']}", mount["Destination"])


def _sshd(document: Document) -> Iterator[Fault]:
    command = (document["Path"], *document["Args"])
    if any(PurePosixPath(word).name == "sshd" for part in command for word in part.split()):
        yield Fault(f"the command is {' '.join(command)}")


def _privileged_ports(document: Document) -> Iterator[Fault]:
    for port, address, outside in _published(document):
        if outside and int(outside) < _PRIVILEGED_PORTS:
            yield Fault(f"{port} is published on port {outside} of {address or 'every address'}", port)


def _open_ports(document: Document) -> Iterator[Fault]:
    if document["HostConfig"].get("PublishAllPorts"):
        yield Fault("PublishAllPorts is true")
    for port in sorted({port for port, _, _ in _published(document)}):
        yield Fault(f"{port} is published, and no exception says what it is needed for", port)


def _every_interface(document: Document) -> Iterator[Fault]:
    for port, address, _ in _published(document):
        if address in _EVERYWHERE:
            yield Fault(f"{port} is published on {address or 'every address'}", port)


def _published(document: Document) -> Iterator[tuple[str, str, str]]:
    """Ports of the container with address and port of the host: as they are, or are to be once it runs."""
    running = (document.get("NetworkSettings") or {}).get("Ports") or {}
    asked = document["HostConfig"].get("PortBindings") or {}
    for port, bindings in (running if any(running.values()) else asked).items():
        for binding in bindings or ():
            yield port, binding["HostIp"], binding["HostPort"]


def _memory(document: Document) -> Iterator[Fault]:
    if not document["HostConfig"]["Memory"]:
        yield Fault("Memory is without a limit")


def _cpu(document: Document) -> Iterator[Fault]:
    host = document["HostConfig"]
    shares = host.get("CpuShares", 0) not in (0, _DEFAULT_SHARES)
    if not (shares or host.get("NanoCpus") or host.get("CpuQuota")):
        yield Fault("CpuShares, NanoCpus and CpuQuota are not set")


def _root_file_system(document: Document) -> Iterator[Fault]:
    if not document["HostConfig"]["ReadonlyRootfs"]:
        yield Fault("ReadonlyRootfs is false")


def _restart(document: Document) -> Iterator[Fault]:
    policy = document["HostConfig"]["RestartPolicy"]
    name, most = policy["Name"] or "no", policy["MaximumRetryCount"]
    if name != "no" and not (name == "on-failure" and 0 < most <= _RETRIES):
        limit = f" with {most or 'any number of'} restarts" if name == "on-failure" else ""
        yield Fault(f"RestartPolicy is {name}{limit}, not on-failure with at most {_RETRIES}")


def _not_host(mode: str) -> Callable[[Document], Iterator[Fault]]:
    """A namespace that must not be the host's."""

    def judge(document: Document) -> Iterator[Fault]:
        if document["HostConfig"].get(mode) == "host":
            yield Fault(f"{mode} is host")

    return judge


def _devices(document: Document) -> Iterator[Fault]:
    host = document["HostConfig"]
    for device in host.get("Devices") or ():
        yield Fault(f"{device['PathOnHost']} of the host is a device of it", device["PathOnHost"])
    if host.get("DeviceRequests"):
        yield Fault("DeviceRequests asks for devices")


def _ulimits(document: Document) -> Iterator[Fault]:
    if not document["HostConfig"].get("Ulimits"):
        yield Fault("Ulimits is empty: the limits are the engine's")


def _seccomp(document: Document) -> Iterator[Fault]:
    if "unconfined" in _options(document, "seccomp"):
        yield Fault("SecurityOpt has seccomp unconfined")
    elif document["HostConfig"]["Privileged"]:
        yield Fault("a privileged container has no seccomp profile")


def _cgroup(document: Document) -> Iterator[Fault]:
    parent = document["HostConfig"].get("CgroupParent")
    if parent:
        yield Fault(f"CgroupParent is {parent}")


def _new_privileges(document: Document) -> Iterator[Fault]:
    if not {"", "true"} & {*_options(document, "no-new-privileges")}:
        yield Fault("SecurityOpt has no no-new-privileges")


def _options(document: Document, name: str) -> list[str]:
    """The values of a security option, which is written with = or, as once, with a colon."""
    found = (re.split("[=:]", option, maxsplit=1) for option in document["HostConfig"].get("SecurityOpt") or ())
    return ["".join(value) for key, *value in found if key == name]


def _health(document: Document) -> Iterator[Fault]:
    test = (document["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if test[0] == "NONE":
        yield Fault("neither the container nor its image has a health check")


def _image(document: Document) -> Iterator[Fault]:
    image = document["Config"]["Image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@" not in image and tag in ("", "latest"):
        yield Fault(f"the image {image} is not pinned: a host goes on with what it pulled once")


def _pids(document: Document) -> Iterator[Fault]:
    if (document["HostConfig"].get("PidsLimit") or 0) <= 0:
        yield Fault("PidsLimit is without a limit")


def _default_bridge(document: Document) -> Iterator[Fault]:
    asked = document["HostConfig"]["NetworkMode"].replace("default", "bridge")
    # The mode is of its creation: it may have been taken off that network since.
    if "bridge" in ((document.get("NetworkSettings") or {}).get("Networks") or [asked]):
        yield Fault("it is on the network bridge, which is docker0")


def _control(
    number: str, title: str, judge: Callable[[Document], Iterable[Fault]], offered_by: str | None = None
) -> Control:
    return Control(number=number, title=title, judge=judge, offered_by=offered_by)


CONTROLS = (
    _control("5.2", "AppArmor profile", _apparmor, "apparmor"),
    _control("5.3", "SELinux options", _selinux, "selinux"),
    _control("5.4", "restricted capabilities", _capabilities),
    _control("5.5", "no privileged container", _privileged),
    _control("5.6", "no sensitive directory of the host", _directories),
    _control("5.7", "no sshd", _sshd),
    _control("5.8", "no privileged port", _privileged_ports),
    _control("5.9", "only needed ports", _open_ports),
    _control("5.10", "own network namespace", _not_host("NetworkMode")),
    _control("5.11", "memory limit", _memory),
    _control("5.12", "share of the processor", _cpu),
    _control("5.13", "read-only root file system", _root_file_system),
    _control("5.14", "ports on one interface", _every_interface),
    _control("5.15", "bounded restarts", _restart),
    _control("5.16", "own process namespace", _not_host("PidMode")),
    _control("5.17", "own IPC namespace", _not_host("IpcMode")),
    _control("5.18", "no device of the host", _devices),
    _control("5.19", "ulimits of its own", _ulimits),
    _control("5.20", "no shared mount propagation", _propagation),
    _control("5.21", "own UTS namespace", _not_host("UTSMode")),
    _control("5.22", "seccomp profile", _seccomp, "seccomp"),
    _control("5.25", "the engine's cgroup", _cgroup),
    _control("5.26", "no new privileges", _new_privileges),
    _control("5.27", "health check", _health),
    _control("5.28", "image of a known version", _image),
    _control("5.29", "limit of processes", _pids),
    _control("5.30", "not the default bridge", _default_bridge),
    _control("5.31", "no user namespace of the host", _not_host("UsernsMode")),
    _control("5.32", "no Docker socket", _docker_socket),
)
# An inspection shows what a container is, not what anybody ran in it.
_NOT_INSPECTED = {
    "5.23": "a document does not tell how docker exec was used",
    "5.24": "a document does not tell how docker exec was used",
}
TITLES = {each.number: each.title for each in CONTROLS} | {
    "4.1": "a user other than root",
    "5.1": "no swarm mode",
    "5.23": "no docker exec with --privileged",
    "5.24": "no docker exec as root",
}
