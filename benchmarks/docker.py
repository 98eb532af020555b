"""The Docker target against a script that makes and removes the same on the same engine.

The script makes what is in the state of a first `up`, as the engine has it: the same containers, networks, volumes and
files by construction. It has as many under way as Pulumi, packs the files of a loader in one archive, waits for all
one-shot containers, and pays no start of an interpreter. Images are there on both sides.

Updates are those of `make up` and `make down`, which plan once. Create-only is what a person would wait for who types
`docker run`: from the start of `pulumi up` until the engine has started the last container of a service, by its
clock. Theirs are `docker run` and, where files or a second network come between, `docker create`, `docker cp`,
`docker start`, one command after the other.

There is no Grafana to run: where it would, a shell answers for its health. Its files are deployed, and counted.
"""

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.environments import ROOT, Environment, clone
from standins.rehearse import Ground, ground

from benchmarks import docker_script
from benchmarks.docker_script import Script
from benchmarks.result import Result, of_pairs
from stacks import images
from stacks.settings import Registry
from toolchain import pulumi

ROUNDS = 3
EDITS = 3
SECONDS_TO_LIVE = 5
# Ports that no shipped environment has.
PORT_OFFSET = 20300

_NAME = "contained"
_ALERTS = Path("rules/boss-workflow/v1/alerts.yml")
_ALERT = "RedisErrors"
_CONDITION = 'increase(redis_connection_errors_total{job="boss-workflow"}[5m]) > '
_PROMETHEUS = f"watchstack-{_NAME}-prometheus"
_GRAFANA = """
FROM {shell}
RUN mkdir -p /www/api /usr/share/grafana/bin \\
 && echo '{{"database": "ok"}}' > /www/api/health \\
 && printf '#!/bin/sh\\ntrap exit TERM\\nhttpd -f -p 3000 -h /www &\\nwait\\n' > /usr/share/grafana/bin/grafana \\
 && chmod 0755 /usr/share/grafana/bin/grafana
"""


class Different(Exception):
    """A container was made anew that should have stayed, or what was made is not there."""


@dataclass
class _Seconds:
    """Of each round, ours and theirs."""

    up: list[tuple[float, float]] = field(default_factory=list)
    created: list[tuple[float, float]] = field(default_factory=list)
    gone: list[tuple[float, float]] = field(default_factory=list)


def measure(directory: Path) -> list[Result]:
    with ground(directory / "ground") as there, _environment(directory, there) as environment:
        environment.up()
        size = _size(environment)
        script = docker_script.recorded(_state(environment), there.client)
        edits = [_edited(environment, there, number) for number in range(1, EDITS + 1)]
        environment.pulumi("destroy", "--yes")
        seconds = _Seconds()
        for _ in range(ROUNDS):
            _round(environment, there, script, seconds)
    return [
        of_pairs("up from nothing to ready / a script over the Engine API", seconds.up, 1.5),
        of_pairs("up until all containers are started / serial docker run", seconds.created, 1),
        of_pairs("destroy / a script over the Engine API", seconds.gone, 1.5),
        size,
        Result(
            name=f"edited rule live, from the start of `up` / {SECONDS_TO_LIVE} s",
            ours=tuple(whole for whole, _ in edits),
            theirs=(float(SECONDS_TO_LIVE),),
            unit="s",
            limit=1,
        ),
        Result(
            name="edited rule live, from the start of the loader",
            ours=tuple(loaded for _, loaded in edits),
            unit="s",
            limit=SECONDS_TO_LIVE,
        ),
    ]


@contextmanager
def _environment(directory: Path, there: Ground) -> Iterator[Environment]:
    """`dev`, on this ground."""
    _grafana(there)
    environment = Environment(_NAME, clone(directory), variables=tuple(there.variables.items()))
    environment.write()
    dev = Environment("dev", environment.clone).settings
    here = {"port_offset": PORT_OFFSET, "grafana": {}, "target": "docker"}
    environment.set({**dev, **there.settings(dev), **here})
    try:
        yield environment
    finally:
        environment.down()


def _grafana(there: Ground) -> None:
    registry = Registry(address=there.registry)
    file = _GRAFANA.format(shell=images.named("busybox", registry))
    tag = images.named("grafana", registry)
    there.client.images.build(fileobj=io.BytesIO(file.encode()), tag=tag, rm=True)


def _state(environment: Environment) -> Mapping[str, Any]:
    file = environment.clone / "exported.json"
    environment.pulumi("stack", "export", "--show-secrets", "--file", str(file))
    state: dict[str, Any] = json.loads(file.read_text())
    return state


def _size(environment: Environment) -> Result:
    """Bytes of the file that Pulumi keeps, and of the files as they are rendered."""
    (kept,) = (environment.clone / ".watchstack" / "state" / ".pulumi" / "stacks").glob(f"*/{_NAME}.json.zst")
    rendered = environment.clone / "rendered"
    environment.watchstack("render", "--out", str(rendered))
    deployed = sum(file.stat().st_size for file in rendered.rglob("*") if file.is_file())
    return Result(
        name="state file / files that it deploys",
        ours=(kept.stat().st_size / 1e3,),
        theirs=(deployed / 1e3,),
        unit="kB",
        limit=2.5,
    )


def _round(environment: Environment, there: Ground, script: Script, seconds: _Seconds) -> None:
    processors = os.cpu_count() or 1

    def serial() -> None:
        docker_script.run(docker_script.commands(script), {**os.environ, **there.variables})

    def made() -> None:
        docker_script.make(script, there.client, processors)

    def removed() -> None:
        docker_script.remove(script, there.client, processors)

    begun = time.time()
    ours = _timed(lambda: _pulumi(environment, "up"))
    started = _last_start(there) - begun
    gone = _timed(lambda: _pulumi(environment, "destroy"))
    seconds.up.append((ours, _timed(made)))
    _demand_running(there, script)
    seconds.gone.append((gone, _timed(removed)))
    seconds.created.append((started, _timed(serial)))
    _demand_running(there, script)
    docker_script.remove(
        {urn: thing for urn, thing in script.items() if thing.part != "settle"}, there.client, processors
    )


def _edited(environment: Environment, there: Ground, number: int) -> tuple[float, float]:
    """Seconds until an edited rule is in Prometheus' API: from the start of `up`, and from that of the loader."""
    file = environment.clone / _ALERTS
    text = (ROOT / _ALERTS).read_text()
    file.write_text(text.replace(f"{_CONDITION}0", f"{_CONDITION}{number}"))
    before = _started(there)
    begun = time.time()
    with _pulumi_under_way(environment, "up") as up:
        while not _condition(environment).endswith(f"> {number}"):
            if up.poll():
                raise Different(f"`up` ended with {up.returncode}, and the rule is not live")
            time.sleep(0.02)
        live = time.time()
    if up.returncode or _started(there) != before:
        raise Different(f"`up` ended with {up.returncode}, or a service was made anew by the edit of a rule")
    loader = there.client.containers.get(f"{_PROMETHEUS}-loader")
    return live - begun, live - _clock(loader.attrs["State"]["StartedAt"])


def _condition(environment: Environment) -> str:
    groups = environment.get(9090, "/api/v1/rules", **{"rule_name[]": _ALERT})["data"]["groups"]
    return str(groups[0]["rules"][0]["query"])


def _started(there: Ground) -> dict[str, str]:
    """When each container of a service was started, with its id."""
    return {
        str(one.id): one.attrs["State"]["StartedAt"]
        for one in there.client.containers.list(all=True)
        if "watchstack.part" not in one.labels
    }


def _last_start(there: Ground) -> float:
    return max(map(_clock, _started(there).values()))


def _demand_running(there: Ground, script: Script) -> None:
    wanted = {thing.name for thing in script.values() if thing.kind == "container" and not thing.ends}
    running = {str(one.name) for one in there.client.containers.list()}
    if missing := wanted - running:
        raise Different(f"the script has not started {', '.join(sorted(missing))}")


def _clock(stamp: str) -> float:
    """The engine's has nanoseconds."""
    return datetime.fromisoformat(f"{stamp[:26]}+00:00").timestamp()


def _pulumi(environment: Environment, verb: str) -> None:
    with _pulumi_under_way(environment, verb) as process:
        if code := process.wait():
            raise Different(f"`pulumi {verb}` ended with {code}")


def _pulumi_under_way(environment: Environment, verb: str) -> "subprocess.Popen[bytes]":
    """The process alone, as in every benchmark of `up`."""
    root = environment.clone
    own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    base = {**own, **dict(environment.variables), "PULUMI_HOME": str(root / ".pulumi-home")}
    stack_file, _ = pulumi.stack_file(environment.name, root)
    line = ["pulumi", verb, "--yes", "--skip-preview", "--stack", environment.name, "--config-file", str(stack_file)]
    return subprocess.Popen(line, cwd=root, env=pulumi.environment(root, base), stdout=subprocess.DEVNULL)


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
