"""`./watchstack reap`: take down the environments whose time is over."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from cli.common import AsJson, answer, console, refusals, waiting
from stacks import settings
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.targets import live
from stacks.units import seconds
from toolchain import pulumi

ROOT = Path(__file__).resolve().parents[1]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which they are.")]


@dataclass(frozen=True, kw_only=True)
class Life:
    """An environment with a time to live. `detail` is what is left of it, or why it could not be taken down."""

    environment: str
    ttl: str
    ends: str
    state: Literal["alive", "busy", "durable", "over", "removed", "failed"]
    detail: str = ""


def reap(dry_run: DryRun = False, json: AsJson = False) -> None:
    """Take down every environment of the backend whose `watchstack:ttl` is over. Exit 1 if one could not be."""
    with refusals(as_json=json):
        try:
            env = pulumi.environment()
            with waiting("asking the backend", quiet=json):
                found = list(_lives(env, datetime.now(UTC)))
        except pulumi.StackRefused as refused:
            raise Refused(str(refused)) from None
        if not dry_run:
            with waiting("taking down what is over", quiet=json):
                found = [_taken_down(life, env) if life.state == "over" else life for life in found]
    if json:
        answer({"environments": [asdict(life) for life in found]})
    else:
        _print(found)
    if any(life.state == "failed" for life in found):
        raise typer.Exit(1)


def _lives(env: Mapping[str, str], now: datetime) -> Iterator[Life]:
    """The environments with a time to live, as their states tell: a stack file may be gone before its stack is."""
    for stack in pulumi.listed(env):
        said = pulumi.outputs(stack["name"], env).get("lifetime") or {}
        if said.get("ttl"):
            yield _life(stack, said, now)


def _life(stack: Mapping[str, Any], said: Mapping[str, str], now: datetime) -> Life:
    ends = datetime.fromisoformat(stack["lastUpdate"]) + timedelta(seconds=seconds(said["ttl"]))
    state: Literal["alive", "busy", "durable", "over"] = "over" if now >= ends else "alive"
    if said["lifecycle"] != "ephemeral":
        state = "durable"
    elif stack.get("updateInProgress"):
        state = "busy"
    return Life(environment=stack["name"], ttl=said["ttl"], ends=ends.isoformat(timespec="seconds"), state=state)


def _taken_down(life: Life, env: Mapping[str, str]) -> Life:
    """The environment destroyed and its stack removed, and an audit of what is left of it."""
    pulumi.revive(life.environment, env)
    known = _settings(life.environment)
    words = ["-m", "toolchain.pulumi", life.environment, "--", "destroy", "--yes", "--skip-preview", "--remove"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    fate = {**asdict(life), "state": "removed"}
    if done.returncode:
        return Life(**{**fate, "state": "failed", "detail": f"{done.stdout}{done.stderr}".strip()})
    if known is None:
        return Life(**{**fate, "detail": "not audited: nothing is known of its target"})
    left = live.left(known)
    return Life(**{**fate, "state": "failed" if left else "removed", "detail": "; ".join(left)})


def _settings(environment: str) -> Settings | None:
    """Those of its stack file, or of the copy of one that is gone; None if neither can be used."""
    own = settings.stack_file(environment)
    copy = ROOT / ".watchstack" / "env" / own.name
    try:
        return settings.from_stack_file(own if own.exists() else copy, environment)
    except Refused:
        return None


def _print(found: list[Life]) -> None:
    table = Table("environment", "ttl", "ends", "state", "")
    for life in found:
        table.add_row(life.environment, life.ttl, life.ends, life.state, escape(life.detail))
    console.print(table if found else "no environment has a time to live")
