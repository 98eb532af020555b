"""Alertmanager: routes, groups, inhibits and delivers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from apps import Profile
from stacks import fast_forward, routes, routing
from stacks.routing import Reach
from stacks.service import Endpoint, File, Ground, Port, Reload, SecretFile, Service, Volume, replicas, to_yaml
from stacks.settings import Settings
from stacks.units import size_bytes

NAME = "alertmanager"
PORT = 9093
GOSSIP = 9094

# Large messages go over TCP.
_GOSSIP_PORT = Port(name="gossip", number=GOSSIP, protocols=("TCP", "UDP"))

# In the template: where `$dashboard` gets the address of the dashboard of an alert's system, if there is one.
_DASHBOARD = "{{/* the dashboard of the system */}}"


def addresses(settings: Settings, ground: Ground) -> list[str]:
    """host:port of every replica. Who has alerts sends them to each, and never through a load balancer."""
    return [place.address(name, PORT) for name, place in replicas(ground, NAME, settings.alertmanager.replicas)]


def services(
    settings: Settings, ground: Ground, profiles: Sequence[Profile], to: Reach, dashboards: Mapping[str, str]
) -> list[Service]:
    """The replicas, which agree by gossip on who notifies.

    `to` says what the receivers can be reached at; `dashboards` are addresses by system.
    """
    texts, count = templates(dashboards), settings.alertmanager.replicas
    return [_service(settings, ground, number, profiles, to, texts) for number in range(1, count + 1)]


def _service(
    settings: Settings, ground: Ground, replica: int, profiles: Sequence[Profile], to: Reach, texts: str
) -> Service:
    name, place = replicas(ground, NAME, settings.alertmanager.replicas)[replica - 1]
    routed = fast_forward.routes(routing.config(profiles, to), fast_forward.pace(settings))
    config = {"templates": ["watchstack.tmpl"], **routed}
    secrets = [
        SecretFile(path=f"{routing.SECRETS}/{name}", secret=name, generated=name in to.generated)
        for name in routing.secret_names(profiles, to)
    ]
    cluster = _cluster(settings, ground, replica, routes.shortest_interval(profiles))
    return Service(
        name=name,
        replica=replica,
        product="alertmanager",
        program="alertmanager",
        args=(
            "--config.file=etc/alertmanager.yml",
            "--storage.path=data",
            f"--data.retention={settings.alertmanager.retention}",
            f"--web.listen-address={place.listen(PORT)}",
            f"--web.external-url={place.page(name, PORT)}",
            *cluster,
            # The name of the receiver in its metrics is how `./watchstack fire` knows who was told.
            "--enable-feature=utf8-strict-mode,receiver-name-in-metrics",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT), *((_GOSSIP_PORT,) if len(cluster) > 1 else ())),
        files=(
            File(path="etc/alertmanager.yml", text=to_yaml(config)),
            File(path="etc/watchstack.tmpl", text=texts),
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
        outbound=True,
    )


def templates(dashboards: Mapping[str, str]) -> str:
    """The texts of notifications, with a link to the dashboard of each system that has one."""
    text = Path(__file__).with_name("alertmanager.tmpl").read_text()
    chosen = "".join(
        f'{{{{ if eq $system "{system}" }}}}{{{{ $dashboard = "{url}" }}}}{{{{ end }}}}'
        for system, url in sorted(dashboards.items())
    )
    return text.replace(_DASHBOARD, chosen)


def _cluster(settings: Settings, ground: Ground, replica: int, shortest_interval: float) -> list[str]:
    """The arguments for gossip. A replica advertises the address that it listens on, or else its private one."""
    count = settings.alertmanager.replicas
    if count == 1:
        # Empty means no gossip: a single replica has nobody to talk to.
        return ["--cluster.listen-address="]
    others = [other for n, other in enumerate(replicas(ground, NAME, count), start=1) if n != replica]
    return [
        f"--cluster.listen-address={ground.replica(replica).listen(GOSSIP)}",
        *(f"--cluster.peer={place.address(name, GOSSIP)}" for name, place in others),
        f"--cluster.peer-timeout={_patience(count, shortest_interval)}s",
        # In a storm of groups the defaults (200 ms, 60 s) are too slow. What has been told is passed on in packets of
        # 1400 bytes to peers drawn by lot, so it takes long, and some of it misses a peer; that one then tells it again
        # unless the whole state, which two peers exchange less often, comes before its turn.
        "--cluster.gossip-interval=50ms",
        "--cluster.pushpull-interval=2s",
    ]


def _patience(count: int, shortest_interval: float) -> int:
    """Seconds that a replica leaves to each one before it to notify and to say so: 5 to 15.

    A receiver that takes longer to answer is told twice, so the more the better. Yet the last replica's turn should
    come before the group is looked at again: it would tell what has been resolved since.
    """
    return max(5, min(15, int(shortest_interval / count)))
