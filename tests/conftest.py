"""What tests share: an environment's Plan from a few settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rules
from stacks import plan
from stacks.plan import Plan
from stacks.settings import Settings
from stacks.strict import load

ROOT = Path(__file__).resolve().parent

LEAST = {
    "environment": "test",
    "target": "local",
    "lifecycle": "ephemeral",
    "port_offset": 10000,
    "systems": {"boss-workflow": {"workload": True}},
    "secrets": {"discord-webhook": {"capture": "discord"}},
}

MakePlan = Callable[..., Plan]

# In the names of tests that need an engine or a node: one of each is enough for a machine.
_CONTAINED = ("e2e/docker", "e2e/kubernetes", "test_cluster", "test_engine")


def pytest_itemcollected(item: pytest.Item) -> None:
    """End-to-end tests mostly wait: those of containers and those of processes may do so side by side."""
    if any(word in str(item.path.relative_to(ROOT)) for word in _CONTAINED):
        item.add_marker(pytest.mark.contained)


def seen(address: str) -> str:
    """What an override of this alert has to give as `seen`."""
    pack, _, name = address.partition("/")
    alerts = (alert for file in rules.pack(pack, "v1", {}).files for alert in file.alerts)
    return next(alert.seen for alert in alerts if alert.name == name)


@pytest.fixture(scope="session")
def make_plan() -> MakePlan:
    """The Plan of an environment with these settings beside the least; `missing` as on a machine without it."""

    def make(missing: dict[str, str] | None = None, **settings: Any) -> Plan:
        return plan.make(load(Settings, {**LEAST, **settings}, "watchstack:"), missing or {})

    return make
