"""Who hears of a system's alerts: the receivers, routes, times and inhibitions of a profile."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stacks.names import Label, Name, SecretName, Severity, Value
from stacks.strict import Strict, nearest
from stacks.units import Duration, Wait

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TIMES = re.compile(r"(([01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)")

# Where in a routing something stands: keys and positions.
Steps = tuple[str | int, ...]


class Integration(Strict):
    resolved: bool = Field(default=True, description="Also tell when it is over.")


class Discord(Integration):
    webhook: SecretName = Field(description="Secret with the address of the webhook.")


class Slack(Integration):
    url: SecretName = Field(description="Secret with the address of the webhook.")
    channel: str = Field(pattern=r"^[#@].+$", description="`#channel` or `@person`.")


class PagerDuty(Integration):
    """Events API v2."""

    routing_key: SecretName = Field(description="Secret with the integration key.")


class Teams(Integration):
    """A workflow of Microsoft Teams that takes webhook requests."""

    webhook: SecretName = Field(description="Secret with the address of the workflow.")


class Telegram(Integration):
    bot_token: SecretName = Field(description="Secret with the token of the bot.")
    chat: int = Field(ge=-(2**52), le=2**52, description="Identifier of the chat.")


class Email(Integration):
    """To whom mail goes is the environment's: `watchstack:email`."""


class Webhook(Integration):
    """`url` and `token` name secrets. Where the environment has no such `url`, the service of the system is called."""

    url: SecretName | None = Field(default=None, description="Secret with the address.")
    service: Name | None = Field(default=None, description="Service of the system to call where there is no `url`.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Its port.")
    path: str = Field("/", description="Its path.")
    token: SecretName | None = Field(default=None, description="Secret with a bearer token.")

    @model_validator(mode="after")
    def _somewhere(self) -> "Webhook":
        if (self.service is None) != (self.port is None) or (self.url is None and self.service is None):
            raise ValueError("give the secret `url`, or `service` and `port`, or both")
        return self


class Told(Strict):
    """The ways to tell somebody: one or more."""

    discord: Discord | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    teams: Teams | None = None
    telegram: Telegram | None = None
    webhook: Webhook | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "Told":
        if not any(getattr(self, way) for way in Told.model_fields):
            raise ValueError(f"tells nobody; give at least one of {', '.join(f'`{way}`' for way in Told.model_fields)}")
        return self


class Receiver(Told):
    """Somebody to tell."""

    name: Name


class Route(Strict):
    """Who hears of which alerts. What is not given is taken from the routing.

    An alert goes to the first route that it matches, and on to the next ones where that says `continue`.
    `everything` matches the alerts of every system, the Watchdog too. `spare` is the reason for a route that no alert
    takes. During an interval of `mute_during`, and outside all of `active_during`, nobody is told.
    """

    receiver: Name
    severity: Severity | None = None
    component: tuple[Value, ...] = ()
    team: tuple[Value, ...] = ()
    system: Literal["platform"] | None = None
    everything: bool = False
    goes_on: bool = Field(default=False, alias="continue")
    group_by: tuple[Label, ...] | None = None
    group_wait: Wait | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    mute_during: tuple[Name, ...] = ()
    active_during: tuple[Name, ...] = ()
    spare: str | None = Field(default=None, min_length=8)

    @model_validator(mode="after")
    def _shares(self) -> "Route":
        if self.everything and not self.goes_on:
            raise ValueError("`everything` needs `continue: true`; else nobody else hears anything")
        return self


def _times(text: str) -> str:
    found = _TIMES.fullmatch(text)
    if found is None or found[1] >= found[3]:
        raise ValueError(
            "times are HH:MM-HH:MM, the first before the second; for a night give two: 22:00-24:00, 00:00-06:00"
        )
    return text


def _in_order(names: Sequence[str], text: str) -> str:
    first, _, last = text.partition(":")
    for name in (first, last or first):
        if name not in names:
            raise ValueError(f"{nearest(name, list(names))}")
    if names.index(first) > names.index(last or first):
        raise ValueError(f"{first} comes after {last}: give two ranges; the first of all is {names[0]}")
    return text


def _zone(text: str) -> str:
    import zoneinfo  # noqa: PLC0415 - most profiles name no zone

    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        hint = nearest(text, known) if known else "this machine has no database of time zones"
        raise ValueError(f"no such time zone; {hint}" if len(hint) < 100 else "no such time zone") from None
    return text


class Span(Strict):
    """Times of some days: all that is given must hold. Ranges of days and months are `FIRST:LAST`."""

    times: tuple[Annotated[str, AfterValidator(_times)], ...] = ()
    weekdays: tuple[Annotated[str, AfterValidator(lambda text: _in_order(WEEKDAYS, text))], ...] = ()
    months: tuple[Annotated[str, AfterValidator(lambda text: _in_order(MONTHS, text))], ...] = ()
    location: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _limited(self) -> "Span":
        if not (self.times or self.weekdays or self.months):
            raise ValueError("always is no interval; give at least one of `times`, `weekdays`, `months`")
        return self


class Interval(Strict):
    """A name for times, those of any of the spans."""

    name: Name
    spans: tuple[Span, ...] = Field(min_length=1)


class Which(Strict):
    """Alerts of the system: all that is given must hold."""

    alert: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")], ...] = ()
    severity: tuple[Severity, ...] = ()
    component: tuple[Value, ...] = ()
    team: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _some(self) -> "Which":
        if not (self.alert or self.severity or self.component or self.team):
            raise ValueError("give at least one of `alert`, `severity`, `component`, `team`")
        return self


class Inhibition(Strict):
    """While `source` fires, nobody is told of a `target` that has the same labels `equal`.

    Two alerts that both lack a label are equal in it.
    """

    name: Name
    because: str = Field(min_length=8)
    source: Which
    target: Which
    equal: tuple[Label, ...] = ()


class Routing(Strict):
    group_by: tuple[Label, ...] = ("system", "alertname")
    group_wait: Wait = "30s"
    group_interval: Duration = "5m"
    repeat_interval: Duration = "4h"
    receivers: tuple[Receiver, ...] = Field(min_length=1)
    routes: tuple[Route, ...] = Field(min_length=1)
    intervals: tuple[Interval, ...] = ()
    inhibit_equal: tuple[Label, ...] = ("system", "component")
    inhibitions: tuple[Inhibition, ...] = ()


def problems(routing: Routing) -> Iterator[tuple[Steps, str]]:
    """What does not fit together, each with the place where it stands."""
    receivers = [receiver.name for receiver in routing.receivers]
    intervals = [interval.name for interval in routing.intervals]
    for i, route in enumerate(routing.routes):
        if route.receiver not in receivers:
            known = nearest(route.receiver, receivers)
            yield ("routes", i, "receiver"), f"route to {route.receiver!r}: no such receiver; {known}"
        for key in ("mute_during", "active_during"):
            for name in getattr(route, key):
                if name not in intervals:
                    yield ("routes", i, key), f"{name!r}: no such interval; {nearest(name, intervals)}"
    told = {route.receiver for route in routing.routes}
    used = {name for route in routing.routes for name in (*route.mute_during, *route.active_during)}
    inhibitions = [inhibition.name for inhibition in routing.inhibitions]
    yield from _unused("receivers", receivers, told, "no route leads to this receiver")
    yield from _unused("intervals", intervals, used, "no route is muted or active during this interval")
    yield from _unused("inhibitions", inhibitions, set(inhibitions), "")


def _unused(key: str, names: Sequence[str], used: set[str], problem: str) -> Iterator[tuple[Steps, str]]:
    for i, name in enumerate(names):
        if name in names[:i]:
            yield (key, i), f"{name!r} is there twice"
        elif name not in used:
            yield (key, i), f"{name!r}: {problem}; use it or take it out"
