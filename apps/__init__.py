"""Profiles: what a monitored system exposes, and who hears of its alerts."""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, model_validator

from stacks.settings import Label, Name, Severity
from stacks.strict import Refused, Strict, load, nearest
from stacks.units import Duration, Wait, seconds

DIRECTORY = Path(__file__).parent

# What a query of an objective has in the place of a range, as in Sloth's files.
WINDOW = re.compile(r"\{\{ *\.window *\}\}")


class Target(Strict):
    """A service and the port to scrape; `labels` join its series."""

    service: Name
    port: int = Field(ge=1, le=65535)
    labels: dict[Label, str] = Field({})


class Job(Strict):
    """A scrape job. `honor_labels`: labels of the exposition win over those of the target."""

    job: Name
    targets: tuple[Target, ...] = Field(min_length=1)
    path: str = "/metrics"
    interval: Duration | None = None
    honor_labels: bool = False
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
    secrets: tuple[Name, ...] = ()
    data: str = "data"
    drives: bool = False
    faults: bool = False


class Integration(Strict):
    resolved: bool = Field(default=True, description="Also tell when it is over.")


class Discord(Integration):
    webhook: Name


class Slack(Integration):
    url: Name
    channel: str = Field(pattern=r"^[#@].+$")


class Email(Integration):
    """To whom mail goes is the environment's: `watchstack:email`."""


class Webhook(Integration):
    """`url` and `token` name secrets. Where the environment has no such `url`, the service of the system is called."""

    url: Name | None = None
    service: Name | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    path: str = "/"
    token: Name | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "Webhook":
        if (self.service is None) != (self.port is None) or (self.url is None and self.service is None):
            raise ValueError("give the secret `url`, or `service` and `port`, or both")
        return self


class Receiver(Strict):
    """Somebody to tell, in one way or more."""

    name: Name
    discord: Discord | None = None
    slack: Slack | None = None
    webhook: Webhook | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "Receiver":
        if not (self.discord or self.slack or self.webhook or self.email):
            raise ValueError("give at least one of `discord`, `slack`, `webhook`, `email`")
        return self


class Route(Strict):
    """Who hears of which alerts. What is not given is taken from the routing.

    An alert goes to the first route that it matches, and on to the next ones where that says `continue`.
    `everything` matches the alerts of every system, the Watchdog too.
    """

    receiver: Name
    severity: Severity | None = None
    component: tuple[str, ...] = ()
    system: Literal["platform"] | None = None
    everything: bool = False
    goes_on: bool = Field(default=False, alias="continue")
    group_by: tuple[Label, ...] | None = None
    group_wait: Wait | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None


class Routing(Strict):
    group_by: tuple[Label, ...] = ("system", "alertname")
    group_wait: Wait = "30s"
    group_interval: Duration = "5m"
    repeat_interval: Duration = "4h"
    receivers: tuple[Receiver, ...] = Field(min_length=1)
    routes: tuple[Route, ...] = Field(min_length=1)
    inhibit_equal: tuple[Label, ...] = ("system", "component")

    @model_validator(mode="after")
    def _known(self) -> "Routing":
        names = {receiver.name for receiver in self.receivers}
        if unknown := [route.receiver for route in self.routes if route.receiver not in names]:
            raise ValueError(f"route to {unknown[0]!r}: no such receiver; {nearest(unknown[0], sorted(names))}")
        return self


def range_of(query: str) -> str:
    """A query, if its range is `{{.window}}`."""
    if not WINDOW.search(query):
        raise ValueError("has no range `[{{.window}}]`, so it would be the same over every window")
    if "{{" in WINDOW.sub("", query):
        raise ValueError("`{{.window}}` is the only thing that is filled in")
    return query


def _per_second(query: str) -> str:
    # Events are counted from it: over an hour there are 3600 times as many.
    if re.search(r"\bincrease\s*\(", query):
        raise ValueError("must be events per second; give `rate` in place of `increase`")
    return range_of(query)


def _share(objective: float) -> float:
    if objective == 1:
        raise ValueError("100 % leaves no error budget: one error would use up more than all of it; give less than 1")
    if objective <= 0:
        raise ValueError("an objective of nothing is always met; give a share above 0 and below 1, such as 0.995")
    if objective > 1:
        hint = f"; {objective:g} % is {objective / 100:.12g}" if objective < 100 else ""
        raise ValueError(f"a share is between 0 and 1{hint}")
    return objective


Rate = Annotated[str, AfterValidator(_per_second)]


class LowTraffic(Strict):
    """With how many events in the long window an alert begins to mean something."""

    events: int = Field(ge=0)

    @model_validator(mode="before")
    @classmethod
    def _in_words(cls, value: object) -> object:
        if value == "alert":
            return {"events": 0}
        if not isinstance(value, dict):
            raise ValueError("give `alert`, where every single event counts, or `{events: N}`, to be silent below N")
        return value


class Burn(Strict):
    """When to alert: `budget`, a share of the error budget, is used up within `long`, and errors go on in `short`."""

    long: Duration
    short: Duration
    budget: float = Field(gt=0, le=1)
    severity: Severity
    wait: Wait = Field(alias="for")

    @model_validator(mode="after")
    def _one_in_the_other(self) -> "Burn":
        if seconds(self.short) >= seconds(self.long):
            raise ValueError(f"`short` ({self.short}) must be shorter than `long` ({self.long})")
        return self


def burn_rate(budget: float, window: str, long: str) -> float:
    """How many times faster than in `window` errors must come to use up this share of its budget within `long`."""
    return budget * seconds(window) / seconds(long)


# Of a month: 2 % of the budget in an hour, 5 % in six.
BURNS = (
    Burn.model_validate({"long": "1h", "short": "5m", "budget": 0.02, "severity": "critical", "for": "2m"}),
    Burn.model_validate({"long": "6h", "short": "30m", "budget": 0.05, "severity": "warning", "for": "15m"}),
)


class Objective(Strict):
    """What share of events must be good over a window; `{{.window}}` in the queries stands for a range.

    `errors` and `total` are events per second. `low_traffic` has no default: whether one event of three that fails
    at night should wake somebody is known only to those who run the system.
    """

    slo: Name
    objective: Annotated[float, AfterValidator(_share)]
    window: Duration = "30d"
    description: str
    errors: Rate
    total: Rate
    low_traffic: LowTraffic
    burns: tuple[Burn, ...] = Field(BURNS, min_length=1)

    @model_validator(mode="after")
    def _can_be_missed(self) -> "Objective":
        if len({burn.long for burn in self.burns}) < len(self.burns):
            raise ValueError("`burns`: two have the same `long`, and could not be told apart")
        for burn in self.burns:
            if seconds(burn.long) > seconds(self.window):
                raise ValueError(f"`burns`: {burn.long} is longer than the window of the objective, {self.window}")
            if (needed := burn_rate(burn.budget, self.window, burn.long) * (1 - self.objective)) >= 1:
                raise ValueError(
                    f"`burns`: the one over {burn.long} would need {needed:.0%} errors, and so never alert; "
                    "give it a smaller `budget` or a longer `long`"
                )
        return self


class Drill(Strict):
    """How the simulated system is made to raise an alert: a fault of a process, or the end of it."""

    service: Name
    fault: str | None = None
    value: float | None = None
    stop: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Drill":
        if (self.fault is None) == (self.stop is None) or (self.fault is None) != (self.value is None):
            raise ValueError("give `fault` and `value`, or `stop: true`")
        return self


class Metric(Strict):
    """A metric that the application exposes; `labels` gives the declared values, or null where they are open."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    type: Literal["counter", "gauge", "histogram"]
    labels: dict[Label, tuple[str, ...] | None] = Field({})
    unit: str
    meaning: str
    buckets: tuple[float, ...] | None = None
    job: Name | None = Field(default=None, description="The job that exposes it; the first one if none is named.")


class Profile(Strict):
    """A monitored system."""

    system: Name
    title: str
    packs: tuple[Name, ...]
    dashboards: tuple[Name, ...]
    jobs: tuple[Job, ...]
    exporters: tuple[Literal["postgres", "redis"], ...] = ()
    workload: tuple[Process, ...] = ()
    routing: Routing
    objectives: tuple[Objective, ...] = ()
    drills: dict[str, Drill] = Field({}, description="By alert of the system's packs.")
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
