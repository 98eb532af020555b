"""Checks that need no program: each says yes to what is right and no, in words, to what is not."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakePlan

import checks
from checks import disk, loki, ports, retention, routing, secrets
from stacks import plan, settings
from stacks.settings import STACK_FILES
from stacks.strict import Refused

HERE = Path()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_shipped_alerts_all_reach_somebody(make_plan: MakePlan) -> None:
    assert routing.check(make_plan(), HERE) == []


@pytest.mark.parametrize(
    ("label", "value", "problem"),
    [
        ("severity", "page", "has severity 'page', which nobody routes; routed: critical, warning, info"),
        ("system", "payments", "has system 'payments', which nobody routes; routed: boss-workflow, platform"),
    ],
)
def test_an_alert_that_nobody_routes_is_named_with_file_and_line(
    make_plan: MakePlan, label: str, value: str, problem: str
) -> None:
    made = make_plan()
    alert = next(alert for alert in made.alerts if alert.name == "HighErrorRate")
    astray = replace(alert, labels={**alert.labels, label: value})
    [found] = routing.check(replace(made, alerts=(astray,)), HERE)
    assert found == f"{alert.place}: HighErrorRate {problem}"
    file, _, line = alert.place.rpartition(":")
    assert "HighErrorRate" in (Path(__file__).parents[2] / file).read_text().splitlines()[int(line) - 1]


def test_an_alert_on_logs_must_reach_somebody_whichever_system_the_log_is_of(make_plan: MakePlan) -> None:
    systems = {"boss-workflow": {"workload": True}, "lmmc": {"workload": True}}
    secrets = {name: {"capture": "x"} for name in ("discord-webhook", "lmmc-critical", "lmmc-warning", "lmmc-default")}
    made = make_plan(systems=systems, secrets=secrets)
    alert = next(alert for alert in made.alerts if alert.name == "LogFatal")
    assert routing.check(replace(made, alerts=(alert,)), HERE) == []
    # LMMC routes every severity, Boss Workflow does not.
    [found] = routing.check(replace(made, alerts=(replace(alert, labels={"severity": "page"}),)), HERE)
    assert found == f"{alert.place}: LogFatal has severity 'page', which nobody routes; routed: critical, warning, info"


def test_a_secret_file_must_hold_something(make_plan: MakePlan, tmp_path: Path) -> None:
    file = tmp_path / "webhook"
    made = make_plan(secrets={"discord-webhook": {"file": str(file)}})
    file.write_text("\n")
    [empty] = secrets.check(made, HERE)
    assert f"watchstack:secrets.discord-webhook.file: {file}: the file is empty" in empty
    file.write_text("https://discord.example/1")
    assert (secrets.check(made, HERE), secrets.absent(made)) == ([], [])


def test_a_secret_file_must_be_there_for_an_update_and_for_nothing_else(make_plan: MakePlan, tmp_path: Path) -> None:
    made = make_plan(secrets={"discord-webhook": {"file": str(tmp_path / "webhook")}})
    assert secrets.check(made, HERE) == []
    [absent] = secrets.absent(made)
    assert absent.startswith(f"watchstack:secrets.discord-webhook.file: {tmp_path / 'webhook'}: no such file")
    [warning] = checks.warnings(made)
    assert warning == f"secrets: {absent}: `up` refuses without it"
    with pytest.raises(Refused, match=re.escape(f"secrets: {absent}")):
        checks.demand(made, preview=False)
    checks.demand(made, preview=True)


def test_a_taken_port_is_named_with_its_holder_and_the_way_out(make_plan: MakePlan, taken_port: int) -> None:
    # The highest port of the stack, so that the offset to any free port is one that the settings take.
    made = make_plan(port_offset=taken_port - 16686)
    [problem] = [line for line in ports.check(made, HERE) if f"port {taken_port} " in line]
    assert f"port {taken_port} (jaeger ui) is taken by pid " in problem
    assert f"set another watchstack:port_offset (now {taken_port - 16686})" in problem


def test_two_services_on_one_port_are_refused(make_plan: MakePlan) -> None:
    made = make_plan()
    twin = replace(made.services[0], name="twin")
    assert "port 19093 is asked for by alertmanager http and twin http" in ports.check(
        replace(made, services=(made.services[0], twin)), HERE
    )


def test_a_disk_too_small_is_named_with_what_is_asked_and_what_there_is(make_plan: MakePlan) -> None:
    [problem] = disk.check(make_plan(prometheus={"volume": "4PB"}), HERE)
    assert "prometheus 4PB" in problem
    assert "lower watchstack:prometheus.volume or watchstack:loki.volume" in problem
    assert disk.check(make_plan(prometheus={"volume": "1MB"}, loki={"volume": "1MB"}), HERE) == []


def test_loki_keeps_at_least_a_day(make_plan: MakePlan) -> None:
    [problem] = loki.check(make_plan(loki={"retention": "12h"}), HERE)
    assert "watchstack:loki.retention: 12h is too short" in problem


def test_a_check_whose_program_is_not_there_is_not_made_and_said_so(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))
    monkeypatch.setattr(checks, "CHECKS", tuple(check for check in checks.CHECKS if check.name == "alertroutes"))
    made = make_plan(missing={"alertroutes": "there is no `go` on PATH"})
    assert checks.run(made) == []
    reasons = {left_out.what: left_out.because for left_out in made.left_out}
    assert reasons["check alertroutes"] == "there is no `go` on PATH"
    assert "check alertroutes" not in {left_out.what for left_out in make_plan().left_out}


def test_files_are_written_only_for_a_check_that_did_not_pass_before(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))
    written: list[Path] = []
    read_by = checks.Check(name="loki", judge=lambda _plan, tree: _note(written, tree), files_of=("loki",))
    monkeypatch.setattr(checks, "CHECKS", (read_by, checks.Check(name="disk", judge=lambda _plan, _tree: [])))
    for remembered in (False, True, True):
        results = {result.check: result.remembered for result in checks.run(make_plan())}
        assert results == {"loki": remembered, "disk": False}
    monkeypatch.setattr("stacks.render.write", lambda *_: pytest.fail("written for nobody"))
    checks.run(make_plan())
    assert len(written) == 1


def test_a_check_is_made_again_for_another_file_of_a_service_of_the_same_kind(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))
    read: list[str] = []

    def judge(made: plan.Plan, tree: Path) -> list[str]:
        read.extend(one.name for one in made.replicas("otel-collector") if (tree / one.name / "etc").is_dir())
        return []

    monkeypatch.setattr(checks, "CHECKS", (checks.Check(name="collector", judge=judge, files_of=("otel-collector",)),))
    for machine in ("web-1", "web-1", "web-2"):
        host = {machine: {"engine": "ssh://ops@web", "address": "10.0.0.5"}}
        checks.run(make_plan(target="docker", docker={"agents_at": "10.0.0.2", "hosts": host}))
    assert read == ["otel-collector", "otel-collector-web-1", "otel-collector", "otel-collector-web-2"]


def _note(written: list[Path], tree: Path) -> list[str]:
    """A check that finds its file and has nothing to say."""
    assert (tree / "loki" / "etc" / "loki.yml").is_file()
    written.append(tree)
    return []


def test_a_volume_that_holds_the_samples_of_the_retention_at_their_least_is_in_order(make_plan: MakePlan) -> None:
    assert retention.check(make_plan(), HERE) == []
    # 9 targets of 1000 series, 600 samples a second, 52 MB a day; the volume has room for 51 or 102.
    few = {"retention": "1d", "series_per_target": 1000}
    assert retention.check(make_plan(prometheus={**few, "volume": "65MB"}), HERE) == []
    [problem] = retention.check(make_plan(prometheus={**few, "volume": "60MB"}), HERE)
    assert problem.startswith("watchstack:prometheus.retention: 1d of 600 samples a second take ")
    assert "give it 1GB or more" in problem


def test_a_rehearsal_is_not_held_to_its_retention(make_plan: MakePlan) -> None:
    wanted = {"scrape_interval": "1s", "volume": "64MB"}
    assert retention.check(make_plan(prometheus=wanted), HERE) != []
    assert retention.check(make_plan(prometheus=wanted, fast_forward=20), HERE) == []


@pytest.mark.parametrize("path", sorted(STACK_FILES.glob("Pulumi.*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_environment_can_hold_what_it_promises(path: Path) -> None:
    made = plan.make(settings.from_stack_file(path, path.stem.removeprefix("Pulumi.")), {})
    assert retention.check(made, HERE) == []
