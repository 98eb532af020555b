"""A stack of a little program, by the commands of Pulumi, with the stand-ins for its plugins."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolchain import pulumi

_TESTS = Path(__file__).parent.parent
_SECONDS = 180


@contextmanager
def served(standin: str, **variables: str) -> Iterator[int]:
    """The port of a stand-in, which ends cleanly when it is told to."""
    command = [sys.executable, "-m", f"standins.{standin}"]
    own = {**os.environ, **variables}
    with subprocess.Popen(command, cwd=_TESTS, env=own, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0


class Stack:
    """The stack of a program that reads one object of settings. Those of `base` are set where a command has others."""

    def __init__(self, directory: Path, program: Path, base: Mapping[str, Any], **ports: int) -> None:
        self.directory = directory / "program"
        self.base = base
        shutil.copytree(program, self.directory)
        (directory / "state").mkdir()
        own = {
            "PULUMI_BACKEND_URL": (directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "a test",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in ports.items()),
            "PULUMI_HOME": str(directory / "home"),
        }
        self.environment = pulumi.environment(base={**os.environ, **own})
        self.run("stack", "init", "test")

    def run(self, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],  # noqa: S607
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set(self, **settings: Any) -> None:
        self.run("config", "set", "--stack", "test", "settings", json.dumps({**self.base, **settings}))

    def up(self, *arguments: str, fails: bool = False, **settings: Any) -> str:
        self.set(**settings)
        return self.run("up", "--yes", "--skip-preview", "--stack", "test", *arguments, fails=fails)

    def changes(self, **settings: Any) -> dict[str, str]:
        """The operation on each resource that a preview has a change for, by its name."""
        self.set(**settings)
        steps = json.loads(self.run("preview", "--json", "--stack", "test"))["steps"]
        found = {step["urn"].rpartition("::")[2]: step["op"] for step in steps if "Stack::" not in step["urn"]}
        return {name: op for name, op in found.items() if op != "same"}

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.run("stack", "output", "--json", "--stack", "test")))

    def state(self) -> str:
        return self.run("stack", "export", "--stack", "test")
