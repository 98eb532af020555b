"""The simulated Kafka: order, commits, what is lost when it lasts too long; and the agent that polls it."""

import asyncio
import random
import time
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from asgi_client import opened
from phase5_system import Phase5, system

from workloads.faults import Faults
from workloads.phase5.agent import Agent
from workloads.phase5.backend import FAULTS
from workloads.phase5.broker import KEPT, PARTITIONS, POLL, Broker
from workloads.phase5.frontend import Frontend

TOPIC = "task-events"
TASK = {"title": "Review the budget"}


@pytest.fixture(name="broker")
def _broker() -> Broker:
    return Broker(Faults(FAULTS, random.Random(1)))


@pytest.fixture(name="phase5")
def _phase5() -> Iterator[Phase5]:
    with system() as phase5:
        yield phase5


def _send(broker: Broker, count: int, key: str = "task-1") -> int:
    for number in range(count):
        broker.send(TOPIC, key, {"number": str(number)}, {"traceparent": "00-a"})
    return broker.partition(TOPIC, key)


def test_messages_of_a_key_come_in_order_until_they_are_committed(broker: Broker) -> None:
    partition = str(_send(broker, 3))

    async def poll() -> None:
        for _ in range(2):
            assert [record.offset for record in await broker.poll({}, 0)] == [0, 1, 2]
        (record,) = await broker.poll({TOPIC: {partition: 2}}, 0)
        assert (record.offset, record.value, record.headers) == (2, {"number": "2"}, {"traceparent": "00-a"})
        assert await broker.poll({TOPIC: {partition: 3}}, 0) == []
        # An older commit that arrives late takes nothing back, and one of what is not there yet skips nothing.
        assert await broker.poll({TOPIC: {partition: 1}}, 0) == []
        assert await broker.poll({TOPIC: {partition: 99}}, 0) == []
        _send(broker, 1)
        assert len(await broker.poll({}, 0)) == 1

    asyncio.run(poll())


def test_lag_is_unknown_before_the_first_poll(broker: Broker) -> None:
    _send(broker, 3)
    assert {lag for _, _, _, lag in broker.offsets()} == {-1}
    asyncio.run(broker.poll({}, 0))
    assert sorted(lag for _, _, _, lag in broker.offsets()) == [0] * (sum(PARTITIONS.values()) - 1) + [3]


def test_only_the_newest_messages_are_kept_and_the_lag_counts_all(broker: Broker) -> None:
    asyncio.run(broker.poll({}, 0))
    partition = _send(broker, KEPT + 10)
    assert (TOPIC, partition, KEPT + 10, KEPT + 10) in list(broker.offsets())
    first = asyncio.run(broker.poll({}, 0))[0]
    assert first.offset == 10


def test_poll_waits_for_news_and_ends_when_the_broker_stops(broker: Broker) -> None:
    where = str(broker.partition(TOPIC, "task-1"))

    async def poll() -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(broker.poll({}, 20))
            await asyncio.sleep(0.01)
            _send(broker, 1)
        assert len(waiting.result()) == 1
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(broker.poll({TOPIC: {where: 1}}, 20))
            await asyncio.sleep(0.01)
            broker.stop()
        assert waiting.result() == []

    started = time.monotonic()
    asyncio.run(poll())
    assert time.monotonic() - started < 5


def test_poll_without_news_ends_in_time(broker: Broker) -> None:
    assert asyncio.run(broker.poll({}, 0.02)) == []


@pytest.mark.parametrize(
    ("committed", "error"),
    [
        ([1], "committed is not {topic: {partition: offset}}"),
        ({"orders": {"0": 1}}, "'orders' is no topic"),
        ({TOPIC: {"7": 1}}, "'task-events' is no topic, or has not these partitions"),
        ({TOPIC: {"0": -1}}, "-1 is no offset"),
        ({TOPIC: {"0": True}}, "True is no offset"),
    ],
)
def test_bad_commit_is_refused(phase5: Phase5, committed: object, error: str) -> None:
    answer = phase5.backend.post(POLL, {"committed": committed, "seconds": 0})
    assert answer.status_code == 422
    assert error in answer.json()["error"]


def test_agent_that_starts_anew_goes_on_where_the_last_one_committed(phase5: Phase5) -> None:
    phase5.ask("POST", "/api/tasks", TASK)
    phase5.consume()
    phase5.ask("POST", "/api/tasks", TASK)
    transport = httpx.ASGITransport(phase5.simulation.app)
    other = Agent(httpx.AsyncClient(transport=transport, base_url="http://backend"), 1, pace=0)
    assert phase5.backend.run(partial(other.poll, 0))
    registry = other.metrics.registry
    assert registry
    labels = {"topic": TOPIC, "status": "success"}
    assert registry.get_sample_value("events_processed_total", labels) == 1


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def _nobody() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(_refuse), base_url="http://backend")


def test_agent_says_that_the_broker_does_not_answer() -> None:
    agent = Agent(_nobody(), 1, pace=0)
    with opened(agent.app) as client:
        assert not client.run(partial(agent.poll, 0))
        health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert "connection refused" in health.json()["checks"]["kafka"]["message"]


def test_frontend_without_a_backend_answers_502_and_lives() -> None:
    with opened(Frontend(_nobody()).app) as client:
        answer = client.get("/api/tasks")
        assert (answer.status_code, answer.json()) == (502, {"error": "the backend does not answer"})
        assert client.value("http_requests_total", route="/api/tasks", status="502") == 1
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
