"""Phase 5 Database & Infrastructure: pool, queries, PostgreSQL, Redis, Kafka and disks."""

from dashboards import logql, promql
from dashboards.board import Board, Override, Panel, Query, Thresholds
from dashboards.components import NODE, POSTGRES, REDIS
from dashboards.links import Link, dashboard, logs, runbook, runbooks, system_logs, traces
from dashboards.panels import bargauge, gauge, timeseries
from dashboards.variables import FILTER

SYSTEM = "phase5"
BACKEND = "phase5-backend"
NAMESPACE = 'namespace="phase5-production"'
KAFKA = frozenset({"kafka-exporter"})


def board() -> Board:
    """What the services of the system stand on."""
    return Board(
        uid="phase5-infrastructure",
        title="Phase 5 Database & Infrastructure",
        description="Connection pool, queries, PostgreSQL, Redis, Kafka and disks of Phase 5.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("phase5-overview", "Overview"), system_logs(SYSTEM), traces(BACKEND), runbooks()),
        variables=(FILTER,),
        panels=(*_database(), *_redis_and_kafka(), _disk()),
    )


def _drill(alert: str) -> tuple[Link, ...]:
    return (runbook(alert), logs("Error logs", logql.errors(SYSTEM)))


def _database() -> tuple[Panel, ...]:
    return (
        gauge(
            "Pool used",
            Query(expr="phase5:database_connections:ratio", legend="{{service}}", instant=True),
            unit="percentunit",
            description="Part of the pool's connections that are in use, by service.",
            thresholds=Thresholds(warning=0.7, critical=0.9),
            links=_drill("DatabaseConnectionPoolExhausted"),
        ),
        timeseries(
            "Pool by state",
            Query(expr=promql.total("database_pool_connections", NAMESPACE, ("state",)), legend="{{state}}"),
            unit="short",
            description="Connections of the pool by state.",
            width=9,
        ),
        timeseries(
            "Query p95",
            Query(
                expr=promql.p95("database_query_duration_seconds", NAMESPACE, ("operation",)),
                legend="{{operation}}",
            ),
            unit="s",
            description="95 of 100 queries were faster than this. A gap is a time without queries.",
            width=9,
        ),
        timeseries(
            "Server connections",
            Query(expr=promql.total("pg_stat_activity_count", by=("datname",)), legend="{{datname}}"),
            unit="short",
            description="Connections of the PostgreSQL server by database.",
            needs=POSTGRES,
        ),
    )


def _redis_and_kafka() -> tuple[Panel, ...]:
    commands = "commands"
    return (
        timeseries(
            "Redis",
            Query(expr="redis_memory_used_bytes", legend="memory {{instance}}"),
            Query(expr=promql.rate("redis_commands_processed_total", ""), legend=commands),
            unit="bytes",
            description="Memory of the server (left), and commands a second (right).",
            overrides=(Override(series=commands, right_axis=True, unit="ops"),),
            needs=REDIS,
        ),
        timeseries(
            "Kafka lag",
            Query(expr="phase5:kafka_consumer_lag:sum", legend="{{consumergroup}} {{topic}}"),
            unit="short",
            description="Events that a group of consumers has yet to read, by topic.",
            thresholds=Thresholds(warning=500, critical=1000),
            needs=KAFKA,
            links=_drill("KafkaConsumerLag"),
        ),
        timeseries(
            "Kafka throughput",
            Query(expr=promql.rate("kafka_topic_partition_current_offset", "", ("topic",)), legend="{{topic}}"),
            unit="cps",
            description="Events written a second, by topic.",
            needs=KAFKA,
        ),
    )


def _disk() -> Panel:
    return bargauge(
        "Disk used",
        Query(
            expr="max by (instance, mountpoint) (instance:node_filesystem:ratio)",
            legend="{{instance}} {{mountpoint}}",
            instant=True,
        ),
        unit="percentunit",
        description="Part of each file system that is used.",
        maximum=1,
        thresholds=Thresholds(warning=0.8, critical=0.9),
        width=24,
        needs=NODE,
        links=_drill("DiskSpaceLow"),
    )
