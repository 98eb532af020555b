"""Files in Sloth's format: what becomes of them, and the words in which they are refused."""

from pathlib import Path

import pytest
from conftest import MakePlan

from rules import sloth
from rules.objectives import Slo
from stacks import routes
from stacks.strict import Refused

HERE = Path(__file__).parent / "sloth"
CHECKOUT = "tests/rules/sloth/good/checkout.yml"
PLAIN = "tests/rules/sloth/good/no-alerts.yml"
SYSTEM = {"workload": True}


def _read(path: Path) -> list[Slo]:
    return sloth.objectives(path, "objectives.yml", "shop")


@pytest.mark.parametrize("path", sorted((HERE / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_file_is_refused_in_words_that_help(path: Path) -> None:
    with pytest.raises(Refused) as refused:
        _read(path)
    [line] = str(refused.value).splitlines()
    assert path.read_text().partition("\n")[0].removeprefix("# ") in line


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "objectives.yml: no such file"), (b"\xff\xfe", "not UTF-8 text"), (b"a: \x07", "objectives.yml: not YAML")],
)
def test_what_is_no_yaml_file_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(Refused, match=problem):
        _read(tmp_path / "file")


def test_percent_become_a_share_and_the_window_is_sloths() -> None:
    found = {slo.name: slo for slo in _read(HERE / "good" / "checkout.yml")}
    assert {name: (slo.objective, slo.budget, slo.window) for name, slo in found.items()} == {
        "checkout-requests": (0.999, 0.001, "30d"),
        "checkout-payments": (0.95, 0.05, "30d"),
    }


def test_alerts_have_sloths_burn_rates_those_that_cannot_be_aside() -> None:
    slos = _read(HERE / "good" / "checkout.yml") + _read(HERE / "good" / "no-alerts.yml")
    rates = {
        slo.name: [
            [(pair.long, pair.short, round(slo.factor(pair), 6)) for pair in alert.pairs] for alert in slo.alerts
        ]
        for slo in slos
    }
    page = [("1h", "5m", 14.4), ("6h", "30m", 6)]
    ticket = [("1d", "2h", 3), ("3d", "6h", 1)]
    assert rates == {
        "checkout-requests": [page, ticket],
        "checkout-payments": [page],
        "search-answers": [],
        "suggestions-answers": [[], ticket],
    }


def test_a_severity_that_is_routed_is_taken_and_another_kept_beside_that_of_the_alert() -> None:
    page, ticket = _read(HERE / "good" / "checkout.yml")[0].alerts
    assert (page.labels["severity"], page.labels["exported_severity"]) == ("critical", "pager")
    assert (ticket.labels["severity"], "exported_severity" in ticket.labels) == ("info", False)


def test_labels_are_what_they_look_like_and_those_of_the_routing_stay_ours(make_plan: MakePlan) -> None:
    made = make_plan(systems={"boss-workflow": {**SYSTEM, "objectives": [CHECKOUT]}})
    alerts = [alert for alert in made.alerts if alert.name.startswith("Checkout")]
    assert [(alert.labels["system"], alert.labels["exported_system"], alert.labels["tier"]) for alert in alerts] == [
        ("boss-workflow", "web-shop", "1")
    ] * 3
    assert [routes.hears(made.profiles, alert.labels) for alert in alerts] == [
        ["discord-critical"],
        ["discord-info"],
        ["discord-critical"],
    ]
    assert {"boss-workflow-availability", "checkout-requests", "checkout-payments"} == {
        slo.name for slo in made.objectives
    }


def test_a_key_without_a_value_is_none_and_a_date_is_text() -> None:
    labels = _read(HERE / "good" / "no-alerts.yml")[0].labels
    assert labels["since"] == "2024-02-29"
    assert "owner" not in labels


def test_an_alert_that_can_never_be_is_left_out_and_said_so(make_plan: MakePlan) -> None:
    made = make_plan(systems={"boss-workflow": {**SYSTEM, "objectives": [PLAIN]}})
    assert [alert.labels["sloth_severity"] for alert in made.alerts if alert.name == "SuggestionsFail"] == ["ticket"]
    said = {line.what: line.because for line in made.left_out}
    assert said["alert SuggestionsFail of suggestions-answers"] == "its burn rates would need more than 100 % errors"


def test_two_objectives_of_one_name_are_refused(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as refused:
        make_plan(systems={"boss-workflow": {**SYSTEM, "objectives": [CHECKOUT, CHECKOUT]}})
    assert str(refused.value) == (
        "watchstack:systems.boss-workflow.objectives: two objectives are called 'checkout-requests'; "
        "their series could not be told apart"
    )
