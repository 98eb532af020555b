"""Estimates: they follow series, interval and retention, and Prometheus is limited by the same figures."""

from dataclasses import replace

import pytest
from conftest import MakePlan

from stacks import sizing
from stacks.sizing import Load
from stacks.units import size_bytes

DAY = 86400
GB = 2**30
SECRETS = {name: {"file": "/dev/null"} for name in ("discord-webhook", "token")}
MILLION = sizing.of_series(1_000_000, "15s", "15d", 2)


def test_an_environment_has_the_series_of_its_targets_each_at_the_interval_of_its_job(make_plan: MakePlan) -> None:
    made = make_plan(prometheus={"scrape_interval": "10s", "retention": "2d", "series_per_target": 200})
    load, targets = sizing.of_jobs(made.settings, made.jobs), sum(len(job.targets) for job in made.jobs)
    assert load == Load(series=targets * 200, samples=load.samples, retention=2 * DAY, replicas=1)
    assert load.samples == pytest.approx(targets * 20)
    slow = [replace(job, interval="20s") for job in made.jobs]
    assert sizing.of_jobs(made.settings, slow).samples == pytest.approx(targets * 10)


def test_a_million_series_are_one_prometheus_with_16_gb_of_memory_and_200_gb_of_disk() -> None:
    assert (sizing.shards(MILLION), sizing.processors(MILLION)) == (1, 4)
    size = sizing.needed(MILLION)
    assert size.memory / GB == pytest.approx(15.8, abs=0.1)
    # 66,667 samples a second, 15 days, 2 bytes, and a quarter of that to spare.
    assert size.disk == pytest.approx(1_000_000 / 15 * 15 * DAY * 2 * 1.25, rel=1e-6)


@pytest.mark.parametrize(("series", "parts"), [(4_000_000, 1), (4_000_001, 2), (10_000_000, 3), (100_000_000, 25)])
def test_more_than_one_prometheus_holds_is_divided_and_sent_to_one_backend(series: int, parts: int) -> None:
    load = sizing.of_series(series, "15s", "15d", 2)
    each = sizing.shard(load)
    assert sizing.shards(load) == parts
    assert each.series * parts >= series
    assert each.series <= sizing.LARGEST_SERIES
    assert each.sending == (parts > 1)
    assert any("`remote_write`" in line for line in sizing.advice(load)) == (parts > 1)


def test_a_single_prometheus_is_advised_another() -> None:
    assert not any("`replicas: 2`" in line for line in sizing.advice(MILLION))
    assert any("`replicas: 2`" in line for line in sizing.advice(sizing.of_series(1000, "15s", "15d", 1)))


def test_mimir_holds_every_series_three_times_and_takes_the_samples_of_all_replicas() -> None:
    size = sizing.mimir(sizing.of_series(3_000_000, "15s", "15d", 2))
    # 30 ingesters; 400,000 samples a second are 16 distributors.
    assert size.processors == 46
    assert size.memory / GB == pytest.approx((30 * 2.5 + 16) * 1.5)
    assert size.disk / GB == pytest.approx(30 * 5 * 1.5)


def test_samples_leave_a_fifth_of_the_volume_to_the_write_ahead_log() -> None:
    assert sizing.room("10GB") == 8 * GB
    assert sizing.room("1GB") <= 0.8 * size_bytes("1GB")
    assert sizing.room("1GB") % 2**20 == 0


def test_prometheus_is_limited_by_the_same_figures(make_plan: MakePlan) -> None:
    backend = {"mimir": {"url": "https://mimir.example.org/api/v1/push", "bearer": "token"}}
    for more in ({}, {"remote_write": backend}, {"series_per_target": 50_000}):
        made = make_plan(prometheus={"volume": "1TB", **more}, secrets=SECRETS)
        server, needed = made.find("prometheus"), sizing.needed(sizing.of_jobs(made.settings, made.jobs))
        assert server is not None
        assert (server.limits.memory, server.limits.cpus) == (needed.memory, needed.processors)


def test_sending_takes_a_quarter_more_of_memory() -> None:
    load = Load(series=1000, samples=100, retention=DAY, replicas=1)
    more = Load(series=1000, samples=100, retention=DAY, replicas=1, sending=True)
    assert sizing.memory(more) == pytest.approx(1.25 * sizing.memory(load), abs=1)
