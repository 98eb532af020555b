"""./watchstack promote: one line of a stack file, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import rules
from cli.app import app

_STACK = """\
# Staging.
config:
  watchstack:target: local  # here
  watchstack:lifecycle: ephemeral
  watchstack:systems:
    # The one.
    boss-workflow: {workload: true}   # simulated
  watchstack:secrets: {discord-webhook: {capture: discord}}
"""


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["promote", *arguments])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack file of `staging`, where packs boss-workflow and platform have a v2 with another threshold."""
    packs = tmp_path / "rules"
    shutil.copytree(rules.DIRECTORY, packs, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in ("boss-workflow", "platform"):
        shutil.copytree(packs / name / "v1", packs / name / "v2")
    for path in (packs / "boss-workflow" / "v2" / "alerts.yml", packs / "boss-workflow" / "v2" / "pack.yaml"):
        path.write_text(
            path.read_text()
            .replace("> 0.05", "> 0.02")
            .replace("HighErrorRate: {value: 0.05", "HighErrorRate: {value: 0.02")
        )
    monkeypatch.setattr(rules, "DIRECTORY", packs)
    monkeypatch.setattr(rules.pack, "__defaults__", (packs,))
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    found = tmp_path / "Pulumi.staging.yaml"
    found.write_text(_STACK)
    return found


def test_the_line_of_the_system_is_changed_and_nothing_else(file: Path) -> None:
    done = _run("rules/boss-workflow", "v2", "--to", "staging", "--json")
    assert done.exit_code == 0
    line = "boss-workflow: {workload: true}   # simulated"
    assert file.read_text() == _STACK.replace(line, line.replace("{", "{pack: v2, "))
    said = json.loads(done.stdout)
    assert (said["from"], said["to"], said["written"]) == ("v1", "v2", True)
    [change] = [change for change in said["changes"] if change["kind"] == "alerts"]
    assert change["names"] == ["boss-workflow/HighErrorRate"]
    assert change["edits"] == [{"name": "threshold", "old": ["0.05"], "new": ["0.02"]}]


def test_a_person_sees_the_line_and_what_it_does(file: Path) -> None:
    done = _run("boss-workflow", "v2", "--to", "staging", "--dry-run")
    assert "+    boss-workflow: {pack: v2, workload: true}   # simulated" in done.stdout
    assert "threshold 0.05 → 0.02" in done.stdout
    assert done.stdout.endswith("Pulumi.staging.yaml: not written\n")
    assert file.read_text() == _STACK


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{pack: v1, workload: true}", "{pack: v2, workload: true}"),
        ("{workload: true, pack: 'v1'}", "{workload: true, pack: v2}"),
        ("\n      workload: true", "\n      pack: v2\n      workload: true"),
        ("\n      workload: true\n      pack: v1  # for now", "\n      workload: true\n      pack: v2  # for now"),
    ],
)
def test_whatever_way_a_system_is_written(file: Path, before: str, after: str) -> None:
    file.write_text(_STACK.replace("{workload: true}", before))
    assert _run("rules/boss-workflow", "v2", "--to", "staging").exit_code == 0
    assert file.read_text() == _STACK.replace("{workload: true}", after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "  watchstack:packs: {platform: v2}\n"),
        ("  watchstack:packs: {logs: v1}\n", "  watchstack:packs: {platform: v2, logs: v1}\n"),
        ("  watchstack:packs:\n    platform: v1\n", "  watchstack:packs:\n    platform: v2\n"),
    ],
)
def test_a_pack_of_every_environment_stands_below_packs(file: Path, before: str, after: str) -> None:
    head, config, rest = _STACK.partition("config:\n")
    file.write_text(f"{head}{config}{before}{rest}")
    done = _run("rules/platform", "v2", "--to", "staging")
    assert done.exit_code == 0, done.output
    assert file.read_text() == f"{head}{config}{after}{rest}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("rules/boss-workflw", "v2", "--to", "staging"),
            "rules/boss-workflw: no such pack; did you mean boss-workflow?",
        ),
        (("rules/boss-workflow", "v3", "--to", "staging"), "no version 'v3' of this pack; there is v1, v2"),
        (("rules/boss-workflow", "v2", "--to", "stagin"), "no stack file Pulumi.stagin.yaml; did you mean staging?"),
        (("rules/boss-workflow", "v1", "--to", "staging"), "staging has rules/boss-workflow v1 already"),
        (("rules/lmmc", "v1", "--to", "staging"), "staging has no pack lmmc; known: boss-workflow, containers,"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(file: Path, arguments: tuple[str, ...], said: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert file.read_text() == _STACK


def test_a_version_with_which_there_is_no_plan_is_not_written(file: Path) -> None:
    override = "  watchstack:override: {boss-workflow/RedisErrors: {for: 9m, because: It is slow here.}}\n"
    file.write_text(_STACK + override)
    path = rules.DIRECTORY / "boss-workflow" / "v2" / "alerts.yml"
    path.write_text(path.read_text().replace("alert: RedisErrors", "alert: CacheErrors"))
    done = _run("rules/boss-workflow", "v2", "--to", "staging")
    assert done.exit_code == 2
    assert "Pulumi.staging.yaml:9: watchstack:override.boss-workflow/RedisErrors" in done.stderr
    assert file.read_text() == _STACK + override


def test_a_value_that_stands_for_others_too_is_left_to_a_person(file: Path) -> None:
    text = _STACK.replace("{workload: true}", "{workload: true, pack: *one}")
    text = text.replace("config:\n", "config:\n  watchstack:packs: {platform: &one v1}\n")
    file.write_text(text)
    done = _run("rules/boss-workflow", "v2", "--to", "staging")
    assert done.exit_code == 2
    assert "watchstack:systems.boss-workflow.pack: cannot be changed by itself; write v2 there by hand" in done.stderr
    assert file.read_text() == text
