"""postgres_exporter: metrics of a PostgreSQL server."""

from stacks.service import Endpoint, Ground, Port, SecretFile, Service
from stacks.settings import PostgresExporter

NAME = "postgres-exporter"
PORT = 9187
PASSWORD = "secrets/postgres-password"  # noqa: S105 - the file's name


def service(ground: Ground, wanted: PostgresExporter) -> Service:
    return Service(
        name=NAME,
        product="postgres_exporter",
        program="postgres_exporter",
        args=(f"--web.listen-address={ground.listen(PORT)}", "--log.format=json", "--log.level=warn"),
        # Flags for these came with 0.21, and Debian's version has variables alone.
        environment=(
            ("DATA_SOURCE_URI", f"{wanted.address}/{wanted.database}?sslmode=disable"),
            ("DATA_SOURCE_USER", wanted.user),
            ("DATA_SOURCE_PASS_FILE", PASSWORD),
        ),
        ports=(Port(name="http", number=PORT),),
        secrets=(SecretFile(path=PASSWORD, secret=wanted.password),),
        ready=Endpoint(port="http", path="/"),
        outbound=True,
    )
