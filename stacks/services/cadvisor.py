"""cAdvisor: metrics of the containers of a Docker Engine, which it asks over the engine's socket."""

from stacks.service import SERVICE, Endpoint, Ground, Host, Limits, Port, Service
from stacks.settings import Docker, DockerHost

NAME = "cadvisor"
PORT = 8080

_SOCKET = "/var/run/docker.sock"


def service(ground: Ground, engine: Docker | DockerHost) -> Service:
    host, _, port = ground.listen(PORT).rpartition(":")
    return Service(
        name=NAME,
        product="cadvisor",
        program="cadvisor",
        args=(
            f"--listen_ip={host}",
            f"--port={port}",
            f"--docker=unix://{_SOCKET}",
            "--docker_only=true",
            # Every label of every container would make a series of its own.
            "--store_container_labels=false",
            f"--whitelisted_container_labels={SERVICE}",
            "--housekeeping_interval=10s",
            "--logtostderr=true",
        ),
        ports=(Port(name="http", number=PORT),),
        ready=Endpoint(port="http", path="/healthz"),
        metrics=Endpoint(port="http", path="/metrics"),
        limits=Limits(memory=512 * 2**20),
        host=Host(
            mounts={
                "/rootfs": "/",
                "/sys": "/sys",
                # The engine tells of layers by their path on the machine.
                engine.data_root: engine.data_root,
                _SOCKET: engine.socket,
            },
            # For the kernel's log, which tells of containers that ran out of memory.
            devices=("/dev/kmsg",),
            # Layers and sockets are root's, and the network of a process is shown to who may look into it.
            capabilities=("DAC_READ_SEARCH", "SYSLOG", "SYS_PTRACE"),
        ),
    )
