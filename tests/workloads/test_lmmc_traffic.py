"""The load follows the seed, and asks Qdrant as often as its alert needs."""

import random

import pytest
from lmmc_opened import lmmc_opened

from workloads.lmmc.traffic import BACKLOG, Traffic
from workloads.load import Call

# By then the backlog stands, and tasks are moved on as others are created.
SETTLED = 4 * BACKLOG
COUNTED = 800


def _calls(seed: int) -> list[Call]:
    traffic, rng = Traffic(), random.Random(seed)
    return [traffic(rng) for _ in range(500)]


def _told(calls: list[Call]) -> list[tuple[str, str]]:
    return [(call.method, call.path) for call in calls]


def test_same_seed_same_traffic() -> None:
    assert _told(_calls(1)) == _told(_calls(1))
    assert _told(_calls(1)) != _told(_calls(2))


def test_twenty_requests_a_second_are_fifteen_operations_of_qdrant() -> None:
    traffic, rng = Traffic(), random.Random(1)
    with lmmc_opened() as lmmc:
        before = 0.0
        for number in range(SETTLED + COUNTED):
            if number == SETTLED:
                before = lmmc.client.value("lmmc_qdrant_operations_total")
            call = traffic(rng)
            answer = lmmc.client.request(call.method, call.path, json=call.json)
            if call.answered:
                call.answered(answer)
        operations = lmmc.client.value("lmmc_qdrant_operations_total") - before
        assert 20 * operations / COUNTED == pytest.approx(15, abs=1)
        assert lmmc.client.value("lmmc_qdrant_operations_total", status="error") == 0
