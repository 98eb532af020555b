"""./watchstack drill against services that are played: faults on and off, waves, results, and nothing left behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import world
from conftest import MakePlan, seen
from typer.testing import CliRunner, Result
from world import World

import apps
from apps import Drill
from cli import simulation
from cli.app import app
from cli.ask import Pending
from cli.drill import plan_drills
from stacks.strict import Refused

FAULTS = {drill.fault: alert for alert, drill in apps.profile("boss-workflow").drills.items() if drill.fault}


@pytest.fixture(name="play")
def _play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    monkeypatch.setattr("cli.drill._EVERY", 0.01)
    monkeypatch.setattr("stacks.routes.slowest", lambda _profiles, _labels: 0.0)
    with world.played(tmp_path, dict(FAULTS)) as running:
        yield running


def _drill(*alerts: str, timeout: int = 10) -> Result:
    return CliRunner().invoke(app, ["drill", *alerts, "-e", "play", "--timeout", str(timeout), "--json"])


def _by_name(done: Result) -> dict[str, Any]:
    return {one["alert"].partition("/")[2]: one for one in json.loads(done.stdout)["drills"]}


def _nothing_is_left(play: World) -> bool:
    return not any(play.faults.values())


def test_every_fault_raises_its_alert_and_is_taken_back(play: World) -> None:
    done = _drill(*FAULTS.values())
    assert done.exit_code == 0, done.output
    drills = _by_name(done)
    assert set(drills) == set(FAULTS.values())
    for name, one in drills.items():
        assert one["passed"], name
        assert list(one["seconds"]) == ["delivered", "firing", "pending", "resolved"]
    assert drills["HighErrorRate"]["channels"] == [{"captured": "/discord", "name": "discord-critical (discord)"}]
    # Side by side, but not two of a component, and not one that is best alone.
    waves = {name: one["wave"] for name, one in drills.items()}
    assert waves["SlowAPIResponses"] == waves["AIRequestFailures"]
    assert len({waves["RedisErrors"], waves["LowCacheHitRate"]}) == 2
    assert list(waves.values()).count(waves["HighDatabaseLatency"]) == 1
    assert _nothing_is_left(play)
    # Should the program be killed, its faults end by themselves.
    assert all(asked["seconds"] > 10 for asked in play.asked if asked["value"])


def test_a_fault_that_raises_nothing_is_a_failure_with_the_reason_and_is_tried_again_alone(play: World) -> None:
    del play.raises["ai_errors"]
    done = _drill("AIRequestFailures", "SlowAPIResponses", timeout=1)
    assert done.exit_code == 1
    drills = _by_name(done)
    assert drills["SlowAPIResponses"]["passed"]
    failed = drills["AIRequestFailures"]
    assert failed["problem"] == "not pending after 1 s: the condition does not hold in Prometheus"
    assert failed["wave"] == 2
    assert _nothing_is_left(play)


def test_an_alert_that_nobody_is_told_of_is_a_failure(play: World) -> None:
    play.unheard.add("HighErrorRate")
    done = _drill("HighErrorRate", timeout=1)
    assert done.exit_code == 1
    assert _by_name(done)["HighErrorRate"]["problem"].endswith("discord-critical (discord) not told")


def test_an_inhibited_alert_is_not_expected_to_be_delivered(play: World) -> None:
    play.inhibited.add("SlowAPIResponses")
    done = _drill("SlowAPIResponses")
    assert done.exit_code == 0, done.output
    assert _by_name(done)["SlowAPIResponses"]["inhibited"] == "inhibited by abc"


def test_an_alert_that_fires_already_proves_nothing_and_gets_no_fault(play: World) -> None:
    play.standing.add("HighErrorRate")
    done = _drill("HighErrorRate", timeout=1)
    assert done.exit_code == 1
    assert _by_name(done)["HighErrorRate"]["problem"].startswith("is firing without its fault")
    assert play.asked == []


def test_another_alert_that_stands_keeps_nobody_from_drilling(play: World) -> None:
    play.standing.add("HighErrorRate")
    assert _drill("AIRequestFailures").exit_code == 0


def test_faults_and_load_are_put_back_when_the_person_gives_up(play: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.course.Course.see", interrupted)
    assert _drill("HighErrorRate").exit_code == 130
    assert [asked["value"] for asked in play.asked] == [0.2, 0]


def test_load_is_raised_for_a_while_and_never_lowered(play: World) -> None:
    with simulation.loaded(play.plan, 80):
        assert play.rate == 80
    with simulation.loaded(play.plan, 5):
        assert play.rate == 20
    assert play.rates == [80, 20]


def test_an_unknown_alert_is_refused(play: World) -> None:
    done = _drill("HighErorRate")
    assert done.exit_code == 2
    assert "did you mean HighErrorRate?" in done.stdout
    assert play.asked == []


def test_people_get_a_table(play: World) -> None:
    done = CliRunner().invoke(app, ["drill", "HighErrorRate", "-e", "play"])
    assert done.exit_code == 0
    assert "passed" in done.stdout
    assert _nothing_is_left(play)


def test_what_cannot_be_drilled_is_named_with_the_reason(make_plan: MakePlan) -> None:
    planned, without = plan_drills(make_plan(systems={"tdd-project": {"workload": True}}), ())
    assert {one.alert.name for one in planned} == set(apps.profile("tdd-project").drills)
    assert without == {"tdd-project/MemoryUsageHigh": "apps/tdd-project.yaml has no drill for it"}


def test_a_real_server_takes_no_fault(make_plan: MakePlan) -> None:
    redis = {"redis": {"address": "127.0.0.1:6379"}}
    systems = {"graphmemory": {"workload": True, "exporters": redis}}
    plan = make_plan(systems=systems, secrets={"graphmemory-direct": {"capture": "webhook"}})
    _, without = plan_drills(plan, ())
    assert without == dict.fromkeys(
        ("graphmemory/GraphMemoryRedisDown", "graphmemory/GraphMemoryRedisMemoryHigh"),
        "redis-exporter watches the real thing here",
    )
    with pytest.raises(Refused, match="GraphMemoryRedisDown: redis-exporter watches the real thing here"):
        plan_drills(plan, ["GraphMemoryRedisDown"])


def test_an_environment_in_which_nothing_can_be_drilled_is_refused(make_plan: MakePlan) -> None:
    changes = {
        f"boss-workflow/{name}": {"disabled": True, "because": "not today", "seen": seen(f"boss-workflow/{name}")}
        for name in apps.profile("boss-workflow").drills
    }
    with pytest.raises(Refused, match="nothing can be drilled here"):
        plan_drills(make_plan(override=changes), ())


def test_real_systems_are_not_drilled(make_plan: MakePlan) -> None:
    plan = make_plan(systems={"boss-workflow": {"targets": {"boss-workflow": "127.0.0.1:8000"}}})
    with pytest.raises(Refused, match=r"no system of this environment is simulated; ./watchstack fire"):
        plan_drills(plan, ())


@pytest.fixture(name="process")
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A process that stands for every service."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    running = {"boss-workflow": started.pid}
    monkeypatch.setattr("stacks.targets.supervisor.Supervisor.programs", lambda _self: running)
    yield psutil.Process(started.pid)
    started.kill()
    started.wait()


def _soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


STOP = Drill(service="boss-workflow", stop=True)


def test_a_stopped_process_is_suspended_and_always_resumed(make_plan: MakePlan, process: psutil.Process) -> None:
    plan = make_plan()

    def interrupted() -> None:
        with simulation.faulty(plan, STOP, 60):
            assert _soon(lambda: process.status() == psutil.STATUS_STOPPED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _soon(lambda: process.status() != psutil.STATUS_STOPPED)


def test_a_process_that_does_not_run_cannot_be_stopped(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.targets.supervisor.Supervisor.programs", lambda _self: {})
    with pytest.raises(Pending, match="boss-workflow does not run"), simulation.faulty(make_plan(), STOP, 60):
        pass


def test_the_end_of_the_program_puts_back_what_it_changed(tmp_path: Path) -> None:
    """SIGTERM, as a CI job that is cancelled gets it."""
    program = (
        "import os, signal, sys, pathlib\n"
        "from cli.common import ending_well\n"
        "with ending_well():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally:\n"
        "        pathlib.Path(sys.argv[1]).touch()\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "back"], env=environment, check=False)
    assert done.returncode == 143
    assert (tmp_path / "back").exists()
