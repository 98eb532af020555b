"""In which order selftest asks."""

import pytest
from conftest import MakePlan

from cli import selftest
from cli.ask import Pending
from stacks.plan import Plan


def test_an_alert_is_raised_once_every_target_has_been_scraped(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def targets(_plan: Plan) -> str:
        seen.append("asked")
        if len(seen) < 2:
            raise Pending("not scraped yet")
        return "scraped"

    def alert(_plan: Plan) -> str:
        seen.append("raised")
        return "told"

    steps = {name: lambda _plan: "passed" for name in selftest.STEPS}
    monkeypatch.setattr(selftest, "STEPS", steps | {"targets up": targets, "alert delivered": alert})
    outcomes = selftest._run(make_plan(), 5, quiet=True)
    assert seen == ["asked", "asked", "raised"]
    assert [outcome.step for outcome in outcomes] == list(selftest.STEPS)
    assert all(outcome.passed for outcome in outcomes)
