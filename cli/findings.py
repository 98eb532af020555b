"""What `./watchstack doctor` looks at: one function a finding. Nothing is changed; what is remote has little time."""

import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from checks import disk, ports, secrets
from stacks.plan import Plan
from stacks.settings import Settings
from stacks.strict import Refused
from toolchain import interrupted, programs, pulumi, sums
from toolchain.programs import Absent
from toolchain.versions import table

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 11)

# Of two seconds, the rest is for who asks.
_SECONDS = 1
_FILES = 8192
_INOTIFY = 64
_TIME_ERROR = 5
_PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)
_MAKE_TOOLS = "make tools"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`mend` is the command that mends it, or what to do where no command does."""

    part: str
    state: Literal["well", "doubtful", "wrong"]
    detail: str
    mend: str = ""


def python() -> Finding:
    """The Python that runs this, and whether it is that of the clone."""
    found = sys.version.split()[0]
    if sys.version_info[:2] < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        mend = f"rm -r .venv && make tools PYTHON=python{wanted}"
        return Finding(part="python", state="wrong", detail=f"{found}; at least {wanted} is needed", mend=mend)
    if not (ROOT / ".venv" / "bin" / "python").exists():
        return Finding(part="python", state="wrong", detail="the clone has no .venv", mend=_MAKE_TOOLS)
    return Finding(part="python", state="well", detail=found)


def pins(root: Path = ROOT) -> Finding:
    """The packages against requirements.txt and requirements-dev.txt."""
    files = [root / "requirements.txt", root / "requirements-dev.txt"]
    wanted = dict(pin for file in files for pin in _PIN.findall(file.read_text(encoding="utf-8")))
    others = [f"{name} {_version(name)}, pinned is {pin}" for name, pin in wanted.items() if _version(name) != pin]
    if others:
        return Finding(
            part="packages", state="wrong", detail="; ".join(others), mend=f"rm .venv/requirements; {_MAKE_TOOLS}"
        )
    return Finding(part="packages", state="well", detail=f"{len(wanted)} as pinned")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "is missing"


def tools() -> Iterator[Finding]:
    """The programs of the table: there, in the version of the table, and as they were installed."""
    wanted = {name: programs.find(name) for name, product in table().items() if not product.on_demand}
    absent = [name for name, found in wanted.items() if isinstance(found, Absent)]
    there = [found for found in wanted.values() if not isinstance(found, Absent)]
    for name in absent:
        state: Literal["doubtful", "wrong"] = "doubtful" if table()[name].optional else "wrong"
        detail = "not installed" + (", and optional" if table()[name].optional else "")
        yield Finding(part=f"program {name}", state=state, detail=detail, mend=_MAKE_TOOLS)
    for found in there:
        if names := sums.altered(found):
            detail = f"{', '.join(names)} is not what was installed: its SHA-256 is another"
            mend = f"rm -r {found.directory} && {_MAKE_TOOLS}"
            yield Finding(part=f"program {found.product}", state="wrong", detail=detail, mend=mend)
    yield Finding(part="programs", state="well", detail=f"{len(there)} of {len(wanted)} in their versions")


def backend(root: Path = ROOT) -> Finding:
    """Where Pulumi keeps the state, and whether it can be got at."""
    where = pulumi.backend(root)
    if where.startswith("file://"):
        problem, mend = _unusable(Path(where.removeprefix("file://")).expanduser())
    else:
        problem, mend = _unanswered(root)
    if problem:
        return Finding(part="backend", state="wrong", detail=f"{where}: {problem}", mend=mend)
    return Finding(part="backend", state="well", detail=where)


def _unusable(state: Path) -> tuple[str, str]:
    own = state == ROOT / ".watchstack" / "state"
    if not state.exists():
        return ("", "") if own else ("no such directory", f"mkdir -p {state}")
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return "cannot be written to", f"sudo chown -R {os.getuid()} {state}"
    return "", ""


def _unanswered(root: Path) -> tuple[str, str]:
    asked = ["pulumi", "whoami", "--non-interactive"]
    try:
        env = pulumi.environment(root)
        done = subprocess.run(asked, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except programs.ProgramMissing as missing:
        return str(missing), _MAKE_TOOLS
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s", "pulumi whoami"
    return ("", "") if done.returncode == 0 else (done.stderr.strip().removeprefix("error: "), "pulumi login")


def passphrase(root: Path = ROOT) -> Finding:
    """What opens the secrets of the states of this clone, or those of the user."""
    part, file = "passphrase", os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        return Finding(part=part, state="well", detail="PULUMI_CONFIG_PASSPHRASE")
    if file is not None:
        if Path(file).is_file():
            return Finding(part=part, state="well", detail=file)
        mend = "unset PULUMI_CONFIG_PASSPHRASE_FILE"
        return Finding(part=part, state="wrong", detail=f"PULUMI_CONFIG_PASSPHRASE_FILE: no file {file}", mend=mend)
    own = root / ".watchstack"
    there = (own / "passphrase").is_file()
    if not there and (stacks := interrupted.stacks(own / "state")):
        detail = f"{own / 'passphrase'} is gone, and the states of {', '.join(stacks)} are locked with it"
        mend = "put it back from a copy; without one: `rm -r .watchstack/state`, and end what runs by hand"
        return Finding(part=part, state="wrong", detail=detail, mend=mend)
    return Finding(part=part, state="well", detail="of this clone" if there else "made with the first environment")


def runs(environment: str, root: Path = ROOT) -> Finding:
    """Whether the last run on the environment ended well, and whether one is under way."""
    at = pulumi.backend(root), pulumi.project(root), environment
    if held := interrupted.holder(*at):
        mend = f".venv/bin/python -m toolchain.pulumi {environment} -- cancel --yes"
        detail = f"one is under way, by {held}"
        return Finding(part="runs", state="doubtful", detail=detail, mend=f"wait; if it is no more: {mend}")
    if interrupted.find(*at):
        detail = "the last one did not end well, and may have left things half made"
        return Finding(part="runs", state="wrong", detail=detail, mend=f"make up ENV={environment}")
    return Finding(part="runs", state="well", detail="none is under way, none was cut short")


def clock() -> Finding:
    """Whether the kernel says that somebody keeps the time right. Not every machine can tell."""
    if time.time() < (ROOT / "Pulumi.yaml").stat().st_mtime:
        detail, mend = "the time is before that of files of this clone", "sudo timedatectl set-ntp true"
        return Finding(part="clock", state="wrong", detail=detail, mend=mend)
    # The first word of `struct timex` is 0: only asked. It has 208 bytes at most.
    if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == _TIME_ERROR:
        detail = "nobody keeps it right, as far as the kernel knows; alerts and logs go by it"
        return Finding(part="clock", state="doubtful", detail=detail, mend="sudo timedatectl set-ntp true")
    return Finding(part="clock", state="well", detail="kept right")


def limits() -> Finding:
    """Open files of a process, and watchers of files: databases, log readers and Grafana take many."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < _FILES:
        mend = f"ulimit -Hn {_FILES}, as root, or LimitNOFILE of the service that starts this"
        return Finding(part="limits", state="wrong", detail=f"a process may open {files} files", mend=mend)
    kept = Path("/proc/sys/fs/inotify/max_user_instances")
    instances = int(kept.read_text()) if kept.exists() else _INOTIFY
    if instances < _INOTIFY:
        mend = "sudo sysctl fs.inotify.max_user_instances=512"
        return Finding(
            part="limits", state="wrong", detail=f"{instances} watchers of files (inotify) a user", mend=mend
        )
    return Finding(part="limits", state="well", detail=f"{files} open files, {instances} watchers of files")


def ports_free(plan: Plan) -> Finding:
    """Nobody else has the ports of a local environment."""
    return _judged("ports", ports.check(plan, ROOT), "set another watchstack:port_offset, or end it")


def room(plan: Plan) -> Finding:
    """The disk, now and when the volumes are full."""
    free = shutil.disk_usage(ROOT).free >> 20
    found = _judged("disk", disk.check(plan, ROOT), "df -h . && du -sh .watchstack/run/*")
    return found if found.state == "wrong" else Finding(part="disk", state="well", detail=f"{free} MB free")


def secret_files(plan: Plan) -> Finding:
    """Secrets that come from files."""
    return _judged(
        "secrets", [*secrets.absent(plan), *secrets.check(plan, ROOT)], "write each value to its file, mode 0400"
    )


def _judged(part: str, problems: list[str], mend: str) -> Finding:
    if problems:
        return Finding(part=part, state="wrong", detail="; ".join(problems), mend=mend)
    return Finding(part=part, state="well", detail="as they should be")


def ground(settings: Settings) -> Finding:
    """The Docker Engine or the cluster answers in time."""
    if settings.target == "local":
        return Finding(part="ground", state="well", detail="processes of this machine")
    try:
        if settings.target == "docker":
            from stacks.targets import engine  # noqa: PLC0415 - only who has one asks it

            engine.connected(settings, _SECONDS)
        else:
            from stacks.targets import cluster  # noqa: PLC0415

            cluster.connect(settings, _SECONDS)
    except Refused as refused:
        detail, _, mend = str(refused).partition("; ")
        return Finding(part="ground", state="wrong", detail=detail, mend=mend)
    return Finding(part="ground", state="well", detail=f"{settings.target} answers")


def plugin(settings: Settings, root: Path = ROOT) -> Finding:
    """Pulumi's plugin for the target: there, or to be had."""
    target, part = settings.target, "plugin"
    if target == "local":
        return Finding(part=part, state="well", detail="none is needed")
    rehearsed = (root / ".watchstack" / "rehearsal" / f"{settings.environment}.mk").exists()
    if rehearsed or f"{target}:" in os.environ.get("PULUMI_DEBUG_PROVIDERS", ""):
        return Finding(part=part, state="well", detail="a stand-in")
    version = metadata.version(f"pulumi-{target}")
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if (home / "plugins" / f"resource-{target}-v{version}").is_dir():
        return Finding(part=part, state="well", detail=f"{target} {version}")
    engine = programs.find("pulumi")
    if isinstance(engine, programs.Installed) and engine.route == "build":
        mend = (
            f"pulumi plugin install resource {target} {version}, or rehearse: make rehearse ENV={settings.environment}"
        )
        detail = f"{target} {version} is missing, and an engine that was built here fetches none"
        return Finding(part=part, state="wrong", detail=detail, mend=mend)
    return Finding(part=part, state="well", detail=f"{target} {version} comes with the first `make up`")
