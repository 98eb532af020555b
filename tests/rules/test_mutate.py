"""The tests of the packs notice mistakes in their rules."""

import json
import sys
from pathlib import Path

import pytest

from rules import mutate, promtool
from stacks.strict import Refused

pytestmark = pytest.mark.e2e

WEAK = Path(__file__).parent / "weak"


def test_every_pack_kills_nine_of_ten_of_its_mutants() -> None:
    homes = promtool.homes()
    scores = mutate.scores(homes)
    assert [score.pack for score in scores] == [home.parent.name for home in homes]
    assert all(score.mutants > 50 for score in scores)
    assert [score for score in scores if score.share < mutate.LEAST_KILLED] == []
    # What stands beside an expression, all tests see: a dropped wait, another severity, a renamed label.
    assert [left for score in scores for left in score.survivors if " in `" not in left] == []
    assert sum(score.killed for score in scores) >= mutate.LEAST_KILLED * sum(score.mutants for score in scores)


def test_what_weak_tests_do_not_notice_survives_with_file_and_line() -> None:
    [score] = mutate.scores(promtool.homes(directory=WEAK))
    assert score.mutants == 16
    assert list(score.survivors) == [
        "rules/shop/v1/alerts.yml:13: NoOrders: < is <= in `shop:orders:rate5m < 0.5`",
        "rules/shop/v1/alerts.yml:13: NoOrders: 0.5 is 5 in `shop:orders:rate5m < 0.5`",
        "rules/shop/v1/alerts.yml:14: NoOrders: for: 10m is dropped",
        'rules/shop/v1/alerts.yml:21: ShopDown: job is job_renamed in `up{job="shop"} == 0`',
        'rules/shop/v1/alerts.yml:21: ShopDown: = is != in `up{job="shop"} == 0`',
        'rules/shop/v1/alerts.yml:21: ShopDown: == is != in `up{job="shop"} == 0`',
        "rules/shop/v1/alerts.yml:24: ShopDown: label severity is severity_renamed",
        "rules/shop/v1/alerts.yml:24: ShopDown: severity critical is warning",
        "rules/shop/v1/untested.yml:7: shop:targets:count: label system is system_renamed",
    ]


def test_tests_that_fail_without_a_mutant_judge_nothing(tmp_path: Path) -> None:
    home = tmp_path / "shop" / "v1"
    home.mkdir(parents=True)
    for file in (WEAK / "shop" / "v1").iterdir():
        (home / file.name).write_text(file.read_text().replace("0.5", "0.05"))
    with pytest.raises(Refused, match=r"^rules/shop/v1/alerts.yml:\d+: shop:orders:rate5m: its tests fail without"):
        mutate.scores(promtool.homes(directory=tmp_path))


def test_too_many_survivors_are_told_and_exit_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = promtool.homes
    monkeypatch.setattr(promtool, "homes", lambda names: homes(names, WEAK))
    monkeypatch.setattr(sys, "argv", ["mutate", "shop"])
    assert mutate.main() == 1
    said = capsys.readouterr().out
    assert "43.8%" in said
    assert "survived: rules/shop/v1/alerts.yml:14: NoOrders: for: 10m is dropped" in said


def test_a_pack_is_mutated_alone_and_answers_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mutate", "lmmc", "--json"])
    assert mutate.main() == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["pack"], row["killed"] + len(row["survivors"])) == ("lmmc", row["mutants"])


def test_a_pack_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mutate", "platfrom"])
    assert mutate.main() == 2
    assert capsys.readouterr().err == "platfrom: no pack with rules for Prometheus; did you mean platform?\n"
