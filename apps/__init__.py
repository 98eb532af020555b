"""Profiles: what a monitored system exposes, and who hears of its alerts."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from apps import routing
from apps.objectives import Objective
from apps.routing import Routing
from stacks.names import Label, Name, SecretName
from stacks.strict import Refused, Strict, Where, in_file, load, nearest
from stacks.units import Duration
from toolchain import remember

DIRECTORY = Path(__file__).parent


class Target(Strict):
    """A service and the port to scrape; `labels` join its series."""

    service: Name
    port: int = Field(ge=1, le=65535)
    labels: dict[Label, str] = Field({})


class Job(Strict):
    """A scrape job. `honor_labels`: labels of the exposition win over those of the target.

    `program` has a catalogue of what it exposes, which counts where it is the real one that answers.
    `found`: in a cluster it has no fixed targets, but the `pods` of the system that have annotations, or the `nodes`.
    """

    job: Name
    targets: tuple[Target, ...] = Field(min_length=1)
    path: str = "/metrics"
    interval: Duration | None = None
    honor_labels: bool = False
    program: str | None = None
    found: Literal["pods", "nodes"] | None = None
    enabled: bool = Field(default=True, description="False: scraped only where the stack file names it in `jobs`.")


class Process(Strict):
    """A process of the simulated system: a module of `workloads/`, and the ports it opens by name.

    `peers` are the ports of the services that it calls, `aliases` the names under which others reach it besides its
    own. `drives`: it sends itself load.
    """

    service: Name
    program: str = Field(pattern=r"^[a-z0-9_.]+$")
    ports: dict[Name, int] = Field(min_length=1)
    ready: str = "/health/live"
    peers: dict[Name, int] = Field({})
    aliases: tuple[Name, ...] = ()
    secrets: tuple[SecretName, ...] = ()
    data: str = "data"
    drives: bool = False
    faults: bool = False


class Drill(Strict):
    """How the simulated system is made to raise an alert: a fault of a process, or the end of it.

    `rate`: requests a second that it takes to show soon. `alone`: other alerts would not be raised beside it.
    `shown_by` is the exporter, among what the simulation stands in for, without which the fault would not be seen.
    """

    service: Name
    fault: str | None = None
    value: float | None = None
    stop: Literal[True] | None = None
    rate: float | None = Field(default=None, gt=0, le=500)
    alone: bool = False
    shown_by: Name | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Drill":
        if (self.fault is None) == (self.stop is None) or (self.fault is None) != (self.value is None):
            raise ValueError("give `fault` and `value`, or `stop: true`")
        return self


class Metric(Strict):
    """A metric that the application exposes; `labels` gives the declared values, or null where they are open."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    type: Literal["counter", "gauge", "histogram", "summary"]
    labels: dict[Label, tuple[str, ...] | None] = Field({})
    unit: str
    meaning: str
    buckets: tuple[float, ...] | None = None
    job: Name | None = Field(default=None, description="The job that exposes it; the first one if none is named.")


class Profile(Strict):
    """A monitored system."""

    system: Name
    title: str
    namespace: Name | None = Field(default=None, description="Where it is in a cluster; else one by its own name.")
    packs: tuple[Name, ...]
    dashboards: tuple[Name, ...]
    jobs: tuple[Job, ...]
    exporters: tuple[Literal["postgres", "redis"], ...] = ()
    workload: tuple[Process, ...] = ()
    routing: Routing
    objectives: tuple[Objective, ...] = ()
    drills: dict[str, Drill] = Field({}, description="By alert of the system's packs.")
    metrics: tuple[Metric, ...] = ()

    @property
    def place(self) -> str:
        """Its namespace in a cluster."""
        return self.namespace or self.system


def names() -> list[str]:
    """The systems that have a profile."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def profile(system: str) -> Profile:
    """The profile of a system; Refused if there is none, or it cannot be used."""
    path = DIRECTORY / f"{system}.yaml"
    if not path.is_file():
        raise Refused(f"watchstack:systems.{system}: no such system; {nearest(system, names())}")
    where = place(system)
    made = load(Profile, remember.documents(path.read_text())[0], where)
    if problems := [f"{where(('routing', *steps))}: {problem}" for steps, problem in routing.problems(made.routing)]:
        raise Refused("\n".join(problems))
    return made


def place(system: str) -> Where:
    """Says file, line and key of what stands somewhere in a profile."""
    path = DIRECTORY / f"{system}.yaml"
    return in_file(f"apps/{path.name}", path)
