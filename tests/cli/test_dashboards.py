"""./watchstack dashboards diff against a small server that speaks Grafana's HTTP API: Grafana itself is not needed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import served
from typer.testing import CliRunner, Result

from cli.app import app
from stacks import plan, settings
from stacks.services import grafana
from stacks.targets import live

STACK = Path(__file__).parents[1] / "stacks" / "good" / "least.yaml"
PASSWORD = "a generated one"  # noqa: S105 - of this test

Json = dict[str, Any]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dashboards", "diff", "-e", "test", *arguments])


def _deployed() -> dict[str, tuple[str, Json]]:
    """Folder and model of each dashboard, as Grafana got them."""
    made = plan.make(settings.from_stack_file(STACK, "test", {}), {})
    return {each.uid: (each.folder, json.loads(each.text)) for each in made.dashboards}


def _api(boards: dict[str, tuple[str, Json]]) -> Callable[[str], tuple[int, Any]]:
    def answers(path: str) -> tuple[int, Any]:
        if path.startswith("/api/search?"):
            return 200, [{"uid": uid, "title": m["title"], "folderTitle": f} for uid, (f, m) in boards.items()]
        uid = path.removeprefix("/api/dashboards/uid/")
        if uid not in boards:
            return 404, {"message": "Dashboard not found"}
        return 200, {"meta": {"provisioned": True}, "dashboard": boards[uid][1] | {"id": 1, "version": 4}}

    return answers


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the environment `test` one whose Grafana is on this port."""
    secret = tmp_path / "home" / "grafana" / "secrets" / grafana.PASSWORD
    secret.parent.mkdir(parents=True)
    secret.write_text(PASSWORD)
    (tmp_path / "Pulumi.test.yaml").write_text(STACK.read_text())
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    monkeypatch.setattr("cli.common.missing", lambda _target: {})
    monkeypatch.setattr(live, "home", lambda _: tmp_path / "home")

    def on(port: int) -> None:
        monkeypatch.setattr("stacks.plan.Plan.url", lambda *_: f"http://127.0.0.1:{port}")

    return on


def test_dashboards_as_the_code_says_are_no_difference(environment: Callable[[int], None]) -> None:
    with served(_api(_deployed()), PASSWORD) as port:
        environment(port)
        done = _run()
    assert done.exit_code == 0, done.output
    assert "dashboards are in Grafana as the code says" in done.output


def test_every_edit_is_told_and_exits_with_1(environment: Callable[[int], None]) -> None:
    boards = _deployed()
    folder, edited = boards["boss-workflow"]
    edited["panels"][0]["fieldConfig"]["defaults"]["unit"] = "short"
    boards["boss-workflow"] = ("Mine", edited)
    boards["copy"] = (folder, edited | {"uid": "copy"})
    del boards["stack-health"]
    with served(_api(boards), PASSWORD) as port:
        environment(port)
        done, machine = _run(), _run("--json")
    assert done.exit_code == machine.exit_code == 1
    assert "~ boss-workflow/HTTP Request Rate: unit\n    code    reqps\n    Grafana short\n" in done.output
    assert "- stack-health removed in Grafana" in done.output
    told = [(each["dashboard"], each["change"], each["what"]) for each in json.loads(machine.stdout)["changes"]]
    assert sorted(told) == [
        ("boss-workflow", "changed", "folder"),
        ("boss-workflow", "changed", "unit"),
        ("copy", "added", ""),
        ("stack-health", "removed", ""),
    ]


def test_another_password_is_refused(environment: Callable[[int], None]) -> None:
    with served(_api({}), "another") as port:
        environment(port)
        done = _run()
    assert done.exit_code == 2
    assert "/api/search: 401" in done.stderr
    assert PASSWORD not in done.output


def test_a_grafana_that_is_down_is_refused(environment: Callable[[int], None]) -> None:
    with served(_api({})) as port:
        environment(port)
    done = _run()
    assert done.exit_code == 2
    assert "does not answer" in done.stderr


def test_an_environment_without_grafana_says_so(
    environment: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(1)
    monkeypatch.setattr("cli.common.missing", lambda _target: {"grafana": "not installed"})
    done = _run()
    assert done.exit_code == 2
    assert "there is no Grafana in test to compare with: not installed" in done.stderr
    switched_off = _run("-c", 'watchstack:grafana={"enabled": false}')
    assert switched_off.exit_code == 2
    assert "watchstack:grafana.enabled is false" in switched_off.stderr
