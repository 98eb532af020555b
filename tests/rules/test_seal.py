"""A version of a pack is what it was when it was made: a change is a new version."""

from pathlib import Path

import pytest
import yaml

import rules
from rules import seal

PACKS = sorted(path.parent for path in rules.DIRECTORY.glob("*/v*/pack.yaml"))
RULES = "groups: [{name: shop, rules: [{alert: Broken, expr: up == 0}]}]\n"
# As a person writes it: order, quotes and comments stay when it is sealed.
PACK = """\
# A shop.
version: 1.0.0
pack: shop
summary: A shop.
files: {alerts.yml: {}}
changes:
  - version: 1.0.0
    change: "First."
"""


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack that was just sealed."""
    home = tmp_path / "shop" / "v1"
    home.mkdir(parents=True)
    (home / "alerts.yml").write_text(RULES)
    (home / "pack.yaml").write_text(PACK)
    monkeypatch.setattr(seal, "DIRECTORY", tmp_path)
    assert seal.main() == 0
    return home


@pytest.mark.parametrize("home", PACKS, ids=lambda home: f"{home.parent.name}-{home.name}")
def test_the_rules_of_a_pack_are_those_of_its_version(home: Path) -> None:
    assert seal.unsealed(home) == ""


def test_sealing_adds_one_line_and_no_other_change(home: Path) -> None:
    text = (home / "pack.yaml").read_text()
    [line] = [line for line in text.splitlines() if "content:" in line]
    assert text.replace(f"{line}\n", "") == PACK
    assert yaml.safe_load(text)["changes"][0]["content"] == rules.content(home)


def test_changed_rules_without_a_new_version_are_refused_and_stay_unsealed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (home / "pack.yaml").read_text()
    (home / "alerts.yml").write_text(RULES.replace("== 0", "== 1"))
    assert seal.main() == 1
    said = "rules/shop/v1/pack.yaml: the rules are not those of 1.0.0 any more; raise the version and add a change\n"
    assert capsys.readouterr().err == said
    assert (home / "pack.yaml").read_text() == before


def test_a_new_version_needs_a_change_and_is_then_sealed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "alerts.yml").write_text(RULES.replace("== 0", "== 1"))
    text = (home / "pack.yaml").read_text().replace("version: 1.0.0\npack", "version: 1.1.0\npack")
    (home / "pack.yaml").write_text(text)
    assert seal.main() == 1
    assert "version is 1.1.0, and the newest change is of 1.0.0; add a change for it" in capsys.readouterr().err
    (home / "pack.yaml").write_text(text.replace("changes:\n", "changes:\n  - version: 1.1.0\n    change: More.\n"))
    assert seal.main() == 0
    assert rules.manifest(home).changes[0].content == rules.content(home)


def test_a_threshold_is_part_of_the_content(home: Path) -> None:
    before = rules.content(home)
    declared = "thresholds: {Broken: {value: 0, unit: up, meaning: down}}\n"
    (home / "pack.yaml").write_text((home / "pack.yaml").read_text() + declared)
    assert rules.content(home) != before
