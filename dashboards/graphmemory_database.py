"""GraphMemory Database Monitoring: PostgreSQL, the pool of the API, and Redis."""

from dashboards import logql, promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import POSTGRES, REDIS
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import gauge, not_a_number, row, stat, timeseries
from dashboards.variables import FILTER

SYSTEM = "graphmemory"
API = "graphmemory-api"


def board() -> Board:
    """Servers as their exporters see them, and as the API does."""
    return Board(
        uid="graphmemory-database",
        title="GraphMemory Database Monitoring",
        description="PostgreSQL, the connection pool and queries of the API, and Redis.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("graphmemory-overview", "Overview"), system_logs(SYSTEM), traces(API), runbooks()),
        variables=(FILTER,),
        panels=(*_postgres(), *_api(), *_redis()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _postgres() -> tuple[Panel, ...]:
    hit = promql.rate("pg_stat_database_blks_hit", "")
    read = promql.rate("pg_stat_database_blks_read", "")
    return (
        row("PostgreSQL", needs=POSTGRES),
        timeseries(
            "PostgreSQL connections",
            Query(expr=promql.total("pg_stat_activity_count", by=("state",)), legend="{{state}}"),
            unit="short",
            description="Connections of the server by state.",
            width=9,
            needs=POSTGRES,
            links=_drill("GraphMemoryPostgresDown"),
        ),
        gauge(
            "Connections used",
            Query(expr="graphmemory:pg_connections:ratio", legend="{{instance}}", instant=True),
            unit="percentunit",
            description="Part of the connections that the server allows.",
            thresholds=Thresholds(warning=0.7, critical=0.8),
            width=3,
            needs=POSTGRES,
        ),
        timeseries(
            "Transactions",
            Query(expr=promql.rate("pg_stat_database_xact_commit", ""), legend="committed"),
            Query(expr=promql.rate("pg_stat_database_xact_rollback", ""), legend="rolled back"),
            unit="ops",
            description="Transactions a second by outcome.",
            width=9,
            needs=POSTGRES,
        ),
        stat(
            "Buffer hit ratio",
            Query(expr=f"{hit} / ({hit} + {read})", legend="hits"),
            unit="percentunit",
            description="Share of blocks that were in the server's memory, over 5 minutes.",
            thresholds=Thresholds(warning=0.95, critical=0.9, below=True),
            mappings=(not_a_number("no reads"),),
            width=3,
            height=8,
            needs=POSTGRES,
        ),
    )


def _api() -> tuple[Panel, ...]:
    return (
        row("As the API sees it"),
        timeseries(
            "Query p95",
            Query(expr="graphmemory:db_query_seconds:p95_5m", legend="{{operation}}"),
            unit="s",
            description="95 of 100 queries were faster than this. A gap is a time without queries.",
            thresholds=Thresholds(critical=0.5),
            links=_drill("GraphMemorySlowQueries"),
        ),
        timeseries(
            "Pool used",
            Query(expr="graphmemory:db_pool:ratio", legend="{{instance}}"),
            unit="percentunit",
            description="Part of the pool's connections that are in use.",
            thresholds=Thresholds(warning=0.8, critical=0.9),
            links=_drill("GraphMemoryPoolNearlyFull"),
        ),
    )


def _redis() -> tuple[Panel, ...]:
    hits = promql.rate("redis_keyspace_hits_total", "")
    misses = promql.rate("redis_keyspace_misses_total", "")
    return (
        row("Redis", needs=REDIS),
        timeseries(
            "Redis memory",
            Query(expr="redis_memory_used_bytes", legend="used {{instance}}"),
            Query(expr="redis_memory_max_bytes", legend="limit {{instance}}"),
            unit="bytes",
            description="Memory of the server and its limit; a limit of 0 is none.",
            width=10,
            needs=REDIS,
            links=_drill("GraphMemoryRedisMemoryHigh"),
        ),
        stat(
            "Redis hit ratio",
            Query(expr=f"{hits} / ({hits} + {misses})", legend="hits"),
            unit="percentunit",
            description="Share of look-ups that found a key, over 5 minutes.",
            thresholds=Thresholds(warning=0.8, critical=0.5, below=True),
            mappings=(not_a_number("no look-ups"),),
            width=4,
            height=8,
            needs=REDIS,
            links=_drill("GraphMemoryLowCacheHits"),
        ),
        timeseries(
            "Redis commands, evictions",
            Query(expr=promql.rate("redis_commands_processed_total", ""), legend="commands"),
            Query(expr=promql.rate("redis_evicted_keys_total", ""), legend="evictions"),
            unit="ops",
            description="Commands and evicted keys a second.",
            width=10,
            needs=REDIS,
            links=_drill("GraphMemoryRedisDown"),
        ),
    )
