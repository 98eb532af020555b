"""Alertmanager: routes, groups, inhibits and delivers."""

from collections.abc import Sequence
from pathlib import Path

from apps import Profile
from stacks import fast_forward, routing
from stacks.routing import Reach
from stacks.service import Endpoint, File, Ground, Port, Reload, SecretFile, Service, Volume, to_yaml
from stacks.settings import Settings
from stacks.units import size_bytes

NAME = "alertmanager"
PORT = 9093


def service(settings: Settings, ground: Ground, profiles: Sequence[Profile], to: Reach) -> Service:
    """`to` says what the receivers of the profiles can be reached at."""
    routed = fast_forward.routes(routing.config(profiles, to), fast_forward.pace(settings))
    config = {"templates": ["watchstack.tmpl"], **routed}
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
            # The name of the receiver in its metrics is how `./watchstack fire` knows who was told.
            "--enable-feature=utf8-strict-mode,receiver-name-in-metrics",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        files=(
            File(path="etc/alertmanager.yml", text=to_yaml(config)),
            File(path="etc/watchstack.tmpl", text=Path(__file__).with_name("alertmanager.tmpl").read_text()),
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
