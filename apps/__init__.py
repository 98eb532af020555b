"""Profiles: what a monitored system exposes, and who hears of its alerts."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from stacks.settings import Label, Name
from stacks.strict import Refused, Strict, load, nearest
from stacks.units import Duration, Wait

DIRECTORY = Path(__file__).parent


class Job(Strict):
    """A scrape job, and the service and port that it scrapes."""

    job: Name
    service: Name
    port: int = Field(ge=1, le=65535)
    path: str = "/metrics"
    interval: Duration | None = None


class Workload(Strict):
    """The simulated application: a module of `workloads/`, and the port it stands in for."""

    program: str = Field(pattern=r"^[a-z_]+$")
    port: int = Field(ge=1, le=65535)


class Discord(Strict):
    webhook: Name
    resolved: bool = True


class Webhook(Strict):
    url: Name
    resolved: bool = True


class Receiver(Strict):
    """Who hears of one severity. `discord.webhook` and `webhook.url` name a secret of the environment."""

    name: Name
    severity: Literal["critical", "warning", "info"]
    group_wait: Wait | None = None
    repeat_interval: Duration | None = None
    discord: Discord | None = None
    webhook: Webhook | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Receiver":
        if (self.discord is None) == (self.webhook is None):
            raise ValueError("give exactly one of `discord`, `webhook`")
        return self

    @property
    def secret(self) -> str:
        return self.discord.webhook if self.discord else self.webhook.url if self.webhook else ""


class Routing(Strict):
    group_by: tuple[Label, ...] = ("system", "alertname")
    group_wait: Wait = "30s"
    group_interval: Duration = "5m"
    repeat_interval: Duration = "4h"
    receivers: tuple[Receiver, ...] = Field(min_length=1)


class Metric(Strict):
    """A metric that the application exposes; `labels` gives the declared values, or null where they are open."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    type: Literal["counter", "gauge", "histogram"]
    labels: dict[Label, tuple[str, ...] | None] = Field({})
    unit: str
    meaning: str
    buckets: tuple[float, ...] | None = None


class Profile(Strict):
    """A monitored system."""

    system: Name
    title: str
    packs: tuple[Name, ...]
    dashboards: tuple[Name, ...]
    jobs: tuple[Job, ...]
    workload: Workload | None = None
    routing: Routing
    metrics: tuple[Metric, ...] = ()


def names() -> list[str]:
    """The systems that have a profile."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def profile(system: str) -> Profile:
    """The profile of a system; Refused if there is none, or it cannot be used."""
    path = DIRECTORY / f"{system}.yaml"
    if not path.is_file():
        raise Refused(f"watchstack:systems.{system}: no such system; {nearest(system, names())}")
    data = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)  # the safe loader, in C
    return load(Profile, data, f"apps/{path.name}: ")
