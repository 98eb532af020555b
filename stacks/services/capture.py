"""The capture receiver: takes notifications in place of Discord and the like, and shows them."""

from stacks.service import Endpoint, Ground, Port, Service, Volume

NAME = "capture"
PORT = 9099


def service(ground: Ground) -> Service:
    return Service(
        name=NAME,
        product="python",
        program="workloads.capture",
        args=("--listen", "http=" + ground.listen(PORT), "--data", "data"),
        ports=(Port(name="http", number=PORT),),
        volumes=(Volume(path="data", size=64 * 2**20),),
        ready=Endpoint(port="http", path="/healthz"),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
    )
