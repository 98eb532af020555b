"""Alertmanager's part of who hears of an alert: receivers, times, inhibitions, and the tree of `stacks/routes.py`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from apps import Profile
from apps.routing import Inhibition, Integration, Interval, Receiver, Routing, Span, Told, Webhook, Which
from stacks import routes
from stacks.routes import DELIVERED, HEARTBEAT, SELFTEST, Config, Matcher
from stacks.service import PLATFORM
from stacks.settings import Email, Settings
from stacks.strict import nearest

SECRETS = "secrets"
# A test must not silence what is real.
REAL = str(Matcher(routes.DRILL_LABEL, ("",)))
# Why a secret is asked for, where that is not plain.
WHY = {HEARTBEAT: ": a durable environment that falls silent must be missed by somebody outside"}

_FALLS_SILENT = (
    "the capture receiver falls silent with this durable environment; give the address of a service outside, which "
    "tells somebody when the calls stop, as `secure` or `file`"
)
_NO_ADDRESS = "what this is for is no address, and goes to its service whatever it is; give `secure` or `file`"
_TITLE = '{{ template "watchstack.title" . }}'
_PAGERDUTY = {
    "description": _TITLE,
    "severity": '{{ template "watchstack.pagerduty.severity" . }}',
    "class": "{{ .CommonLabels.alertname }}",
    "component": "{{ .CommonLabels.component }}",
    "group": "{{ .CommonLabels.system }}",
    "client": "Watchstack",
    "details": {"text": '{{ template "watchstack.text" . }}'},
    "links": [
        {"href": f'{{{{ template "watchstack.pagerduty.{name}" . }}}}', "text": name.capitalize()}
        for name in ("runbook", "dashboard", "silence")
    ],
}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What receivers can be reached at: host:port by `service:port` of the profiles, and the mail server.

    `given` are the secrets of the environment, `generated` those that simulated processes agree on.
    """

    services: Mapping[str, str]
    generated: frozenset[str]
    given: frozenset[str]
    email: Email | None
    heartbeat: bool
    capture: str | None


def reach(
    settings: Settings,
    services: Mapping[str, str],
    generated: frozenset[str],
    capture: str | None,
    email: Email | None,
) -> Reach:
    """`capture` is the host:port of the capture receiver, where one runs."""
    # A durable environment must be heard of when it falls silent.
    heartbeat = settings.lifecycle == "durable" or HEARTBEAT in settings.secrets
    return Reach(
        services=services,
        generated=generated,
        given=frozenset(settings.secrets),
        email=email,
        heartbeat=heartbeat,
        capture=capture,
    )


def secret_names(profiles: Sequence[Profile], to: Reach) -> list[str]:
    """The secrets that the receivers need."""
    names = {HEARTBEAT} if to.heartbeat else set()
    for receiver in (receiver for profile in profiles for receiver in profile.routing.receivers):
        names |= secrets_of(receiver, to)
    return sorted(names)


def secrets_of(receiver: Receiver, to: Reach) -> set[str]:
    """The secrets that one receiver needs."""
    names = {
        receiver.discord and receiver.discord.webhook,
        receiver.slack and receiver.slack.url,
        receiver.pagerduty and receiver.pagerduty.routing_key,
        receiver.teams and receiver.teams.webhook,
        receiver.telegram and receiver.telegram.bot_token,
        receiver.webhook and receiver.webhook.token,
        receiver.email and to.email and to.email.password,
    }
    if (webhook := receiver.webhook) is not None and _by_secret(webhook, to):
        names.add(webhook.url)
    return {name for name in names if name}


def unreachable(profiles: Sequence[Profile], to: Reach) -> list[str]:
    """One line for each receiver that has only mail to be told by, where there is no mail server."""
    return [
        f"apps/{profile.system}.yaml: receiver {receiver.name} is told by mail alone; give watchstack:email"
        for profile in profiles
        for receiver in profile.routing.receivers
        if not _integrations(receiver, to)
    ]


def uncaptured(profiles: Sequence[Profile], settings: Settings) -> list[str]:
    """One line for each secret that the address of the capture receiver cannot stand for."""
    given = {HEARTBEAT: _FALLS_SILENT} if settings.lifecycle == "durable" else {}
    for receiver in (receiver for profile in profiles for receiver in profile.routing.receivers):
        given |= {receiver.pagerduty.routing_key: _NO_ADDRESS} if receiver.pagerduty else {}
        given |= {receiver.telegram.bot_token: _NO_ADDRESS} if receiver.telegram else {}
    captured = {name for name, secret in settings.secrets.items() if secret.capture}
    return [f"watchstack:secrets.{name}.capture: {why}" for name, why in sorted(given.items()) if name in captured]


def without_mail(profiles: Sequence[Profile], to: Reach) -> list[str]:
    """The receivers that would also get mail, if there were a mail server."""
    receivers = [receiver for profile in profiles for receiver in profile.routing.receivers]
    return [receiver.name for receiver in receivers if receiver.email and to.email is None]


def chosen(profile: Profile, receivers: Mapping[str, Told]) -> Profile:
    """The profile, with the ways to tell its receivers that the environment gives."""
    changed = tuple(
        Receiver(name=each.name, **dict(receivers[each.name])) if each.name in receivers else each
        for each in profile.routing.receivers
    )
    return profile.model_copy(update={"routing": profile.routing.model_copy(update={"receivers": changed})})


def unknown(profiles: Sequence[Profile], receivers: Iterable[str]) -> list[str]:
    """One line for each receiver of the stack file that no profile has."""
    known = sorted({receiver.name for profile in profiles for receiver in profile.routing.receivers})
    return [
        f"watchstack:receivers.{name}: no such receiver; {nearest(name, known)}"
        for name in sorted(set(receivers) - {*known})
    ]


def clashes(profiles: Sequence[Profile]) -> list[str]:
    """One line for each name that two profiles give to different things: Alertmanager has room for one."""
    first: dict[tuple[str, str], tuple[str, object]] = {
        ("receiver", name): ("Watchstack itself", None) for name in (DELIVERED, HEARTBEAT, SELFTEST)
    }
    problems = []
    for profile in profiles:
        for kind, name, thing in _named(profile.routing):
            owner, other = first.setdefault((kind, name), (f"apps/{profile.system}.yaml", thing))
            if other != thing:
                problems.append(f"apps/{profile.system}.yaml: {kind} {name}: {owner} has another one of this name")
    return problems


def _named(routing: Routing) -> Iterator[tuple[str, str, object]]:
    yield from (("receiver", each.name, each) for each in routing.receivers)
    yield from (("interval", each.name, each) for each in routing.intervals)
    yield from (("inhibition", each.name, each) for each in routing.inhibitions)


def config(profiles: Sequence[Profile], to: Reach) -> Config:
    """`route`, `receivers`, `time_intervals`, `inhibit_rules` and `global` of Alertmanager's configuration."""
    default = routes.default_receiver(profiles)
    named = {receiver.name: receiver for profile in profiles for receiver in profile.routing.receivers}
    # What no route knows must not vanish: it goes where the first system's worst goes.
    last_resort = named.pop(default, profiles[0].routing.receivers[0])
    receivers: list[Config] = [
        {"name": default, **_integrations(last_resort, to)},
        {"name": HEARTBEAT, **(_webhook(Webhook(url=HEARTBEAT), to) if to.heartbeat else {})},
        *({"name": name, **_integrations(receiver, to)} for name, receiver in named.items()),
    ]
    if any(route.everything for profile in profiles for route in profile.routing.routes):
        receivers.append({"name": DELIVERED})
    if to.capture:
        receivers.append({"name": SELFTEST, "webhook_configs": [{"url": f"http://{to.capture}/webhook"}]})
    intervals = {interval.name: interval for profile in profiles for interval in profile.routing.intervals}
    return {
        **({"global": _smtp(to.email)} if to.email else {}),
        **({"time_intervals": [_interval(interval) for interval in intervals.values()]} if intervals else {}),
        "route": routes.render(routes.tree(profiles, selftest=to.capture is not None)),
        "receivers": receivers,
        "inhibit_rules": inhibit_rules(profiles),
    }


def _integrations(receiver: Receiver, to: Reach) -> Config:
    """What tells somebody, by the product's names. The texts are those of `stacks/services/alertmanager.tmpl`."""
    made: Config = {}
    if (discord := receiver.discord) is not None:
        text = {"title": _TITLE, "message": _text("markdown")}
        made["discord_configs"] = [{"webhook_url_file": _file(discord.webhook), **text, **_over(discord)}]
    if (slack := receiver.slack) is not None:
        text = {"title": _TITLE, "text": _text("slack"), "channel": slack.channel}
        made["slack_configs"] = [{"api_url_file": _file(slack.url), **text, **_over(slack)}]
    if (pagerduty := receiver.pagerduty) is not None:
        key = {"routing_key_file": _file(pagerduty.routing_key)}
        made["pagerduty_configs"] = [{**key, **_PAGERDUTY, **_over(pagerduty)}]
    if (teams := receiver.teams) is not None:
        text = {"title": _TITLE, "text": _text("markdown")}
        made["msteamsv2_configs"] = [{"webhook_url_file": _file(teams.webhook), **text, **_over(teams)}]
    if (telegram := receiver.telegram) is not None:
        text = {"parse_mode": "HTML", "message": _text("telegram")}
        to_chat = {"bot_token_file": _file(telegram.bot_token), "chat_id": telegram.chat}
        made["telegram_configs"] = [{**to_chat, **text, **_over(telegram)}]
    if receiver.webhook is not None:
        made |= _webhook(receiver.webhook, to)
    if receiver.email is not None and to.email is not None:
        text = {"text": _text("text"), "html": "", "to": ", ".join(to.email.to)}
        made["email_configs"] = [{"headers": {"Subject": _TITLE}, **text, **_over(receiver.email)}]
    return made


def _text(name: str) -> str:
    return f'{{{{ template "watchstack.{name}" . }}}}'


def _over(integration: Integration) -> Config:
    return {"send_resolved": integration.resolved}


def _by_secret(webhook: Webhook, to: Reach) -> bool:
    """Whether the address is a secret: it is given, or there is no service to call instead."""
    return webhook.url in to.given or f"{webhook.service}:{webhook.port}" not in to.services


def _webhook(webhook: Webhook, to: Reach) -> Config:
    made: Config = {"send_resolved": webhook.resolved}
    if webhook.url and _by_secret(webhook, to):
        made["url_file"] = _file(webhook.url)
    else:
        made["url"] = f"http://{to.services.get(f'{webhook.service}:{webhook.port}', webhook.service)}{webhook.path}"
    if webhook.token:
        # This one alone Alertmanager resolves from the directory of its configuration file.
        made["http_config"] = {"authorization": {"credentials_file": f"../{_file(webhook.token)}"}}
    return {"webhook_configs": [made]}


def _smtp(email: Email) -> Config:
    own = {
        "smtp_smarthost": email.smarthost,
        "smtp_from": email.sender,
        "smtp_require_tls": email.tls,
        "smtp_auth_username": email.username,
        "smtp_auth_password_file": _file(email.password) if email.password else None,
    }
    return {key: value for key, value in own.items() if value is not None}


def _interval(interval: Interval) -> Config:
    return {"name": interval.name, "time_intervals": [_span(span) for span in interval.spans]}


def _span(span: Span) -> Config:
    times = [dict(zip(("start_time", "end_time"), text.split("-"), strict=True)) for text in span.times]
    own = {"times": times, "weekdays": list(span.weekdays), "months": list(span.months)}
    return {**{key: value for key, value in own.items() if value}, "location": span.location}


def inhibit_rules(profiles: Sequence[Profile]) -> list[Config]:
    """Alerts that say the same of one cause: the worst one is enough."""
    usual = ("system", "component")
    own = [profile for profile in profiles if profile.routing.inhibit_equal != usual]
    elsewhere = "|".join([PLATFORM, *(profile.system for profile in own)])
    return [
        _component("critical-inhibits-its-component", f'system!~"{elsewhere}"', usual),
        *(_component(f"critical-inhibits-{p.system}", f'system="{p.system}"', p.routing.inhibit_equal) for p in own),
        {
            "name": "outage-inhibits-its-system",
            "source_matchers": ['impact="outage"', REAL],
            "target_matchers": ['severity=~"warning|info"', 'impact!="outage"'],
            "equal": ["system"],
        },
        {
            "name": "full-disk-inhibits-filling-disk",
            "source_matchers": ['alertname="NodeDiskSpaceCritical"', REAL],
            "target_matchers": ['alertname=~"NodeDiskSpaceLow|NodeDiskFillingUp"'],
            "equal": ["instance", "mountpoint"],
        },
        *(_own(profile.system, each) for profile in profiles for each in profile.routing.inhibitions),
    ]


def _own(system: str, inhibition: Inhibition) -> Config:
    return {
        "name": inhibition.name,
        "source_matchers": [*_which(system, inhibition.source), REAL],
        "target_matchers": _which(system, inhibition.target),
        "equal": ["system", *inhibition.equal],
    }


def _which(system: str, which: Which) -> list[str]:
    matched = {
        "alertname": which.alert,
        "severity": which.severity,
        "component": which.component,
        "team": which.team,
    }
    given = [Matcher("system", (system,)), *(Matcher(label, values) for label, values in matched.items() if values)]
    return [str(matcher) for matcher in given]


def _component(name: str, system: str, equal: Sequence[str]) -> Config:
    return {
        "name": name,
        "source_matchers": ['severity="critical"', REAL],
        "target_matchers": ['severity=~"warning|info"', system],
        "equal": sorted(equal),
    }


def _file(name: str) -> str:
    return f"{SECRETS}/{name}"
