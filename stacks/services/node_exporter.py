"""node-exporter: metrics of the host."""

from stacks.service import Endpoint, Ground, Host, Limits, Port, Service, Volume

NAME = "node-exporter"
PORT = 9100
# On this machine, whoever has something to say of it writes a file `*.prom` there.
TEXTFILES = "textfile"

# In a container: where it sees the file systems of the machine, and the files of its kernel among them.
_MACHINE = "/host"
_PATHS = (f"--path.rootfs={_MACHINE}", f"--path.procfs={_MACHINE}/proc", f"--path.sysfs={_MACHINE}/sys")

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
            *(_PATHS if ground.contained else (f"--collector.textfile.directory={TEXTFILES}",)),
            "--log.format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        ready=Endpoint(port="http", path="/"),
        metrics=Endpoint(port="http", path="/metrics"),
        volumes=() if ground.contained else (Volume(path=TEXTFILES, size=2**20),),
        limits=Limits(memory=128 * 2**20, cpus=0.5),
        per_node=True,
        host=Host(mounts={_MACHINE: "/"}, network=True),
    )
