"""redis_exporter: metrics of a Redis server."""

from stacks.service import Endpoint, Ground, Port, SecretFile, Service
from stacks.settings import RedisExporter

NAME = "redis-exporter"
PORT = 9121
PASSWORDS = "secrets/redis-passwords.json"


def service(ground: Ground, wanted: RedisExporter) -> Service:
    server = f"redis://{wanted.address}"
    # The exporter looks a password up by the server's address.
    secrets = (SecretFile(path=PASSWORDS, secret=wanted.password, json_key=server),) if wanted.password else ()
    return Service(
        name=NAME,
        product="redis_exporter",
        program="redis_exporter",
        args=(
            f"--redis.addr={server}",
            *(f"--redis.password-file={each.path}" for each in secrets),
            f"--web.listen-address={ground.listen(PORT)}",
            "--log-format=json",
        ),
        ports=(Port(name="http", number=PORT),),
        secrets=secrets,
        ready=Endpoint(port="http", path="/health"),
        outbound=True,
    )
