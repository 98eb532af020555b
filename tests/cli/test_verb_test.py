"""`./watchstack test` on packs that pass and on one that does not."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from rules import promtool

pytestmark = pytest.mark.e2e

SHOP = Path(__file__).parents[1] / "rules" / "weak" / "shop" / "v1"


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only pack there is: a shop."""
    home = tmp_path / "shop" / "v1"
    home.mkdir(parents=True)
    for file in SHOP.iterdir():
        (home / file.name).write_text(file.read_text())
    homes = promtool.homes
    monkeypatch.setattr(promtool, "homes", lambda names: homes(names, tmp_path))
    return home


def test_a_pack_whose_tests_pass_exits_with_0(home: Path) -> None:
    assert home.is_dir()
    done = CliRunner().invoke(app, ["test"])
    assert done.exit_code == 0
    [row] = [line for line in done.stdout.splitlines() if "shop" in line]
    assert "passed" in row
    assert "failed" not in done.stdout


def test_a_failed_test_is_told_under_the_table_and_exits_with_1(home: Path) -> None:
    rules = home / "alerts.yml"
    rules.write_text(rules.read_text().replace("< 0.5", "< 0.05"))
    done = CliRunner().invoke(app, ["test", "shop"])
    assert done.exit_code == 1
    assert "rules/shop/v1/alerts.test.yml" in done.stdout
    assert "alertname: NoOrders, time: 30m" in done.stdout


def test_each_file_is_told_in_json(home: Path) -> None:
    (home / "untested.yml").write_text("groups: []\nmore: 1\n")
    done = CliRunner().invoke(app, ["test", "--json"])
    assert done.exit_code == 1
    files = {file["file"]: file for file in json.loads(done.stdout)["files"]}
    assert files.keys() == {f"rules/shop/v1/{name}.yml" for name in ("alerts", "alerts.test", "untested")}
    assert "rules/shop/v1/untested.yml: yaml: unmarshal errors" in files["rules/shop/v1/untested.yml"]["problem"]
    assert files["rules/shop/v1/alerts.test.yml"]["problem"] == ""
