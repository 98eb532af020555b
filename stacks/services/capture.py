"""The capture receiver: takes notifications in place of Discord and the like, and shows them."""

from stacks.service import Endpoint, Ground, Port, Service, Volume

NAME = "capture"
PORT = 9099
SMTP = 9025


def service(ground: Ground) -> Service:
    return Service(
        name=NAME,
        product="python",
        program="workloads.capture",
        args=(
            *("--listen", "http=" + ground.listen(PORT)),
            *("--listen", "smtp=" + ground.listen(SMTP)),
            *("--data", "data"),
        ),
        ports=(Port(name="http", number=PORT), Port(name="smtp", number=SMTP)),
        volumes=(Volume(path="data", size=64 * 2**20),),
        ready=Endpoint(port="http", path="/healthz"),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
    )
