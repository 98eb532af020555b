"""The local target, end to end: up, selftest, edits, deaths, refusals, and no trace after down."""

import itertools
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from e2e.environments import OFFSETS, Environment, eventually
from e2e.local.conftest import SHORT
from toolchain import interrupted

pytestmark = pytest.mark.e2e

CONDITION = 'increase(redis_connection_errors_total{job="boss-workflow"}[5m]) > 0'
ALERTS = "rules/boss-workflow/v1/alerts.yml"
PROGRAMS = (
    "alertmanager",
    "boss-workflow",
    "capture",
    "jaeger",
    "loki",
    "node-exporter",
    "otel-collector",
    "prometheus",
)


def _rules(one: Environment) -> dict[str, str]:
    groups = one.get(9090, "/api/v1/rules")["data"]["groups"]
    return {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}


def _expression(one: Environment) -> str:
    return _rules(one)["RedisErrors"]


def test_selftest_is_green_after_up(one: Environment) -> None:
    answer = one.watchstack("selftest", "--timeout", "120", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []
    assert answer["passed"] is True


def test_a_second_up_changes_nothing(one: Environment) -> None:
    one.up()
    before = one.pids()
    assert "10 unchanged" in one.up("--expect-no-changes", preview=True)
    assert one.pids() == before


def test_a_rule_edit_is_live_without_a_restart_or_a_missed_scrape(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before = one.pids()
    edit(ALERTS, CONDITION, CONDITION.replace("> 0", "> 3"))
    output = one.up(preview=True)
    assert "prometheus updated" in output
    assert _expression(one).endswith("> 3")
    assert one.pids() == before
    samples = one.get(9090, "/api/v1/query", query='up{job="boss-workflow"}[20s]')["data"]["result"][0]["values"]
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(samples)]
    assert max(gaps) < 3


def test_a_broken_rule_is_refused_with_file_and_line_and_nothing_changes(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before, expression = one.pids(), _expression(one)
    edit(ALERTS, CONDITION, CONDITION.replace("> 0", "> > 0"))
    output = one.up(check=False, preview=True)
    # The line in the file of the pack. What is deployed has others: an alert of the same file is overridden here.
    lines = (one.clone / ALERTS).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if "alert: RedisErrors" in text)
    assert f"{ALERTS}:{line}: RedisErrors: could not parse expression" in output
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
            assert states[service]["id"] not in (None, str(before))


def test_up_mends_a_dead_supervisor_and_its_orphans(one: Environment) -> None:
    os.kill(int((one.home / "supervisord.pid").read_text()), signal.SIGKILL)
    assert "dead" in one.pulumi("refresh", "--preview-only", "--diff")
    one.up()
    assert all(one.pids().values())
    assert "10 unchanged" in one.up("--expect-no-changes")


def test_a_file_edited_by_hand_is_seen_by_refresh_and_undone_by_up(one: Environment) -> None:
    one.up()
    config = one.home / "prometheus" / "etc" / "prometheus.yml"
    text = config.read_text()
    config.write_text(text + "# edited\n")
    assert "etc/prometheus.yml" in one.pulumi("refresh", "--preview-only", "--diff")
    one.up()
    assert config.read_text() == text


def test_what_the_servers_run_with_is_what_was_asked_for(one: Environment) -> None:
    one.up()
    config = yaml.safe_load(one.get(9090, "/api/v1/status/config")["data"]["yaml"])
    assert (config["global"]["scrape_interval"], config["global"]["evaluation_interval"]) == ("2s", "2s")
    assert config["global"]["external_labels"] == {"cluster": "one", "environment": "one"}
    assert one.get(9090, "/api/v1/status/runtimeinfo")["data"]["storageRetention"] == "1d or 409MiB"
    loki = yaml.safe_load(httpx.get(one.url(3100, "/config"), trust_env=False).text)
    assert loki["limits_config"]["retention_period"] == "1d"
    assert (loki["compactor"]["retention_enabled"], loki["schema_config"]["configs"][0]["schema"]) == (True, "v13")
    # The compactor is what deletes; it first does so after ten minutes.
    assert "compactor => Running" in httpx.get(one.url(3100, "/services"), trust_env=False).text


def test_samples_survive_a_kill(one: Environment) -> None:
    one.up()
    query = 'count_over_time(up{job="prometheus"}[1h])'
    before = float(one.get(9090, "/api/v1/query", query=query)["data"]["result"][0]["value"][1])
    os.kill(one.pids()["prometheus"], signal.SIGKILL)
    for attempt in eventually(10):
        with attempt:
            [series] = one.get(9090, "/api/v1/query", query=query)["data"]["result"]
            assert float(series["value"][1]) >= before


def test_a_component_that_is_switched_off_goes_and_the_others_reload(one: Environment) -> None:
    one.up()
    before = one.pids()
    one.write(override=SHORT, node_exporter={"enabled": False})
    output = one.up()
    assert "node-exporter deleted" in output
    assert "otel-collector updated" in output
    after = one.pids()
    assert {**before, "node-exporter": None} == {**after, "node-exporter": None}
    assert not [name for name in _rules(one) if name.startswith("Node")]
    assert one.watchstack("selftest")["passed"]
    one.write(override=SHORT)
    one.up()
    assert one.pids()["node-exporter"]


def test_secrets_are_files_and_nowhere_else(one: Environment) -> None:
    one.up()
    webhook = one.url(9099, "/discord")
    files = list(one.home.glob("*/secrets/*"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o400}
    state = interrupted.plain(next((one.clone / ".watchstack" / "state").rglob("one.json.zst"))).decode()
    assert webhook not in state
    assert webhook not in one.pulumi("preview", "--diff")
    for pid in one.supervisor.pids():
        process = psutil.Process(pid)
        assert webhook not in " ".join(process.cmdline())
        assert not [name for name in process.environ() if name.startswith("PULUMI")]


def test_everything_listens_on_loopback_alone(one: Environment) -> None:
    one.up()
    connections = [found for pid in one.supervisor.pids() for found in psutil.Process(pid).net_connections("inet")]
    addresses = {found.laddr.ip for found in connections if found.laddr and found.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}


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


def test_who_has_no_secrets_may_preview_and_is_refused_an_update_before_anything_is_made(scratch: Path) -> None:
    two, file = Environment("two", scratch), scratch / "webhook"
    off = {name: {"enabled": False} for name in ("grafana", "jaeger", "loki", "node_exporter")}
    two.write(secrets={"discord-webhook": {"file": str(file)}, "heartbeat": {"capture": "heartbeat"}}, **off)
    said = f"watchstack:secrets.discord-webhook.file: {file}: no such file"
    try:
        assert said in two.pulumi("preview")
        refused = two.up(check=False, preview=True)
        assert re.search(rf"Pulumi\.two\.yaml:\d+: secrets: {re.escape(said)}", refused)
        # The stack itself, and nothing in it.
        assert "+ 1 created" in refused
        assert not two.home.exists()
        file.write_text("http://127.0.0.1:9/hook")
        two.up()
        file.unlink()
        two.pulumi("preview", "--expect-no-changes")
    finally:
        two.down()


def test_a_taken_port_is_refused_before_anything_is_made(scratch: Path) -> None:
    two = Environment("two", scratch)
    two.write()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", 9090 + OFFSETS["two"]))
        squatter.listen()
        output = two.up(check=False, preview=True)
    assert f"port {9090 + OFFSETS['two']} (prometheus http) is taken by pid {os.getpid()}" in output
    assert not two.home.exists()
    two.down()
