"""What `./watchstack doctor` finds: each finding on a machine where all is well, and on one where it is not."""

import json
import os
import resource
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MakePlan
from typer.testing import CliRunner, Result

from cli import findings
from cli.app import app
from cli.findings import Finding
from toolchain import programs
from toolchain.programs import Absent, Installed

ROOT = Path(__file__).parents[2]
LEAST = (ROOT / "tests" / "stacks" / "good" / "least.yaml").read_text()


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_DEBUG_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack file of the environment `nothing`, which nobody brought up, on ports where nobody listens."""
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    file = tmp_path / "Pulumi.nothing.yaml"
    file.write_text(f"{LEAST}  watchstack:port_offset: 46000\n")
    return file


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The root of a clone that has a Pulumi.yaml and nothing more."""
    (tmp_path / "Pulumi.yaml").write_text("name: watchstack\nruntime: python\n")
    return tmp_path


def _doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "-e", "nothing", *arguments])


def _found(done: Result) -> dict[str, dict[str, Any]]:
    return {one["part"]: one for one in json.loads(done.stdout)["findings"]}


@pytest.mark.usefixtures("stack_file")
def test_where_all_is_well_nothing_is_wrong() -> None:
    done = _doctor("--json")
    found = _found(done)
    wrong = {part for part, one in found.items() if one["state"] == "wrong"}
    # A machine that has not run `make tools` lacks programs, and nothing else.
    assert {part for part in wrong if not part.startswith("program ")} == set()
    assert done.exit_code == int(bool(wrong))
    assert found["stack file"]["detail"].endswith("services are planned")
    assert {"python", "packages", "programs", "backend", "passphrase", "runs", "clock", "limits"} <= found.keys()
    assert {"ground", "plugin", "ports", "disk", "secrets"} <= found.keys()


def test_a_stack_file_that_cannot_be_used_is_wrong_and_the_rest_is_still_told(stack_file: Path) -> None:
    stack_file.write_text(f"{LEAST}  watchstack:promtheus: {{}}\n")
    done = _doctor("--json")
    assert done.exit_code == 1
    found = _found(done)
    assert "watchstack:promtheus: unknown key" in found["stack file"]["detail"]
    assert found["packages"]["state"] == "well"


def test_people_see_the_command_that_mends_it(stack_file: Path) -> None:
    stack_file.unlink()
    done = _doctor()
    assert done.exit_code == 1
    assert "stack file: ./watchstack check -e nothing" in done.stdout


def test_a_port_that_is_taken_is_wrong(stack_file: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        # The highest port of the stack, so that the offset to any free port is one that the settings take.
        stack_file.write_text(f"{LEAST}  watchstack:port_offset: {port - 16686}\n")
        found = _found(_doctor("--json"))
    assert found["ports"]["state"] == "wrong"
    assert f"port {port} (jaeger ui) is taken by" in found["ports"]["detail"]


def test_it_takes_two_seconds_of_processor_time_at_most() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = [sys.executable, "-m", "cli.app", "doctor", "-e", "local", "--json"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in (0, 1), done.stderr
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 2


def test_packages_other_than_pinned_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("PyYAML==1.0\nno-such-package-here==2.0\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\n")
    found = findings.pins(tmp_path)
    assert found.state == "wrong"
    assert found.detail.endswith("pinned is 1.0; no-such-package-here is missing, pinned is 2.0")
    assert found.mend == "rm .venv/requirements; make tools"


def test_an_older_python_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "PYTHON", (4, 0))
    found = findings.python()
    assert (found.state, found.mend) == ("wrong", "rm -r .venv && make tools PYTHON=python4.0")


def test_a_program_that_is_missing_is_wrong_unless_it_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda product: Absent(product, "not installed"))
    found = {one.part: one for one in findings.tools()}
    assert found["program prometheus"].state == "wrong"
    assert found["program grafana"].state == "doubtful"
    assert found["program prometheus"].mend == "make tools"


def test_a_program_that_was_altered_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Installed("loki", "3", "build", Path("/tools/loki"), {})
    monkeypatch.setattr(programs, "find", lambda _product: made)
    monkeypatch.setattr("toolchain.sums.altered", lambda _found: ["loki"])
    found = next(one for one in findings.tools() if one.part == "program loki")
    assert (found.state, found.mend) == ("wrong", "rm -r /tools/loki && make tools")


def test_a_backend_in_a_directory_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/states")
    found = findings.backend()
    assert (found.state, found.mend) == ("wrong", f"mkdir -p {tmp_path}/states")
    (tmp_path / "states").mkdir()
    assert findings.backend().state == "well"


@pytest.mark.parametrize(
    ("script", "mend"),
    [("echo 'error: no login' >&2; exit 1", "pulumi login"), ("exec sleep 30", "pulumi whoami")],
    ids=["refuses", "says nothing"],
)
def test_a_backend_elsewhere_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, mend: str
) -> None:
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    monkeypatch.setattr("toolchain.pulumi.environment", lambda _root: {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = findings.backend()
    assert (found.state, found.mend) == ("wrong", mend)


def test_states_whose_passphrase_is_gone(clone: Path) -> None:
    assert findings.passphrase(clone).state == "well"
    state = clone / ".watchstack" / "state" / ".pulumi" / "stacks" / "watchstack" / "dev.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    found = findings.passphrase(clone)
    assert found.state == "wrong"
    assert "the states of dev are locked with it" in found.detail
    (clone / ".watchstack" / "passphrase").write_text("x")
    assert findings.passphrase(clone).state == "well"


def test_a_passphrase_file_of_the_user_that_is_not_there(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(clone / "none"))
    assert findings.passphrase(clone).state == "wrong"
    (clone / "none").write_text("x")
    assert findings.passphrase(clone).state == "well"


def _lock(clone: Path, pid: int) -> None:
    place = clone / ".watchstack" / "state" / ".pulumi" / "locks" / "organization" / "watchstack" / "dev"
    place.mkdir(parents=True, exist_ok=True)
    lock = {"pid": pid, "username": "ana", "hostname": socket.gethostname(), "timestamp": datetime.now(UTC).isoformat()}
    (place / "one.json").write_text(json.dumps(lock))


def test_a_run_that_was_cut_short_and_one_that_is_under_way(clone: Path) -> None:
    assert findings.runs("dev", clone).state == "well"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _lock(clone, ended.pid)
    cut_short = findings.runs("dev", clone)
    assert (cut_short.state, cut_short.mend) == ("wrong", "make up ENV=dev")
    _lock(clone, os.getpid())
    under_way = findings.runs("dev", clone)
    assert under_way.state == "doubtful"
    assert f"by ana on {socket.gethostname()}, process {os.getpid()}, since " in under_way.detail
    assert "toolchain.pulumi dev -- cancel --yes" in under_way.mend


@pytest.mark.parametrize(("said", "state"), [(5, "doubtful"), (0, "well"), (-1, "well")])
def test_a_clock_that_nobody_keeps_is_doubtful(monkeypatch: pytest.MonkeyPatch, said: int, state: str) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: SimpleNamespace(adjtimex=lambda _buffer: said))
    assert findings.clock().state == state


def test_a_clock_that_went_back_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert findings.clock().state == "wrong"


def test_too_few_open_files_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _what: (1024, 4096))
    found = findings.limits()
    assert (found.state, found.detail) == ("wrong", "a process may open 4096 files")


def test_an_engine_that_is_not_there(make_plan: MakePlan, tmp_path: Path) -> None:
    settings = make_plan(target="docker", docker={"engine": f"unix://{tmp_path}/none.sock"}).settings
    found = findings.ground(settings)
    assert found.state == "wrong"
    assert "does not answer" in found.detail
    assert "-c watchstack:target=local" in found.mend


def test_an_engine_that_says_nothing_is_not_waited_for(make_plan: MakePlan) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = make_plan(target="docker", docker={"engine": f"tcp://127.0.0.1:{silent.getsockname()[1]}"}).settings
        found = findings.ground(settings)
    assert found.state == "wrong"
    assert "timed out" in found.detail.lower()


def test_a_cluster_without_a_kubeconfig(make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    settings = make_plan(target="kubernetes").settings
    found = findings.ground(settings)
    assert found.state == "wrong"
    assert "kubeconfig cannot be used" in found.detail


@pytest.mark.parametrize(("route", "state"), [("build", "wrong"), ("release", "well")])
def test_a_plugin_is_missing_only_where_the_engine_fetches_none(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: Any, state: str
) -> None:
    settings = make_plan(target="docker").settings
    engine = Installed("pulumi", "3", route, Path("/tools/pulumi"), {})
    monkeypatch.setattr(programs, "find", lambda _product: engine)
    assert findings.plugin(settings, tmp_path).state == state
    if state == "wrong":
        assert "make rehearse ENV=test" in findings.plugin(settings, tmp_path).mend
    monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", "docker:1234")
    assert findings.plugin(settings, tmp_path) == Finding(part="plugin", state="well", detail="a stand-in")
