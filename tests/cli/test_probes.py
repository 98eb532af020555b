"""What selftest makes of the answers that it gets."""

from typing import Any

import httpx
import pytest
from conftest import MakePlan

from cli import probes
from cli.ask import Pending
from stacks.plan import Plan


@pytest.fixture
def made(make_plan: MakePlan) -> Plan:
    return make_plan()


def _answer(monkeypatch: pytest.MonkeyPatch, made: Plan, *groups: dict[str, Any]) -> None:
    """Every rule of the Plan is in order, but for those of the groups."""
    fine = {"interval": 15, "rules": [{"name": alert.name, "health": "ok"} for alert in made.alerts]}
    answer = httpx.Response(200, json={"data": {"groups": [fine, *groups]}})
    monkeypatch.setattr(probes, "get", lambda _url, **_parameters: answer)


@pytest.mark.parametrize(("interval", "health"), [(15, "unknown"), (15, "err"), (300, "err")])
def test_a_rule_that_fails_or_should_have_been_evaluated_by_now_is_named(
    made: Plan, monkeypatch: pytest.MonkeyPatch, interval: int, health: str
) -> None:
    _answer(monkeypatch, made, {"interval": interval, "rules": [{"name": "a:b", "health": health, "lastError": "no"}]})
    with pytest.raises(Pending, match=rf"1 of \d+ rules of prometheus are not healthy: a:b {health} no"):
        probes.rules(made)


def test_a_rule_that_is_looked_at_seldom_may_still_be_due(made: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, made, {"interval": 300, "rules": [{"name": "a:b", "health": "unknown"}]})
    assert "in 2 groups, 1 due later; loki has" in probes.rules(made)
