"""The workflows call the scripts that are tested here, with as few rights as they need."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins import demand

from toolchain import programs
from toolchain.versions import table

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, ROOT / ".github" / "actions" / "tools" / "action.yml"]
GITLAB = ROOT / "docs" / "ci" / "gitlab.yml"


def _read(file: Path) -> Any:
    # In YAML 1.1 the key `on` is true.
    return yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but text


@pytest.mark.e2e
def test_actionlint_has_nothing_against_them() -> None:
    demand.require(["actionlint"])
    done = subprocess.run(
        [programs.program("actionlint"), "-no-color", *WORKFLOWS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_commit(file: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.*)", file.read_text())
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_read_and_only_the_comment_may_write(file: Path) -> None:
    workflow = _read(file)
    assert workflow["permissions"] == {"contents": "read"}
    writing = {
        (name, right)
        for name, job in workflow["jobs"].items()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    }
    assert writing == ({("review", "pull-requests")} if file.stem == "pull-request" else set())


def test_code_of_a_fork_gets_no_token() -> None:
    workflow = _read(ROOT / ".github" / "workflows" / "pull-request.yml")
    assert list(workflow["on"]) == ["pull_request"]
    assert all(
        step["with"]["persist-credentials"] == "false"
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    )


def test_no_workflow_pastes_what_others_wrote_into_a_script() -> None:
    scripts = [
        step["run"]
        for file in WORKFLOWS
        for job in _read(file)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert [script for script in scripts if "${{" in script] == []


def test_environments_are_deployed_one_after_the_other() -> None:
    jobs = _read(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    assert {name: (job.get("needs"), job["environment"]) for name, job in jobs.items()} == {
        "dev": (None, "dev"),
        "staging": ("dev", "staging"),
        "prod": ("staging", "prod"),
    }
    gitlab = _read(GITLAB)
    assert [name for name in gitlab["stages"] if gitlab[name].get("extends") == ".deploy"] == ["dev", "staging", "prod"]
    assert (gitlab["staging"]["needs"], gitlab["prod"]["needs"]) == (["dev"], ["staging"])


@pytest.mark.parametrize("file", [*WORKFLOWS, GITLAB], ids=lambda file: file.name)
def test_every_script_that_is_called_is_there(file: Path) -> None:
    called = re.findall(r"python -m (ci\.\w+)", file.read_text())
    assert called
    assert [module for module in called if find_spec(module) is None] == []


def test_the_engine_is_the_pinned_one() -> None:
    action = _read(FILES[-1])
    [step] = [step for step in action["runs"]["steps"] if step.get("uses", "").startswith("pulumi/actions@")]
    assert step["with"] == {"pulumi-version": table()["pulumi"].version}
