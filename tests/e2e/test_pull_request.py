"""What the workflows call for a pull request, run as they call it: a test stack comes, is proven, and goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.environments import clone

pytestmark = pytest.mark.e2e


def _run(root: Path, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(root), "PULUMI_HOME": str(root / ".pulumi-home")}
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _git(root: Path, *arguments: str) -> None:
    own = ("git", "-C", root, "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run((*own, *arguments), check=True, capture_output=True)


def test_a_pull_request_is_reviewed_gets_a_test_stack_and_leaves_nothing(tmp_path: Path) -> None:
    root, out = clone(tmp_path), tmp_path / "out"
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "as it is")
    board = root / "dashboards" / "boss_workflow.py"
    board.write_text(board.read_text().replace("Requests a second by route template.", "Requests, by route."))

    _run(root, "ci.review", "--base", "main", "--out", str(out), "-e", "local")
    comment = (out / "comment.md").read_text()
    assert "| `local` | passed |" in comment
    assert (
        "- `boss-workflow/HTTP Request Rate`: says `Requests a second by route template.` → `Requests, by route.`"
        in comment
    )
    assert "<code>pulumi preview</code> of local" in comment
    assert "pulumi:pulumi:Stack" in (out / "preview-local.txt").read_text()

    try:
        said = _run(root, "ci.test_stack", "up", "7", "--out", str(out))
        assert "selftest of pr-7" in said
        assert "drill of pr-7" in said
        assert "failed" not in said
        assert (out / "pictures" / "boss-workflow.html").is_file()
    finally:
        said = _run(root, "ci.test_stack", "down", "7")
    assert "nothing is left of environment pr-7" in said
    assert not (root / "stacks" / "env" / "Pulumi.pr-7.yaml").exists()
    assert not (root / ".watchstack" / "run" / "pr-7").exists()
    assert json.loads((out / "diff.json").read_text())["touches_production"] == []
