"""Who hears of an alert: the receivers, the tree of routes and the inhibitions that the profiles make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps import Profile, Receiver, Route, Webhook
from stacks.service import PLATFORM
from stacks.settings import Email, Settings
from stacks.strict import Refused
from stacks.units import seconds

HEARTBEAT = "heartbeat"
SELFTEST = "selftest"
SELFTEST_LABEL = "watchstack_selftest"
# A receiver that tells nobody, for alerts that another route has delivered.
DELIVERED = "delivered"
SECRETS = "secrets"

_WATCHDOG = 'alertname="Watchdog"'
_BEAT = {"group_wait": "0s", "group_interval": "30s", "repeat_interval": "1m"}

Config = dict[str, object]


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
        names |= {receiver.discord.webhook} if receiver.discord else set()
        names |= {receiver.slack.url} if receiver.slack else set()
        if (webhook := receiver.webhook) is not None:
            names |= {webhook.url} if webhook.url and _by_secret(webhook, to) else set()
            names |= {webhook.token} if webhook.token else set()
        if receiver.email and to.email and to.email.password:
            names.add(to.email.password)
    return sorted(names)


def unreachable(profiles: Sequence[Profile], to: Reach) -> list[str]:
    """One line for each receiver that has only mail to be told by, where there is no mail server."""
    return [
        f"apps/{profile.system}.yaml: receiver {receiver.name} is told by mail alone; give watchstack:email"
        for profile in profiles
        for receiver in profile.routing.receivers
        if not _integrations(receiver, to)
    ]


def without_mail(profiles: Sequence[Profile], to: Reach) -> list[str]:
    """The receivers that would also get mail, if there were a mail server."""
    receivers = [receiver for profile in profiles for receiver in profile.routing.receivers]
    return [receiver.name for receiver in receivers if receiver.email and to.email is None]


def config(profiles: Sequence[Profile], to: Reach) -> Config:
    """`route`, `receivers`, `inhibit_rules` and `global` of Alertmanager's configuration."""
    first = profiles[0]
    default = f"{first.system}-default"
    named = {receiver.name: receiver for profile in profiles for receiver in profile.routing.receivers}
    # What no route knows must not vanish: it goes where the first system's worst goes.
    last_resort = named.pop(default, first.routing.receivers[0])
    receivers: list[Config] = [
        {"name": default, **_integrations(last_resort, to)},
        {"name": HEARTBEAT, **(_webhook(Webhook(url=HEARTBEAT), to) if to.heartbeat else {})},
        *({"name": name, **_integrations(receiver, to)} for name, receiver in named.items()),
    ]
    if any(route.everything for profile in profiles for route in profile.routing.routes):
        receivers.append({"name": DELIVERED})
    if to.capture:
        receivers.append({"name": SELFTEST, "webhook_configs": [{"url": f"http://{to.capture}/webhook"}]})
    return {
        **({"global": _smtp(to.email)} if to.email else {}),
        "route": {
            "receiver": default,
            "group_by": ["system", "alertname"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [
                *([_selftest()] if to.capture else []),
                *(_everything(route) for p in profiles for route in p.routing.routes if route.everything),
                {"matchers": [_WATCHDOG], "receiver": HEARTBEAT, **_BEAT},
                *(_system(profile, also_platform=profile is first) for profile in profiles),
            ],
        },
        "receivers": receivers,
        "inhibit_rules": _inhibit(profiles),
    }


def shortest_interval(profiles: Sequence[Profile]) -> float:
    """Seconds between two notifications of the group that has them most often."""
    own = [profile.routing.group_interval for profile in profiles]
    own += [route.group_interval or _BEAT["group_interval"] for p in profiles for route in p.routing.routes]
    return min(map(seconds, (_BEAT["group_interval"], *own)))


def hears(profiles: Sequence[Profile], labels: Mapping[str, str]) -> list[str]:
    """The receivers that an alert with these labels reaches, other than the last resort.

    Refused if its system is none of the profiles'.
    """
    systems = {profile.system: profile for profile in profiles} | {PLATFORM: profiles[0]}
    system = labels.get("system", "")
    if system not in systems:
        raise Refused(f"has system {system!r}, which nobody routes; routed: {', '.join(sorted(systems))}")
    found = [route.receiver for p in profiles for route in p.routing.routes if route.everything]
    for route in systems[system].routing.routes:
        if not route.everything and _matches(route, labels):
            found.append(route.receiver)
            if not route.goes_on:
                break
    return found


def _matches(route: Route, labels: Mapping[str, str]) -> bool:
    return (
        route.severity in (None, labels.get("severity"))
        and (not route.component or labels.get("component") in route.component)
        and route.system in (None, labels.get("system"))
    )


def _selftest() -> Config:
    return {
        "matchers": [f'{SELFTEST_LABEL}!=""'],
        "receiver": SELFTEST,
        "group_by": [SELFTEST_LABEL],
        "group_wait": "0s",
        "group_interval": "5s",
    }


def _everything(route: Route) -> Config:
    """Before all others: every alert of every system. The Watchdog comes often enough to be missed."""
    beat = {"matchers": [_WATCHDOG], "receiver": route.receiver, **_BEAT}
    return {**_route(route), "routes": [beat]}


def _system(profile: Profile, *, also_platform: bool) -> Config:
    routing = profile.routing
    system = f'system=~"{profile.system}|{PLATFORM}"' if also_platform else f'system="{profile.system}"'
    everything = any(route.everything for route in routing.routes)
    return {
        "matchers": [system],
        **({"receiver": DELIVERED} if everything else {}),
        "group_by": list(routing.group_by),
        "group_wait": routing.group_wait,
        "group_interval": routing.group_interval,
        "repeat_interval": routing.repeat_interval,
        "routes": [_route(route) for route in routing.routes if not route.everything],
    }


def _route(route: Route) -> Config:
    matchers = [f'severity="{route.severity}"'] if route.severity else []
    matchers += [f'component=~"{"|".join(route.component)}"'] if route.component else []
    matchers += [f'system="{route.system}"'] if route.system else []
    own = {
        "matchers": matchers or None,
        "continue": route.goes_on or None,
        "group_by": list(route.group_by) if route.group_by else None,
        "group_wait": route.group_wait,
        "group_interval": route.group_interval,
        "repeat_interval": route.repeat_interval,
    }
    return {"receiver": route.receiver, **{key: value for key, value in own.items() if value is not None}}


def _integrations(receiver: Receiver, to: Reach) -> Config:
    made: Config = {}
    text = {"title": '{{ template "watchstack.title" . }}'}
    body = '{{ template "watchstack.text" . }}'
    if (discord := receiver.discord) is not None:
        url = {"webhook_url_file": _file(discord.webhook), "send_resolved": discord.resolved}
        made["discord_configs"] = [{**url, **text, "message": body}]
    if (slack := receiver.slack) is not None:
        url = {"api_url_file": _file(slack.url), "send_resolved": slack.resolved}
        made["slack_configs"] = [{**url, **text, "channel": slack.channel, "text": body}]
    if receiver.webhook is not None:
        made |= _webhook(receiver.webhook, to)
    if receiver.email is not None and to.email is not None:
        headers = {"Subject": text["title"]}
        made["email_configs"] = [
            {
                "to": ", ".join(to.email.to),
                "headers": headers,
                "text": body,
                "html": "",
                "send_resolved": receiver.email.resolved,
            }
        ]
    return made


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


def _inhibit(profiles: Sequence[Profile]) -> list[Config]:
    """Alerts that say the same of one cause: the worst one is enough."""
    usual = ("system", "component")
    own = [profile for profile in profiles if profile.routing.inhibit_equal != usual]
    elsewhere = "|".join([PLATFORM, *(profile.system for profile in own)])
    return [
        _component("critical-inhibits-its-component", f'system!~"{elsewhere}"', usual),
        *(_component(f"critical-inhibits-{p.system}", f'system="{p.system}"', p.routing.inhibit_equal) for p in own),
        {
            "name": "outage-inhibits-its-system",
            "source_matchers": ['impact="outage"'],
            "target_matchers": ['severity=~"warning|info"', 'impact!="outage"'],
            "equal": ["system"],
        },
        {
            "name": "full-disk-inhibits-filling-disk",
            "source_matchers": ['alertname="NodeDiskSpaceCritical"'],
            "target_matchers": ['alertname=~"NodeDiskSpaceLow|NodeDiskFillingUp"'],
            "equal": ["instance", "mountpoint"],
        },
    ]


def _component(name: str, system: str, equal: Sequence[str]) -> Config:
    return {
        "name": name,
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity=~"warning|info"', system],
        "equal": sorted(equal),
    }


def _file(name: str) -> str:
    return f"{SECRETS}/{name}"
