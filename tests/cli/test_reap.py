"""Which environments `./watchstack reap` takes down, by what their states say; e2e/test_reap.py takes one down."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import reap
from cli.app import app
from toolchain import pulumi

NOW = datetime.now(UTC)


def _stack(name: str, hours_ago: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "lastUpdate": (NOW - timedelta(hours=hours_ago)).isoformat(),
        "updateInProgress": False,
        **more,
    }


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend with an environment of each kind."""
    stacks = [
        _stack("pr-1", 9),
        _stack("pr-2", 7),
        _stack("pr-3", 9, updateInProgress=True),
        _stack("prod", 9000),
        _stack("turned", 9000),
        {"name": "empty"},
    ]
    said: dict[str, Any] = {
        **{name: {"lifecycle": "ephemeral", "target": "local", "ttl": "8h"} for name in ("pr-1", "pr-2", "pr-3")},
        "prod": {"lifecycle": "durable", "target": "kubernetes", "ttl": ""},
        "turned": {"lifecycle": "durable", "target": "docker", "ttl": "8h"},
    }
    monkeypatch.setattr(pulumi, "environment", dict)
    monkeypatch.setattr(pulumi, "listed", lambda _env: stacks)
    monkeypatch.setattr(pulumi, "outputs", lambda name, _env: {"lifetime": said[name]} if name in said else {})


@pytest.mark.usefixtures("backend")
def test_only_what_is_over_is_to_go_and_what_is_durable_never_is() -> None:
    done = CliRunner().invoke(app, ["reap", "--dry-run", "--json"])
    assert done.exit_code == 0
    found = {life["environment"]: life["state"] for life in json.loads(done.stdout)["environments"]}
    assert found == {"pr-1": "over", "pr-2": "alive", "pr-3": "busy", "turned": "durable"}


@pytest.mark.usefixtures("backend")
def test_what_could_not_be_taken_down_is_told_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def failed(life: reap.Life, _env: object) -> reap.Life:
        asked.append(life.environment)
        return reap.Life(
            environment=life.environment, ttl=life.ttl, ends=life.ends, state="failed", detail="held by ana"
        )

    monkeypatch.setattr(reap, "_taken_down", failed)
    done = CliRunner().invoke(app, ["reap"])
    assert done.exit_code == 1
    assert asked == ["pr-1"]
    assert "held by ana" in done.stdout


def test_a_backend_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_env: object) -> list[dict[str, Any]]:
        raise pulumi.StackRefused("the backend does not list its stacks: no login")

    monkeypatch.setattr(pulumi, "environment", dict)
    monkeypatch.setattr(pulumi, "listed", silent)
    done = CliRunner().invoke(app, ["reap", "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"refused": ["the backend does not list its stacks: no login"]}
