"""Alertmanager: routes, groups, inhibits and delivers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from apps import Profile, Receiver
from stacks.service import PLATFORM, Endpoint, File, Ground, Port, Reload, SecretFile, Service, Volume, to_yaml
from stacks.settings import Settings
from stacks.units import size_bytes

NAME = "alertmanager"
PORT = 9093
HEARTBEAT = "heartbeat"
SELFTEST = "selftest"
SELFTEST_LABEL = "watchstack_selftest"

# Alerts whose `component` is the same have the same cause: the worst one is enough.
INHIBIT = (
    {
        "name": "critical-inhibits-its-component",
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity=~"warning|info"', 'system!="platform"'],
        "equal": ["component", "system"],
    },
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
)


def service(settings: Settings, ground: Ground, profiles: Sequence[Profile], capture: str | None) -> Service:
    """`capture` is the address of the capture receiver, where one runs."""
    return Service(
        name=NAME,
        product="alertmanager",
        program="alertmanager",
        args=(
            "--config.file=etc/alertmanager.yml",
            "--storage.path=data",
            f"--data.retention={settings.alertmanager.retention}",
            f"--web.listen-address={ground.listen(PORT)}",
            f"--web.external-url={ground.url(NAME, PORT)}",
            # Empty means no gossip: a single replica has nobody to talk to.
            "--cluster.listen-address=",
            "--enable-feature=utf8-strict-mode",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        files=(
            File(path="etc/alertmanager.yml", text=to_yaml(_config(settings, profiles, capture))),
            File(path="etc/watchstack.tmpl", text=Path(__file__).with_name("alertmanager.tmpl").read_text()),
        ),
        secrets=tuple(SecretFile(path=_secret(name), secret=name) for name in secret_names(settings, profiles)),
        volumes=(Volume(path="data", size=size_bytes(settings.alertmanager.volume)),),
        ready=Endpoint(port="http", path="/-/ready"),
        reload=Reload(
            at=Endpoint(port="http", path="/metrics"),
            proof="alertmanager_config_last_reload_success_timestamp_seconds",
            success="alertmanager_config_last_reload_successful",
        ),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
    )


def secret_names(settings: Settings, profiles: Sequence[Profile]) -> list[str]:
    """The secrets that the receivers need. A durable environment must be heard of when it falls silent."""
    names = {receiver.secret for profile in profiles for receiver in profile.routing.receivers}
    if settings.lifecycle == "durable" or HEARTBEAT in settings.secrets:
        names.add(HEARTBEAT)
    return sorted(names)


def _config(settings: Settings, profiles: Sequence[Profile], capture: str | None) -> dict[str, object]:
    first = profiles[0]
    heartbeat = HEARTBEAT in secret_names(settings, profiles)
    default = f"{first.system}-default"
    receivers: list[Mapping[str, object]] = [
        # What no route knows must not vanish: it goes where the first system's worst goes.
        {"name": default, **_integration(first.routing.receivers[0])},
        {"name": HEARTBEAT, **(_webhook(HEARTBEAT) if heartbeat else {})},
        *({"name": receiver.name, **_integration(receiver)} for p in profiles for receiver in p.routing.receivers),
    ]
    routes: list[Mapping[str, object]] = []
    if capture:
        receivers.append({"name": SELFTEST, "webhook_configs": [{"url": f"http://{capture}/webhook"}]})
        routes.append(_selftest())
    routes.append(
        {"matchers": ['alertname="Watchdog"'], "receiver": HEARTBEAT}
        | {"group_wait": "0s", "group_interval": "30s", "repeat_interval": "1m"}
    )
    routes += [_system(profile, also_platform=profile is first) for profile in profiles]
    return {
        "templates": ["watchstack.tmpl"],
        "route": {
            "receiver": default,
            "group_by": ["system", "alertname"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": routes,
        },
        "receivers": receivers,
        "inhibit_rules": list(INHIBIT),
    }


def _selftest() -> dict[str, object]:
    return {
        "matchers": [f'{SELFTEST_LABEL}!=""'],
        "receiver": SELFTEST,
        "group_by": [SELFTEST_LABEL],
        "group_wait": "0s",
        "group_interval": "5s",
    }


def _system(profile: Profile, *, also_platform: bool) -> dict[str, object]:
    routing = profile.routing
    system = f'system=~"{profile.system}|{PLATFORM}"' if also_platform else f'system="{profile.system}"'
    return {
        "matchers": [system],
        "group_by": list(routing.group_by),
        "group_wait": routing.group_wait,
        "group_interval": routing.group_interval,
        "repeat_interval": routing.repeat_interval,
        "routes": [_severity(receiver) for receiver in routing.receivers],
    }


def _severity(receiver: Receiver) -> dict[str, object]:
    own: Mapping[str, str | None] = {
        "group_wait": receiver.group_wait,
        "repeat_interval": receiver.repeat_interval,
    }
    return {
        "matchers": [f'severity="{receiver.severity}"'],
        "receiver": receiver.name,
        **{key: value for key, value in own.items() if value is not None},
    }


def _integration(receiver: Receiver) -> dict[str, object]:
    if receiver.discord:
        return {
            "discord_configs": [
                {
                    "webhook_url_file": _secret(receiver.discord.webhook),
                    "title": '{{ template "watchstack.title" . }}',
                    "message": '{{ template "watchstack.text" . }}',
                    "send_resolved": receiver.discord.resolved,
                }
            ]
        }
    return _webhook(receiver.secret, resolved=receiver.webhook is not None and receiver.webhook.resolved)


def _webhook(secret: str, *, resolved: bool = True) -> dict[str, object]:
    return {"webhook_configs": [{"url_file": _secret(secret), "send_resolved": resolved}]}


def _secret(name: str) -> str:
    return f"secrets/{name}"
