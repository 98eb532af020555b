"""The local target, end to end: up, selftest, edits, deaths, refusals, and no trace after down."""

import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from e2e.environments import OFFSETS, Environment, eventually

pytestmark = pytest.mark.e2e

ALERTS = "rules/boss-workflow/v1/alerts.yml"
PROGRAMS = (
    "alertmanager",
    "boss-workflow",
    "capture",
    "loki",
    "node-exporter",
    "otel-collector",
    "prometheus",
)


@pytest.fixture
def edit(scratch: Path) -> Iterator[Callable[[str, str, str], None]]:
    """Replace a piece of a file in the clone; afterwards the file is what it was."""
    before: dict[Path, str] = {}

    def replace(path: str, old: str, new: str) -> None:
        file = scratch / path
        before.setdefault(file, file.read_text())
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    yield replace
    for file, text in before.items():
        file.write_text(text)


def _expression(one: Environment) -> str:
    groups = one.get(9090, "/api/v1/rules")["data"]["groups"]
    return str(next(rule["query"] for group in groups for rule in group["rules"] if rule["name"] == "HighErrorRate"))


def test_selftest_is_green_after_up(one: Environment) -> None:
    answer = one.watchstack("selftest", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []
    assert answer["passed"] is True


def test_a_second_up_changes_nothing(one: Environment) -> None:
    one.up()
    before = one.pids()
    assert "9 unchanged" in one.up("--expect-no-changes")
    assert one.pids() == before


def test_a_rule_edit_is_live_without_a_restart_or_a_missed_scrape(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before = one.pids()
    edit(ALERTS, "> 0.05", "> 0.07")
    output = one.up()
    assert "prometheus updated" in output
    assert _expression(one).endswith("> 0.07")
    assert one.pids() == before
    samples = one.get(9090, "/api/v1/query", query='up{job="boss-workflow"}[20s]')["data"]["result"][0]["values"]
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(samples)]
    assert max(gaps) < 3


def test_a_broken_rule_is_refused_with_file_and_line_and_nothing_changes(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before, expression = one.pids(), _expression(one)
    edit(ALERTS, "> 0.05", "> > 0.05")
    output = one.up(check=False)
    line = next(
        number
        for number, text in enumerate((one.clone / ALERTS).read_text().splitlines(), start=1)
        if "> > 0.05" in text
    )
    assert f"{ALERTS}: {line}:" in output
    assert "parse error" in output
    assert (one.pids(), _expression(one)) == (before, expression)


def test_malformed_rules_yaml_is_refused_with_file_and_line(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    edit(ALERTS, "groups:", "groups: [")
    output = one.up(check=False)
    assert f"{ALERTS}:" in output
    assert "not YAML" in output


@pytest.mark.parametrize("service", PROGRAMS)
def test_a_killed_process_is_back_by_itself(one: Environment, service: str) -> None:
    before = one.pids()[service]
    os.kill(before, signal.SIGKILL)
    for attempt in eventually(10):
        with attempt:
            states = {state["service"]: state for state in one.watchstack("status", check=False)["services"]}
            assert states[service]["ready"]
            assert states[service]["pid"] not in (None, before)


def test_up_mends_a_dead_supervisor_and_its_orphans(one: Environment) -> None:
    os.kill(int((one.home / "supervisord.pid").read_text()), signal.SIGKILL)
    assert "dead" in one.pulumi("refresh", "--preview-only", "--diff")
    one.up()
    assert all(one.pids().values())
    assert "9 unchanged" in one.up("--expect-no-changes")


def test_a_file_edited_by_hand_is_seen_by_refresh_and_undone_by_up(one: Environment) -> None:
    one.up()
    config = one.home / "prometheus" / "etc" / "prometheus.yml"
    text = config.read_text()
    config.write_text(text + "# edited\n")
    assert "etc/prometheus.yml" in one.pulumi("refresh", "--preview-only", "--diff")
    one.up()
    assert config.read_text() == text


def test_secrets_are_files_and_nowhere_else(one: Environment) -> None:
    one.up()
    webhook = one.url(9099, "/discord")
    files = list(one.home.glob("*/secrets/*"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o400}
    state = next((one.clone / ".watchstack" / "state").rglob("one.json")).read_text()
    assert webhook not in state
    assert webhook not in one.pulumi("preview", "--diff")
    for pid in one.supervisor.pids():
        process = psutil.Process(pid)
        assert webhook not in " ".join(process.cmdline())
        assert not [name for name in process.environ() if name.startswith("PULUMI")]


def test_another_environment_runs_beside_it_and_leaves_nothing(one: Environment, scratch: Path) -> None:
    two = Environment("two", scratch)
    two.write()
    try:
        two.up()
        assert two.watchstack("selftest")["passed"]
        assert one.watchstack("selftest")["passed"]
        processes = two.supervisor.pids()
    finally:
        two.down()
    assert not [pid for pid in processes if psutil.pid_exists(pid)]
    assert not two.home.exists()
    assert not two.supervisor.socket.exists()
    assert not list((scratch / ".watchstack" / "state").rglob("two.json*"))
    assert all(one.pids().values())


def test_a_taken_port_is_refused_before_anything_is_made(scratch: Path) -> None:
    two = Environment("two", scratch)
    two.write()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", 9090 + OFFSETS["two"]))
        squatter.listen()
        output = two.up(check=False)
    assert f"port {9090 + OFFSETS['two']} (prometheus http) is taken by pid {os.getpid()}" in output
    assert not two.home.exists()
    two.down()
