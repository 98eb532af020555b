"""Validation names what is wrong, and does not repeat what passed while nothing has changed that decides."""

import shutil
from pathlib import Path

import pytest

from rules import DIRECTORY, promtool, validate
from stacks.strict import Refused
from toolchain import programs

pytestmark = pytest.mark.e2e


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a pack whose tests read a rule file of another one, and a cache that remembers nothing."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "tools").symlink_to(programs.cache() / "tools")
    monkeypatch.setenv("WATCHSTACK_CACHE", str(cache))
    for pack in ("tdd-project", "platform"):
        shutil.copytree(DIRECTORY / pack, tmp_path / "rules" / pack)
    return tmp_path / "rules" / "tdd-project" / "v1"


def judged(home: Path) -> dict[str, str]:
    """The files that were judged now, by name, with their problems; the others passed before."""
    verdicts = list(validate.verdicts([home]))
    assert {verdict.file.name for verdict in verdicts} == {path.name for path in home.glob("*.yml")}
    return {verdict.file.name: verdict.problem for verdict in verdicts if not verdict.remembered}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_what_passed_is_not_judged_again(home: Path) -> None:
    assert set(judged(home).values()) == {""}
    assert judged(home) == {}


def test_after_an_edit_of_a_rule_file_it_and_its_tests_are_judged(home: Path) -> None:
    judged(home)
    append(home / "host_alerts.yml", "# Edited.\n")
    assert judged(home) == {"host_alerts.yml": "", "host_alerts.test.yml": ""}


def test_after_an_edit_of_a_test_file_it_alone_is_judged(home: Path) -> None:
    judged(home)
    append(home / "host_alerts.test.yml", "# Edited.\n")
    assert judged(home) == {"host_alerts.test.yml": ""}


def test_a_rule_file_of_another_pack_decides_too(home: Path) -> None:
    judged(home)
    append(home.parents[1] / "platform" / "v1" / "node.yml", "# Edited.\n")
    assert judged(home) == {"host_alerts.test.yml": ""}


def test_a_failed_test_is_told_each_time(home: Path) -> None:
    path = home / "host_alerts.yml"
    path.write_text(path.read_text().replace("> 90", "> 9"))
    for _ in range(2):
        found = judged(home)
        assert "alertname: MemoryUsageHigh, time:" in found["host_alerts.test.yml"]
    assert set(found) == {"host_alerts.test.yml"}


def test_what_the_linter_says_names_the_file_as_it_is_written(home: Path) -> None:
    path = home / "host_alerts.yml"
    path.write_text(path.read_text().replace("> 90", ">> 90"))
    problem = judged(home)["host_alerts.yml"]
    assert "rules/tdd-project/v1/host_alerts.yml: " in problem
    assert "unexpected <op:>>" in problem
    # The other files of the pack are in order, though one call linted them all.
    assert set(judged(home)) == {"host_alerts.yml", "host_alerts.test.yml"}


def test_a_rule_that_is_there_twice_is_a_problem(home: Path) -> None:
    path = home / "host_alerts.yml"
    twice = '      - record: tdd:memory_usage:percent\n        expr: "1"\n        labels: {system: tdd-project}\n'
    append(path, twice)
    append(path, twice)
    assert "duplicate rule(s) found" in judged(home)["host_alerts.yml"]


def test_a_rule_file_that_is_not_there_is_refused(home: Path) -> None:
    """promtool warns, and passes the tests that do without it."""
    (home.parents[1] / "platform" / "v1" / "node.yml").unlink()
    with pytest.raises(Refused, match=r"^rules/platform/v1/node\.yml: no such file; host_alerts\.test\.yml names it$"):
        judged(home)
    (home / "host_alerts.yml").unlink()
    with pytest.raises(Refused, match=r"^rules/tdd-project/v1/host_alerts\.yml: no such file; pack\.yaml names it$"):
        judged(home)


def test_packs_are_chosen_by_name() -> None:
    assert [home.parent.name for home in promtool.homes(["platform", "lmmc"])] == ["lmmc", "platform"]
