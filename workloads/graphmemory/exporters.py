"""What postgres-exporter and redis-exporter serve, simulated: their own names, as far as rules and panels use them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workloads.graphmemory.postgres import SERVER_CONNECTIONS, Postgres
from workloads.graphmemory.redis import MEMORY_LIMIT, Redis

DATABASE = "graphmemory"


@dataclass(frozen=True)
class Exported:
    """A metric as an exporter writes it: prometheus-client would give every counter the ending `_total`."""

    name: str
    kind: str
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def postgres(server: Postgres) -> Starlette:
    """The application that serves what postgres-exporter does."""
    return _exporter(lambda: _of_postgres(server))


def redis(server: Redis) -> Starlette:
    """The application that serves what redis-exporter does."""
    return _exporter(lambda: _of_redis(server))


def _of_postgres(server: Postgres) -> list[Exported]:
    """Of a server that does not answer, an exporter tells nothing else."""
    up = [Exported("pg_up", "gauge", "Whether PostgreSQL answers.", server.up)]
    if not server.up:
        return up
    pool, total, one = server.connections(), server.statistics, {"datname": DATABASE}
    activity = {"active": pool["checked_out"], "idle": pool["checked_in"]}
    return [
        *up,
        *(
            Exported("pg_stat_activity_count", "gauge", "Connections.", count, {**one, "state": state})
            for state, count in activity.items()
        ),
        Exported("pg_settings_max_connections", "gauge", "Connections that it accepts.", SERVER_CONNECTIONS),
        Exported("pg_stat_database_xact_commit", "counter", "Transactions committed.", total.commits, one),
        Exported("pg_stat_database_xact_rollback", "counter", "Transactions rolled back.", total.rollbacks, one),
        Exported("pg_stat_database_blks_hit", "counter", "Blocks found in memory.", total.blocks_hit, one),
        Exported("pg_stat_database_blks_read", "counter", "Blocks read from disk.", total.blocks_read, one),
    ]


def _of_redis(server: Redis) -> list[Exported]:
    """Of a server that does not answer, an exporter tells nothing else."""
    up = [Exported("redis_up", "gauge", "Whether Redis answers.", server.up)]
    if not server.up:
        return up
    total = server.statistics
    return [
        *up,
        Exported("redis_memory_used_bytes", "gauge", "Memory used.", server.memory_used),
        Exported("redis_memory_max_bytes", "gauge", "Memory that it may use.", MEMORY_LIMIT),
        Exported("redis_keyspace_hits_total", "counter", "Keys that were found.", total.hits),
        Exported("redis_keyspace_misses_total", "counter", "Keys that were not found.", total.misses),
        Exported("redis_commands_processed_total", "counter", "Commands.", total.commands),
        Exported("redis_evicted_keys_total", "counter", "Keys that made room.", total.evicted),
    ]


def _exporter(read: Callable[[], list[Exported]]) -> Starlette:
    async def scrape(_request: Request) -> Response:
        return Response(_text(read()), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return Starlette(routes=[Route("/metrics", scrape)])


def _text(exported: list[Exported]) -> str:
    lines = []
    for each in exported:
        head = f"# HELP {each.name} {each.meaning}\n# TYPE {each.name} {each.kind}\n"
        if head not in lines:
            lines.append(head)
        labels = ",".join(f'{name}="{value}"' for name, value in each.labels.items())
        series = f"{each.name}{{{labels}}}" if labels else each.name
        lines.append(f"{series} {float(each.value)}\n")
    return "".join(lines)
