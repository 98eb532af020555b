"""Which drills run side by side: as many as do not get in each other's way."""

from typing import Any

import pytest

import apps
import rules
from apps import Drill
from cli.waves import Planned, waves
from rules import Alert


def _planned(name: str, component: str, severity: str = "warning", wait: str = "5m", **more: Any) -> Planned:
    labels = {
        "system": more.pop("system", "shop"),
        "component": component,
        "severity": severity,
        **more.pop("labels", {}),
    }
    alert = Alert(pack="shop", name=name, expr="", wait=wait, labels=labels, annotations={}, place="", seen="")
    how = more or {"fault": "errors", "value": 1.0}
    return Planned(alert=alert, drill=Drill.model_validate({"service": "shop", **how}))


def _names(planned: list[Planned]) -> list[list[str]]:
    return [[one.alert.name for one in wave] for wave in waves(planned)]


def test_drills_of_different_components_run_side_by_side() -> None:
    assert _names([_planned("A", "api"), _planned("B", "database"), _planned("C", "cache")]) == [["A", "B", "C"]]


def test_two_of_one_component_do_not_and_two_of_a_component_of_two_systems_do() -> None:
    assert _names([_planned("A", "api"), _planned("B", "api")]) == [["A"], ["B"]]
    assert _names([_planned("A", "api"), _planned("B", "api", system="pay")]) == [["A", "B"]]


def test_what_a_critical_fault_brings_with_it_cannot_inhibit_a_warning() -> None:
    planned = [_planned("A", "api", "critical"), _planned("B", "database"), _planned("C", "cache", "info")]
    assert _names(planned) == [["A"], ["B", "C"]]


@pytest.mark.parametrize(
    "how", [{"labels": {"impact": "outage"}}, {"stop": True}, {"fault": "errors", "value": 1.0, "alone": True}]
)
def test_an_outage_a_stopped_process_and_what_asks_for_it_run_alone_and_last(how: dict[str, Any]) -> None:
    planned = [_planned("A", "api", **how), _planned("B", "database"), _planned("C", "cache")]
    assert _names(planned) == [["B", "C"], ["A"]]


def test_those_that_wait_long_share_a_wave_and_begin() -> None:
    planned = [
        _planned("Short", "api", wait="1m"),
        _planned("Brief", "vector", wait="1m"),
        _planned("Long", "api", wait="30m"),
        _planned("Longer", "vector", wait="1h"),
    ]
    assert _names(planned) == [["Longer", "Long"], ["Brief", "Short"]]


@pytest.mark.parametrize("system", apps.names())
def test_the_drills_of_a_system_are_few_waves_and_all_of_them(system: str) -> None:
    profile = apps.profile(system)
    alerts = [alert for pack in profile.packs for file in rules.pack(pack, "v1", {}).files for alert in file.alerts]
    planned = [Planned(alert=a, drill=profile.drills[a.name]) for a in alerts if a.name in profile.drills]
    made = waves(planned)
    assert sorted(one.alert.name for wave in made for one in wave) == sorted(profile.drills)
    alone = sum(one.alone for one in planned)
    assert len(made) <= alone + 4
    for wave in made:
        assert len({one.part for one in wave}) == len(wave)


def test_every_alert_of_every_simulated_system_has_a_drill_but_that_of_the_host() -> None:
    without = [
        alert.address
        for profile in map(apps.profile, apps.names())
        if profile.workload
        for pack in profile.packs
        for file in rules.pack(pack, "v1", {}).files
        for alert in file.alerts
        if alert.name not in profile.drills
    ]
    # The memory of the host is nothing that a simulation may use up.
    assert without == ["tdd-project/MemoryUsageHigh"]
