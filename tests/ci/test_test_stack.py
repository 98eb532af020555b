"""The stack file of a pull request: its own ports, no secret, and nobody who is told."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from ci import test_stack as stack
from stacks import plan, settings
from stacks.strict import Refused

_BASE = """\
config:
  watchstack:target: local
  watchstack:lifecycle: durable
  watchstack:systems:
    boss-workflow: {targets: {boss-workflow: "10.0.0.5:8000"}}
  watchstack:prometheus: {retention: 15d, remote_write: {mimir: {url: "https://mimir.example.org/push", bearer: mimir}}}
  watchstack:email:
    {smarthost: "mail.example.org:587", from: a@example.org, to: [b@example.org], username: u, password: mail}
  watchstack:secrets:
    discord-webhook: {file: /run/secrets/discord}
    heartbeat: {secure: v1:abc}
    mimir: {file: /run/secrets/mimir}
    mail: {file: /run/secrets/mail}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shipped = settings.STACK_FILES
    for name in ("local", "dev", "staging"):
        shutil.copy(shipped / f"Pulumi.{name}.yaml", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").write_text(_BASE)
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    return tmp_path


def test_it_has_no_secret_of_its_base_and_calls_nobody(files: Path) -> None:
    file = stack.write(7, "prod")
    text = file.read_text()
    assert file == files / "Pulumi.pr-7.yaml"
    assert "/run/secrets" not in text
    assert "v1:abc" not in text
    assert "example.org:587" not in text
    made = settings.from_stack_file(file, "pr-7")
    assert (made.lifecycle, made.fast_forward) == ("ephemeral", 60)
    assert all(secret.capture for secret in made.secrets.values())
    assert made.systems["boss-workflow"].workload
    assert not made.prometheus.remote_write
    assert plan.make(made, {}).find("capture")


def test_it_keeps_its_ports_and_two_have_different_ones(files: Path) -> None:
    first = stack.write(7, "local").read_text()
    assert stack.write(7, "local").read_text() == first
    offsets = {
        yaml.safe_load(stack.write(number, "local").read_text())["config"]["watchstack:port_offset"]
        for number in (7, 8)
    }
    assert len(offsets) == 2
    assert len(list(files.glob("Pulumi.pr-*.yaml"))) == 2


def test_ports_that_are_taken_are_passed_over(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = settings.from_stack_file(stack.write(7, "local"), "pr-7").port_offset
    (files / "Pulumi.pr-7.yaml").unlink()
    monkeypatch.setattr("checks.ports.check", lambda made, _: ["taken"] if made.settings.port_offset == usual else [])
    assert settings.from_stack_file(stack.write(7, "local"), "pr-7").port_offset > usual


@pytest.mark.usefixtures("files")
def test_in_a_cluster_there_is_no_room_for_a_second_one() -> None:
    with pytest.raises(Refused, match="--from staging: in a cluster a simulated system has one namespace"):
        stack.write(7, "staging")


@pytest.mark.usefixtures("files")
def test_of_one_that_is_not_there_nothing_is_to_be_done() -> None:
    stack.down(7)


def test_the_dashboards_that_change_are_those_of_the_diff(tmp_path: Path) -> None:
    diff = tmp_path / "diff.json"
    assert stack.changed_dashboards(diff) == []
    changes = [
        {"kind": "panels", "names": ["hosts/CPU", "lmmc/Tasks / s"]},
        {"kind": "dashboards", "names": ["start"]},
        {"kind": "alerts", "names": ["platform/NodeCPUHigh"]},
    ]
    diff.write_text(json.dumps({"changes": changes}))
    assert stack.changed_dashboards(diff) == ["hosts", "lmmc", "start"]
