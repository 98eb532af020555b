"""The simulated exporters serve what the real ones are known for, and tell of the faults."""

import re
from collections.abc import Iterator

import pytest
from asgi_client import Client, opened
from exposition import differences
from starlette.applications import Starlette

from workloads.graphmemory.app import GraphMemory

MEMORY = {"index": "notes", "text": "Ana split parse() in parser.py for streaming"}


class _System:
    """The API and both exporters."""

    def __init__(self, memory: GraphMemory, api: Client) -> None:
        self._exporters: dict[str, Starlette] = dict(memory.exporters)
        self.api = api

    def text(self, exporter: str) -> str:
        with opened(self._exporters[exporter]) as client:
            return client.get("/metrics").text

    def values(self, exporter: str) -> dict[str, float]:
        """By name, summed over labels."""
        values: dict[str, float] = {}
        for line in self.text(exporter).splitlines():
            if not line.startswith("#"):
                name, _, value = re.sub(r"\{.*\}", "", line).partition(" ")
                values[name] = values.get(name, 0.0) + float(value)
        return values

    def switch(self, fault: str, value: float) -> None:
        assert self.api.post("/_sim/fault", {"fault": fault, "value": value}).status_code == 200


@pytest.fixture(name="system")
def _system() -> Iterator[_System]:
    memory = GraphMemory(1, pace=0, keep=0)
    with opened(memory.app) as api:
        yield _System(memory, api)


@pytest.mark.parametrize("exporter", ["postgres-exporter", "redis-exporter"])
def test_an_exporter_serves_what_the_catalogue_says(system: _System, exporter: str) -> None:
    assert differences("graphmemory", exporter, system.text(exporter)) == []


def test_postgres_counts_transactions_and_connections(system: _System) -> None:
    before = system.values("postgres-exporter")
    for _ in range(5):
        system.api.post("/api/memories", MEMORY)
    system.api.request("DELETE", "/api/memories/99")
    after = system.values("postgres-exporter")
    assert after["pg_stat_database_xact_commit"] - before["pg_stat_database_xact_commit"] == 5
    assert after["pg_stat_database_xact_rollback"] - before["pg_stat_database_xact_rollback"] == 1
    assert after["pg_stat_database_blks_hit"] > before["pg_stat_database_blks_hit"]
    assert (after["pg_up"], after["pg_stat_activity_count"], after["pg_settings_max_connections"]) == (1, 1, 100)


def test_postgres_that_is_down_leaves_pg_up_alone(system: _System) -> None:
    system.switch("postgres_down", 1)
    assert system.values("postgres-exporter") == {"pg_up": 0}
    system.switch("postgres_down", 0)
    assert system.values("postgres-exporter")["pg_up"] == 1


def test_redis_counts_lookups_and_memory(system: _System) -> None:
    before = system.values("redis-exporter")
    system.api.post("/api/memories", MEMORY)
    for path in ("/api/memories/1", "/api/memories/1", "/api/memories/99"):
        system.api.get(path)
    after = system.values("redis-exporter")
    assert after["redis_keyspace_hits_total"] == 2
    assert after["redis_keyspace_misses_total"] == 1
    assert after["redis_commands_processed_total"] - before["redis_commands_processed_total"] == 4
    assert before["redis_memory_used_bytes"] < after["redis_memory_used_bytes"] < after["redis_memory_max_bytes"]


def test_redis_evicts_above_its_bound(system: _System) -> None:
    for _ in range(510):
        system.api.post("/api/memories", MEMORY)
    assert system.values("redis-exporter")["redis_evicted_keys_total"] == 10


def test_redis_memory_is_that_share_of_the_limit(system: _System) -> None:
    system.switch("redis_memory", 0.95)
    values = system.values("redis-exporter")
    assert values["redis_memory_used_bytes"] / values["redis_memory_max_bytes"] == pytest.approx(0.95, abs=1e-6)


def test_redis_that_is_down_leaves_redis_up_alone(system: _System) -> None:
    system.switch("redis_down", 1)
    assert system.values("redis-exporter") == {"redis_up": 0}
