"""Components at the end of their support, and pairs that do not work: warned of before, refused after, or accepted."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import MakePlan

from checks import versions
from toolchain import lifecycle
from toolchain.versions import table

HERE = Path()
END = date(2027, 7, 31)
ACCEPT = {"accept": {"prometheus": {"because": "staging tries the next one"}}}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "used", lambda _plan: {"prometheus": "3.13.5", "alertmanager": "0.34.2"})


def _today(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    monkeypatch.setattr(versions, "today", lambda: day)


@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(
    ("day", "warned", "refused"),
    [
        (END - timedelta(days=60), False, False),
        (END - timedelta(days=59), True, False),
        (END, True, False),
        (END + timedelta(days=1), False, True),
    ],
)
def test_the_end_of_support_is_warned_of_and_then_refused(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, day: date, warned: bool, refused: bool
) -> None:
    _today(monkeypatch, day)
    made = make_plan()
    assert bool(versions.warnings(made)) == warned
    assert bool(versions.check(made, HERE)) == refused


@pytest.mark.usefixtures("at")
def test_what_is_accepted_is_a_warning_with_its_reason(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    _today(monkeypatch, END + timedelta(days=1))
    made = make_plan(**ACCEPT)
    assert versions.check(made, HERE) == []
    said = "prometheus 3.13.5: its publisher mends it until 2027-07-31; accepted: staging tries the next one"
    assert versions.warnings(made) == [said]


@pytest.mark.usefixtures("at")
def test_a_component_that_is_not_there_cannot_be_accepted(make_plan: MakePlan) -> None:
    made = make_plan(accept={"promtheus": {"because": "misspelt here"}})
    [problem] = versions.check(made, HERE)
    assert problem == "watchstack:accept.promtheus: no such component in this environment; did you mean prometheus?"


def test_a_pair_that_does_not_work_is_refused(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "used", lambda _plan: {"prometheus": "3.15.0", "alertmanager": "0.15.3"})
    [problem] = versions.check(make_plan(), HERE)
    assert problem.startswith("alertmanager 0.15.3 does not work with prometheus 3.15.0: Prometheus 3 speaks only")


def test_the_shipped_versions_pass_and_are_those_that_run(make_plan: MakePlan) -> None:
    for target in ("local", "docker", "kubernetes"):
        made = make_plan(target=target)
        assert versions.check(made, HERE) == []
        assert {"prometheus", "alertmanager", "loki"} <= versions.used(made).keys()
    assert versions.used(made)["prometheus"] == table()["prometheus"].version


def test_a_series_is_not_the_beginning_of_another_number() -> None:
    one = lifecycle.Supported(component="jaeger", series="1", until=END, source="x")
    assert one.holds("1.76.0")
    assert not one.holds("12.0.0")
    assert lifecycle.numbers("0.9") < lifecycle.numbers("0.16") < lifecycle.numbers("v0.16.1-rc.0")


def test_the_table_names_products() -> None:
    known = lifecycle.table()
    assert {each.component for each in known.supported} <= table().keys()
    assert {name for pair in known.broken for name in (pair.component, pair.beside)} <= table().keys()
