"""The page of an environment says of every alert who hears of it, and what the environment has changed."""

import shutil
from pathlib import Path

import pytest
from conftest import MakePlan, seen

import apps
from docs import environments
from stacks import routes

SHOP = Path(__file__).parents[1] / "apps" / "good" / "shop.yaml"


def _rows(page: str, alert: str) -> list[list[str]]:
    return [line.split(" | ") for line in page.splitlines() if line.startswith(f"| [{alert}](")]


def test_every_alert_is_there_with_those_who_hear_of_it(make_plan: MakePlan) -> None:
    made = make_plan()
    page = environments.page(made)
    for alert in made.alerts:
        told = {row[4] for row in _rows(page, alert.name)}
        if "system" in alert.labels and alert.name != routes.WATCHDOG:
            labels = {"alertname": alert.name, **alert.labels}
            assert ", ".join(f"`{name}`" for name in routes.hears(made.profiles, labels)) in told
    assert _rows(page, "Watchdog")[0][4] == "`heartbeat`"


def test_what_an_environment_changes_is_said_with_its_reason(make_plan: MakePlan) -> None:
    high, skew = "boss-workflow/HighErrorRate", "platform/NodeClockSkew"
    made = make_plan(
        override={
            high: {"threshold": 0.2, "severity": "info", "because": "the import may fail", "seen": seen(high)},
            skew: {"disabled": True, "because": "the hypervisor keeps the time", "seen": seen(skew)},
        }
    )
    page = environments.page(made)
    [row] = _rows(page, "HighErrorRate")
    assert row[1:5] == ["`info`", "`5m`", "0.2 ratio", "`discord-info`"]
    assert f"| `{high}` | threshold `0.2`, severity `info` | the import may fail |" in page
    assert f"| `{skew}` | disabled `true` | the hypervisor keeps the time |" in page
    assert _rows(page, "NodeClockSkew") == []


def test_receivers_routes_times_and_inhibitions_are_there(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copyfile(SHOP, tmp_path / "shop.yaml")
    monkeypatch.setattr(apps, "DIRECTORY", tmp_path)
    names = ("shop-pager", "shop-bot", "shop-discord", "shop-slack", "shop-teams", "shop-store", "shop-token")
    secrets = {name: {"file": f"/run/{name}"} for name in names}
    page = environments.page(make_plan(systems={"shop": {"targets": {"shop": "127.0.0.1:9"}}}, secrets=secrets))
    assert "| `pager` | pagerduty, telegram | `shop-bot`, `shop-pager` |" in page
    assert "| `store` | webhook, but not when it is over | `shop-store`, `shop-token` |" in page
    assert '  - `severity="warning"`, `team="sales"`: `desk`; active_time_intervals `office`' in page
    assert "| `nights` | `22:00-24:00`, `00:00-06:00` (Europe/Vienna) |" in page
    assert "with the same `system`, `zone`; without a cache every request goes to the database" in page
    assert "`shop-default` is the last resort" in page
