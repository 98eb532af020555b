"""Two Prometheus, a receiver, a bucket, a store, a querier: replicas are one, and blocks and logs are in the bucket."""

import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import psutil
import pytest
from standins import demand

import dashboards
from e2e.environments import PAIR, Environment, clone, eventually
from e2e.object_store import BUCKET, SECRET, ObjectStore, object_store
from stacks.services import thanos

pytestmark = pytest.mark.e2e

UP = 'up{job="alertmanager"}'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store"), "127.0.0.1:21999") as there:
        yield there


@pytest.fixture(scope="module")
def long(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    demand.require(["thanos"])
    environment = Environment("long", clone(tmp_path_factory.mktemp("long")))
    off = {"enabled": False}
    environment.write(
        systems={"boss-workflow": {"targets": {"boss-workflow": "127.0.0.1:9"}}},
        prometheus=PAIR,
        object_storage=store.settings,
        thanos={"volume": "256MB"},
        secrets={
            "discord-webhook": {"capture": "discord"},
            "heartbeat": {"capture": "heartbeat"},
            "bucket": {"file": str(store.credentials)},
        },
        loki={"bucket": {"name": BUCKET, "since": date(2024, 1, 2)}, "volume": "256MB", "retention": "24h"},
        jaeger=off,
        grafana=off,
        node_exporter=off,
    )
    with environment.running():
        yield environment


def _ask(long: Environment, path: str, /, **parameters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = long.get(thanos.HTTP[thanos.QUERY], path, **parameters)["data"]["result"]
    return found


def test_two_replicas_are_one_for_who_asks(long: Environment) -> None:
    for attempt in eventually(60):
        with attempt:
            each = _ask(long, "/api/v1/query", query=UP, dedup="false")
            assert {found["metric"]["replica"] for found in each} == {"prometheus", "prometheus-2"}
    [one] = _ask(long, "/api/v1/query", query=UP, dedup="true")
    assert one["metric"].keys().isdisjoint({"replica", "receive"})
    assert (one["metric"]["environment"], one["metric"]["job"]) == ("long", "alertmanager")


def test_while_one_of_them_is_down_there_is_no_gap(long: Environment) -> None:
    suspended = psutil.Process(long.pids()["prometheus"])
    start = time.time()
    suspended.suspend()
    try:
        time.sleep(20)
        end = time.time() - 5
        window = {"start": f"{start}", "end": f"{end}", "step": "1"}
        # Of the last three seconds only, so that a gap would show.
        [one] = _ask(long, "/api/v1/query_range", query=f"count_over_time({UP}[3s])", dedup="true", **window)
    finally:
        suspended.resume()
    assert len(one["values"]) >= int(end - start)


def test_what_the_receiver_holds_is_in_the_bucket_when_it_stops_and_the_store_answers_from_there(
    long: Environment, store: ObjectStore
) -> None:
    assert not store.let_in_without_a_key()
    psutil.Process(long.pids()[thanos.RECEIVE]).terminate()
    for attempt in eventually(60):
        with attempt:
            assert store.blocks("long")
    there = f"127.0.0.1:{thanos.GRPC[thanos.STORE] + long.offset}"
    for attempt in eventually(120):
        with attempt:
            asked = {"query": f"count_over_time({UP}[1h])", "dedup": "false"}
            found = _ask(long, "/api/v1/query", **asked, **{"storeMatch[]": f'{{__address__="{there}"}}'})
            assert {each["metric"]["replica"] for each in found} == {"prometheus", "prometheus-2"}


def test_every_panel_of_its_dashboard_that_may_not_be_empty_has_data(long: Environment) -> None:
    queries = [each for each in dashboards.queries(dashboards.build("thanos")) if not each.empty_when]
    for attempt in eventually(60):
        with attempt:
            for each in queries:
                expr = dashboards.runnable(each.expr, 15, 60)
                assert long.get(9090, "/api/v1/query", query=expr)["data"]["result"], f"{each.panel}: {expr}"


def test_logs_are_in_the_bucket_and_found_there_after_a_restart(long: Environment, store: ObjectStore) -> None:
    stream = {"stream": {"system": "boss-workflow"}, "values": [[str(time.time_ns()), "kept for long"]]}
    long.post(3100, "/loki/api/v1/push", {"streams": [stream]})
    httpx.post(long.url(3100, "/flush"), trust_env=False).raise_for_status()
    before = long.pids()["loki"]
    psutil.Process(before).terminate()
    for attempt in eventually(60):
        with attempt:
            assert long.pids()["loki"] != before
            found = long.get(3100, "/loki/api/v1/query_range", query='{system="boss-workflow"}')["data"]["result"]
            assert [line for each in found for _, line in each["values"]] == ["kept for long"]
    for attempt in eventually(30):
        with attempt:
            assert {name.partition("/")[0] for name in store.objects()} == {"fake", "index", "long"}
    assert not [file for file in (long.home / "loki" / "data" / "chunks").rglob("*") if file.is_file()]


def test_the_key_stands_in_the_secret_files_alone(long: Environment) -> None:
    holding = [
        str(file.relative_to(long.home))
        for file in long.home.rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    asking = {"loki", *thanos.NAMES} - {thanos.QUERY}
    assert sorted(holding) == [f"{name}/secrets/object-storage" for name in sorted(asking)]
