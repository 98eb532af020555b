"""Overrides: what an environment may change of a shipped alert, and what it is told when that does not fit."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import rules
from rules import Pack
from stacks.changes import Override
from stacks.strict import Refused, load

REASON = "the nightly import is slow"
ALERT = {
    "alert": "TooSlow",
    "expr": "shop:p95 > 0.5 and shop:rate5m > 10",
    "for": "5m",
    "labels": {"severity": "critical", "system": "shop", "component": "api"},
    "annotations": {"summary": "Slow."},
}
OTHER = {**ALERT, "alert": "Broken", "expr": "up == 0"}


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Path:
    """A directory of packs with one pack, whose alert TooSlow declares its threshold."""
    home = tmp_path / "shop" / "v1"
    home.mkdir(parents=True)
    (home / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "shop", "rules": [ALERT, OTHER]}]}))
    _declare(tmp_path, TooSlow=0.5)
    return tmp_path


def _declare(shop: Path, **thresholds: float) -> None:
    manifest = {
        "pack": "shop",
        "version": "1.0.0",
        "summary": "A shop.",
        "files": {"alerts.yml": {}},
        "thresholds": {
            alert: {"value": value, "unit": "seconds", "meaning": "time of a request"}
            for alert, value in thresholds.items()
        },
        "changes": [{"version": "1.0.0", "change": "First."}],
    }
    (shop / "shop" / "v1" / "pack.yaml").write_text(yaml.safe_dump(manifest))


def _pack(shop: Path, **override: Any) -> Pack:
    given = load(Override, {"because": REASON, **override}, "")
    return rules.pack("shop", "v1", {"shop/TooSlow": given}, shop)


def _seen(shop: Path) -> str:
    return rules.pack("shop", "v1", {}, shop).files[0].alerts[0].seen


def _rules(pack: Pack) -> dict[str, Any]:
    document = yaml.safe_load(pack.files[0].text)
    return {rule["alert"]: rule for group in document["groups"] for rule in group["rules"]}


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ({"threshold": 2}, {"expr": "shop:p95 > 2 and shop:rate5m > 10"}),
        ({"threshold": 0.000001}, {"expr": "shop:p95 > 1e-06 and shop:rate5m > 10"}),
        ({"for": "0s"}, {"for": "0s"}),
        ({"severity": "warning"}, {"labels": {**ALERT["labels"], "severity": "warning"}}),  # type: ignore[dict-item]
        ({"labels": {"team": "a"}}, {"labels": {**ALERT["labels"], "team": "a"}}),  # type: ignore[dict-item]
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_override_changes_what_it_says_and_nothing_else(
    shop: Path, override: dict[str, Any], change: dict[str, Any]
) -> None:
    assert _rules(_pack(shop, seen=_seen(shop), **override)) == {"TooSlow": {**ALERT, **change}, "Broken": OTHER}


def test_a_disabled_alert_is_left_out_and_stays_known_by_its_address(shop: Path) -> None:
    pack = _pack(shop, seen=_seen(shop), disabled=True)
    assert list(_rules(pack)) == ["Broken"]
    assert pack.files[0].written == ("shop/TooSlow", "shop/Broken")


def test_an_override_must_say_which_alert_it_was_written_for(shop: Path) -> None:
    with pytest.raises(Refused) as refused:
        _pack(shop, threshold=2)
    assert str(refused.value) == (
        "watchstack:override.shop/TooSlow.seen: missing; see what it is now in docs/alerts.md, "
        f"and give '{_seen(shop)}'"
    )


def test_an_override_of_an_alert_that_has_changed_since_is_refused(shop: Path) -> None:
    before = _seen(shop)
    file = shop / "shop" / "v1" / "alerts.yml"
    file.write_text(file.read_text().replace("shop:p95 > 0.5", "shop:p99 > 0.5"))
    with pytest.raises(Refused, match=rf"TooSlow.seen: '{before}': the alert has changed since"):
        _pack(shop, threshold=2, seen=before)


def test_a_threshold_that_no_pack_declares_cannot_be_changed(shop: Path) -> None:
    given = load(Override, {"because": REASON, "threshold": 1, "seen": "x"}, "")
    with pytest.raises(Refused, match=r"shop/Broken.threshold: the pack declares none for this alert; .*: TooSlow"):
        rules.pack("shop", "v1", {"shop/Broken": given}, shop)


def test_a_threshold_of_another_type_is_refused() -> None:
    with pytest.raises(Refused, match='threshold: "high" is not accepted: should be a valid number'):
        load(Override, {"because": REASON, "threshold": "high"}, "override.")


@pytest.mark.parametrize(
    ("thresholds", "problem"),
    [
        ({"TooSlw": 0.5}, "rules/shop/v1/pack.yaml: thresholds.TooSlw: no such alert; did you mean TooSlow?"),
        ({"TooSlow": 5}, "rules/shop/v1/pack.yaml: thresholds.TooSlow.value: 5 stands 0 times in the condition"),
    ],
)
def test_a_declared_threshold_must_stand_in_its_alert_exactly_once(
    shop: Path, thresholds: dict[str, float], problem: str
) -> None:
    seen = _seen(shop)
    _declare(shop, **thresholds)
    with pytest.raises(Refused) as refused:
        rules.pack("shop", "v1", {}, shop)
    assert problem in str(refused.value)
    with pytest.raises(Refused) as overridden:
        _pack(shop, threshold=2, seen=seen)
    assert problem in str(overridden.value)
