"""Every alert of a system can be raised in its simulation."""

import pytest

import apps
import rules

# By an override of its threshold: the simulation does not fill the memory of the machine that it runs on.
BY_OVERRIDE = {"MemoryUsageHigh"}


@pytest.mark.parametrize("system", apps.names())
def test_each_alert_has_a_drill_and_each_drill_an_alert(system: str) -> None:
    """Of a system that is simulated; the real one alone raises nothing on demand."""
    profile = apps.profile(system)
    if not profile.workload:
        assert profile.drills == {}
        return
    packs = [rules.pack(name, "v1", {}) for name in profile.packs]
    alerts = {alert.name for pack in packs for file in pack.files for alert in file.alerts}
    assert profile.drills.keys() == alerts - BY_OVERRIDE


@pytest.mark.parametrize("system", apps.names())
def test_a_drill_is_of_a_process_that_has_faults_or_can_be_stopped(system: str) -> None:
    profile = apps.profile(system)
    faulty = {process.service for process in profile.workload if process.faults}
    services = {process.service for process in profile.workload}
    assert {drill.service for drill in profile.drills.values() if drill.fault} <= faulty
    assert {drill.service for drill in profile.drills.values()} <= services
