"""Environments of a scratch clone, brought up by the real engine with the real programs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from standins.rehearse import written
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stacks.targets.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
_LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv", ".watchstack", "__pycache__", ".*_cache")

# Offsets that no shipped environment uses, and whose ports meet nobody's.
OFFSETS = {"one": 12000, "two": 14000, "many": 16500, "remote": 17300, "long": 21000}
# Of environments in containers: what they publish.
CONTAINED = {"contained": 18700, "faulty": 18500, "edited": 19500, "machines": 23300, "systems": 22900}

# Targets of few series, asked every two seconds, for a day on little disk.
SMALL = {
    "scrape_interval": "2s",
    "evaluation_interval": "2s",
    "series_per_target": 100,
    "retention": "1d",
    "volume": "512MB",
}

# Two Prometheus for whom nobody has to wait, for an hour on little disk.
PAIR = {
    "replicas": 2,
    "scrape_interval": "1s",
    "evaluation_interval": "1s",
    "volume": "256MB",
    "retention": "1h",
}

# For environments of simulated systems: five minutes are five seconds, and ranges four scrapes.
FAST_FORWARD = 60


def clone(directory: Path) -> Path:
    """A copy of the working tree, so that a test may edit rules and profiles."""
    copy = directory / "clone"
    shutil.copytree(ROOT, copy, ignore=_LEFT_BEHIND)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


@dataclass(frozen=True)
class Environment:
    """`changes` go to Pulumi and to ./watchstack as `-c`, `variables` join their environment."""

    name: str
    clone: Path
    changes: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def stack_file(self) -> Path:
        """What it is written in."""
        return self.clone / "stacks" / "env" / f"Pulumi.{self.name}.yaml"

    @property
    def offset(self) -> int:
        found: int = yaml.safe_load(self.stack_file.read_text())["config"]["watchstack:port_offset"]
        return found

    def hasten(self, **settings: Any) -> None:
        """The shipped stack file, asked every two seconds, with these settings over it."""
        config = {f"watchstack:{key}": value for key, value in self.shipped.items()}
        config["watchstack:prometheus"] |= SMALL
        for key, value in settings.items():
            name = f"watchstack:{key}"
            config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
        self.stack_file.write_text(yaml.safe_dump({"config": config}))

    @property
    def shipped(self) -> dict[str, Any]:
        """What the stack file that is shipped says."""
        return written(ROOT / "stacks" / "env" / self.stack_file.name)

    @property
    def settings(self) -> dict[str, Any]:
        """What its stack file says now."""
        return written(self.stack_file)

    def set(self, settings: Mapping[str, Any]) -> None:
        """Say this in its stack file."""
        self.stack_file.write_text(
            yaml.safe_dump({"config": {f"watchstack:{key}": each for key, each in settings.items()}})
        )

    def write(self, **settings: Any) -> None:
        """Its stack file: Boss Workflow simulated, asked every two seconds."""
        config = {
            "target": "local",
            "lifecycle": "ephemeral",
            "port_offset": (OFFSETS | CONTAINED)[self.name],
            "systems": {"boss-workflow": {"workload": True}},
            "prometheus": SMALL,
            "loki": {"retention": "24h", "volume": "512MB"},
            "jaeger": {"retention": "24h", "volume": "512MB"},
            "secrets": {"discord-webhook": {"capture": "discord"}, "heartbeat": {"capture": "heartbeat"}},
            **settings,
        }
        self.set(config)

    @property
    def home(self) -> Path:
        return self.clone / ".watchstack" / "run" / self.name

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.home)

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        """Output of a Pulumi command on this environment, both streams together."""
        return self._run("-m", "toolchain.pulumi", self.name, "--", *arguments, check=check)

    def output(self, *arguments: str) -> str:
        """What a Pulumi command writes for machines."""
        return self._run("-m", "toolchain.pulumi", self.name, "--", *arguments, check=True, apart=True)

    def up(self, *arguments: str, check: bool = True, preview: bool = False) -> str:
        """An update; a preview before it costs as much again, and only a few tests look at it."""
        alone = () if preview else ("--skip-preview",)
        return self.pulumi("up", "--yes", *alone, *self._changed(), *arguments, check=check)

    def down(self) -> None:
        self.pulumi("destroy", "--yes", "--remove")

    @contextmanager
    def running(self) -> Iterator["Environment"]:
        """Up for the length of a block."""
        try:
            self.up()
            yield self
        finally:
            self.down()

    def end(self) -> None:
        """Down, and nothing is left."""
        processes = self.supervisor.pids()
        self.down()
        assert not [pid for pid in processes if psutil.pid_exists(pid)]
        assert not self.home.exists()

    def watchstack(self, verb: str, *arguments: str, check: bool = True) -> Any:
        """The JSON answer of a verb of ./watchstack."""
        return json.loads(
            self._run("-m", "cli.app", verb, "-e", self.name, "--json", *self._changed(), *arguments, check=check)
        )

    def _changed(self) -> list[str]:
        return [word for change in self.changes for word in ("-c", f"watchstack:{change}")]

    def pids(self) -> dict[str, int]:
        """Process ids by service."""
        services = self.watchstack("status", check=False)["services"]
        return {service["service"]: int(service["id"]) for service in services}

    def urls(self) -> dict[str, str]:
        """Where this machine reaches each service, published or not."""
        services = self.watchstack("status", check=False)["services"]
        return {one["service"]: str(httpx.URL(one["url"]).copy_with(path="/")).rstrip("/") for one in services}

    def url(self, port: int, path: str) -> str:
        return f"http://127.0.0.1:{port + self.offset}{path}"

    def get(self, port: int, path: str, /, **parameters: str) -> Any:
        return httpx.get(self.url(port, path), params=parameters, trust_env=False, timeout=10).raise_for_status().json()

    def post(self, port: int, path: str, body: object) -> None:
        httpx.post(self.url(port, path), json=body, trust_env=False, timeout=10).raise_for_status()

    def _run(self, *arguments: str, check: bool, apart: bool = False) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.clone)}
        # A test's state is its own, whoever is logged in on this machine.
        for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        environment["PULUMI_HOME"] = str(self.clone / ".pulumi-home")
        environment |= dict(self.variables)
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if "toolchain.pulumi" in arguments and not apart else None,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}")
        return done.stdout


def eventually(seconds: float) -> Retrying:
    """`for attempt in eventually(10): with attempt: assert ...`; `[one] = ...` is waited for as well."""
    return Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.2),
        retry=retry_if_exception_type((AssertionError, ValueError, httpx.HTTPError)),
        reraise=True,
    )
