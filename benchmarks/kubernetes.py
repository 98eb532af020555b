"""The Kubernetes target: what a preview of `prod` costs beside an update, and what comes before the first object."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.environments import Environment, clone
from e2e.object_store import BUCKET, ObjectStore, object_store
from standins.rehearse import ClusterGround, cluster_ground

from benchmarks.cost import cost, without_pulumi
from benchmarks.result import Result, of_pairs
from toolchain import pulumi

RUNS = 5
_ENVIRONMENT = "prod"
# What `__main__.py` imports.
_ENTRY = "import gc; gc.disable(); import pulumi, checks; from stacks import plan, settings, targets"


def measure(directory: Path) -> list[Result]:
    """All of it, on a cluster of one node with `prod` in it."""
    with _up(directory) as environment:
        return [_preview(environment), _before(environment), _imports(environment)]


@contextmanager
def _up(directory: Path) -> Iterator[Environment]:
    with (
        cluster_ground(directory / "ground", long_term=True) as there,
        object_store(directory, f"{there.cluster.node}:21999") as store,
    ):
        environment = Environment(_ENVIRONMENT, clone(directory), variables=tuple(there.variables.items()))
        environment.set({**environment.shipped, **_here(environment.shipped, there, store, directory)})
        with environment.running():
            yield environment


def _here(own: dict[str, Any], there: ClusterGround, store: ObjectStore, directory: Path) -> dict[str, Any]:
    """What is other than in production: where things are, and that it may be taken down."""
    hook = directory / "hook"
    hook.write_text("http://127.0.0.1:9/hook")
    bucket = own["object_storage"]["credentials"]
    return {
        **there.settings(own),
        "unlocked": True,
        "object_storage": {**store.settings, "credentials": bucket},
        "loki": {**own["loki"], "bucket": {**own["loki"]["bucket"], "name": BUCKET}},
        "secrets": {name: {"file": str(store.credentials if name == bucket else hook)} for name in own["secrets"]},
    }


def _preview(environment: Environment) -> Result:
    """A preview that changes nothing, against an update that changes nothing, in turn."""
    variables = {**pulumi.environment(environment.clone, without_pulumi()), **dict(environment.variables)}
    file, _ = pulumi.stack_file(environment.name, environment.clone)
    rest = ["--stack", environment.name, "--config-file", str(file)]
    preview, up = ["pulumi", "preview", *rest], ["pulumi", "up", "--yes", *rest]
    pairs = [
        (cost([preview], environment.clone, variables).wall, cost([up], environment.clone, variables).wall)
        for _ in range(RUNS)
    ]
    return of_pairs("no-op preview / no-op up", pairs, 0.6)


def _before(environment: Environment) -> Result:
    """The Plan, every check, and the start of a program that makes them, against three seconds of processor."""
    command = [sys.executable, "-m", "cli.app", "check", "-e", environment.name]
    variables = {**os.environ, "PYTHONPATH": str(environment.clone)}
    seconds = [cost([command], environment.clone, variables).processor for _ in range(RUNS)]
    return Result(name="plan and checks / 3 s", ours=tuple(seconds), theirs=(3.0,), unit="s CPU", limit=1)


def _imports(environment: Environment) -> Result:
    """What the entry module imports, against Pulumi's own package."""
    variables = {**os.environ, "PYTHONPATH": str(environment.clone)}
    pairs = [
        (_seconds(_ENTRY, environment, variables), _seconds("import pulumi", environment, variables))
        for _ in range(RUNS)
    ]
    return of_pairs("imports of the entry module / import pulumi", pairs, 1.6, "s CPU")


def _seconds(program: str, environment: Environment, variables: dict[str, str]) -> float:
    return cost([[sys.executable, "-c", program]], environment.clone, variables).processor
