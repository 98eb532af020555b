"""Objectives: what share of a system's events must be good, and how fast using up the rest is alerted."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from stacks.names import Name, Severity
from stacks.strict import Strict
from stacks.units import Duration, Wait, seconds

# What a query of an objective has in the place of a range, as in Sloth's files.
WINDOW = re.compile(r"\{\{ *\.window *\}\}")


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
    if objective == 0:
        raise ValueError("an objective of nothing is always met; give a share above 0 and below 1, such as 0.995")
    if not 0 < objective < 1:
        hint = f"; {objective:g} % is {objective / 100:.12g}" if 1 < objective < 100 else ""
        raise ValueError(f"a share is above 0 and below 1{hint}")
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
