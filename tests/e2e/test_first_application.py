"""The way of a newcomer: the commands of docs/first-application.md, as they stand there, in a scratch clone."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

from e2e.environments import clone

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "first-application.md"
SECONDS = 600


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_an_application_that_nobody_has_seen_is_watched_in_ten_minutes(tmp_path: Path) -> None:
    copy = clone(tmp_path)
    [application] = _blocks("python")
    (copy / "shop.py").write_text(application)
    # The Python environment is there already.
    for name in ("requirements.txt", "requirements-dev.txt"):
        os.utime(copy / name, (0, 0))
    environment = {**os.environ, "PULUMI_HOME": str(tmp_path / "pulumi-home")}
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PYTHONPATH"):
        environment.pop(name, None)
    started = time.monotonic()
    try:
        said = _run("\n".join(_blocks("sh")), copy, environment)
    finally:
        _end(copy)
        if (copy / ".watchstack").exists():
            _run("make down ENV=shop || true", copy, environment)
    seconds = time.monotonic() - started
    assert re.search(r'"ShopDown".*"firing"', said)
    assert re.search(r'"path": ?"/webhook"', said)
    assert seconds < SECONDS
    assert not (copy / ".watchstack").exists()
    alerts = yaml.safe_load((copy / "rules" / "shop" / "v1" / "errors.yml").read_text())["groups"][0]["rules"]
    assert alerts[-1]["alert"] == "ShopHighErrorRate"


def _run(script: str, copy: Path, environment: dict[str, str]) -> str:
    """What it says, by way of a file: what it starts may outlive it, and would hold a pipe open."""
    said = copy.parent / "said"
    with said.open("w") as out:
        done = subprocess.run(
            ["/bin/sh", "-ec", script],
            cwd=copy,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, said.read_text()
    return said.read_text()


def _end(copy: Path) -> None:
    """The application, if the commands of the page did not come to that."""
    pid = int((copy / "shop.pid").read_text())
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGTERM)
