"""node-exporter: metrics of the host."""

from stacks.service import Endpoint, Ground, Port, Service

NAME = "node-exporter"
PORT = 9100

# Mounts that hold no data of the host's own.
_SKIPPED = r"^/(dev|proc|run|sys|snap|var/lib/(docker|containers|kubelet)/.+)($|/)"


def service(ground: Ground) -> Service:
    return Service(
        name=NAME,
        product="node_exporter",
        program="node_exporter",
        args=(
            f"--web.listen-address={ground.listen(PORT)}",
            f"--collector.filesystem.mount-points-exclude={_SKIPPED}",
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        ready=Endpoint(port="http", path="/"),
        metrics=Endpoint(port="http", path="/metrics"),
    )
