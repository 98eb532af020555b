"""Alertmanager: routes, groups, inhibits and delivers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from apps import Profile
from stacks import routing
from stacks.routing import Reach
from stacks.service import Endpoint, File, Ground, Port, Reload, SecretFile, Service, Volume, to_yaml
from stacks.settings import Settings
from stacks.units import size_bytes

NAME = "alertmanager"
PORT = 9093


# In the template: where `$dashboard` gets the address of the dashboard of an alert's system, if there is one.
_DASHBOARD = "{{/* the dashboard of the system */}}"


def service(
    settings: Settings, ground: Ground, profiles: Sequence[Profile], to: Reach, dashboards: Mapping[str, str]
) -> Service:
    """`to` says what the receivers of the profiles can be reached at; `dashboards` are addresses by system."""
    config = {"templates": ["watchstack.tmpl"], **routing.config(profiles, to)}
    secrets = [
        SecretFile(path=f"{routing.SECRETS}/{name}", secret=name, generated=name in to.generated)
        for name in routing.secret_names(profiles, to)
    ]
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
            File(path="etc/alertmanager.yml", text=to_yaml(config)),
            File(path="etc/watchstack.tmpl", text=templates(dashboards)),
        ),
        secrets=tuple(secrets),
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


def templates(dashboards: Mapping[str, str]) -> str:
    """The texts of notifications, with a link to the dashboard of each system that has one."""
    text = Path(__file__).with_name("alertmanager.tmpl").read_text()
    chosen = "".join(
        f'{{{{ if eq $system "{system}" }}}}{{{{ $dashboard = "{url}" }}}}{{{{ end }}}}'
        for system, url in sorted(dashboards.items())
    )
    return text.replace(_DASHBOARD, chosen)
