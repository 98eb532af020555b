"""A simulated application, in place of the real one."""

from stacks.service import Endpoint, Ground, Port, Service

RATE = 20


def service(ground: Ground, name: str, program: str, port: int) -> Service:
    """Runs `workloads/<program>.py`, which drives itself with `RATE` requests a second."""
    return Service(
        name=name,
        product="python",
        program=f"workloads.{program}",
        args=(
            "--listen",
            ground.listen(port),
            "--log-file",
            "log/app.log",
            "--seed",
            "1",
            "--rate",
            str(RATE),
        ),
        ports=(Port(name="http", number=port),),
        ready=Endpoint(port="http", path="/health"),
        page=Endpoint(port="http", path="/_sim/faults"),
    )
