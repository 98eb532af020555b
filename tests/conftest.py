"""What tests share: an environment's Plan from a few settings."""

from collections.abc import Callable
from typing import Any

import pytest

import rules
from stacks import plan
from stacks.plan import Plan
from stacks.settings import Settings
from stacks.strict import load

LEAST = {
    "environment": "test",
    "target": "local",
    "lifecycle": "ephemeral",
    "port_offset": 10000,
    "systems": {"boss-workflow": {"workload": True}},
    "secrets": {"discord-webhook": {"capture": "discord"}},
}

MakePlan = Callable[..., Plan]


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
