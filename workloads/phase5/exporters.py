"""The exporters of the cluster, by the name of the port that each one listens on."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workloads.phase5.broker import GROUP, Broker
from workloads.phase5.cluster import Cluster, counter, gauge
from workloads.phase5.redis import Redis
from workloads.phase5.store import Store
from workloads.scrape import scraped

Families = Callable[[], Iterable[Metric]]


def exporters(cluster: Cluster, broker: Broker, store: Store, redis: Redis) -> Mapping[str, Starlette]:
    """An application for each port."""
    pages: dict[str, dict[str, Families]] = {
        "kube-state-metrics": {"/metrics": cluster.state},
        "kubelet": {"/metrics": cluster.volumes, "/metrics/cadvisor": cluster.containers},
        "kafka-exporter": {"/metrics": lambda: _kafka(broker)},
        "postgres-exporter": {"/metrics": lambda: _postgres(store)},
        "redis-exporter": {"/metrics": lambda: _redis(redis)},
    }
    return {port: Starlette(routes=[_page(*page) for page in paths.items()]) for port, paths in pages.items()}


def _kafka(broker: Broker) -> Iterator[Metric]:
    offsets = [((topic, str(partition)), float(end)) for topic, partition, end, _ in broker.offsets()]
    lags = [((GROUP, topic, str(partition)), float(lag)) for topic, partition, _, lag in broker.offsets()]
    where = ("topic", "partition")
    yield gauge("kafka_consumergroup_lag", "Messages not yet handled, -1 unknown.", ("consumergroup", *where), lags)
    yield gauge("kafka_topic_partition_current_offset", "Offset of the next message.", where, offsets)


def _postgres(store: Store) -> Iterator[Metric]:
    pool = store.pool.state
    # The exporter itself is connected to the database `postgres`.
    counts = {("phase5", "active"): pool.checked_out, ("phase5", "idle"): pool.checked_in}
    counts |= {("postgres", "active"): 1, ("postgres", "idle"): 0}
    yield gauge("pg_stat_activity_count", "Connections of the server.", ("datname", "state"), counts.items())


def _redis(redis: Redis) -> Iterator[Metric]:
    yield gauge("redis_memory_used_bytes", "Memory used.", (), [((), redis.memory)])
    yield counter("redis_commands_processed_total", "Commands.", (), [((), redis.commands)])


class _Collector:
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def _page(path: str, families: Families) -> Route:
    registry = CollectorRegistry()
    # The library has no type for its own base class of collectors.
    registry.register(_Collector(families))

    async def scrape(request: Request) -> Response:
        return scraped(registry, request)

    return Route(path, scrape)
