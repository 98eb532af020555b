"""The rule packs in the program that will load them."""

import re
from pathlib import Path

import pytest
import yaml

from rules import DIRECTORY, promtool, validate

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
# Rules that are made of objectives, as files.
OBJECTIVES = Path(__file__).parent / "objectives"
PROMQL = re.compile(r"^```promql\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def test_promtool_finds_no_fault_with_any_rule_file_and_every_unit_test_passes() -> None:
    verdicts = list(validate.verdicts(promtool.homes()))
    assert [f"{verdict.file}: {verdict.problem}" for verdict in verdicts if verdict.problem] == []
    files = {DIRECTORY / verdict.file for verdict in verdicts}
    assert set(DIRECTORY.glob("*/v*/*.yml")) - files == set(DIRECTORY.glob("logs/v*/*.yml"))


def test_the_rules_of_objectives_alert_record_and_stay_silent_as_their_tests_say() -> None:
    tests = sorted(OBJECTIVES.glob("*.test.yml"))
    files = sorted(set(OBJECTIVES.glob("*.yml")) - set(tests))
    assert len(tests) > len(files) > 0
    assert set(promtool.lint(files).values()) == {""}
    assert promtool.test(tests) == dict.fromkeys(tests, "")


def test_every_query_of_a_runbook_page_is_promql(tmp_path: Path) -> None:
    groups = []
    for page in sorted((ROOT / "docs" / "runbooks").glob("*.md")):
        queries = [query for block in PROMQL.findall(page.read_text()) for query in block.splitlines()]
        groups.append(
            {
                "name": page.stem,
                "rules": [{"record": f"{page.stem}:{n}", "expr": query} for n, query in enumerate(queries)],
            }
        )
    assert sum(len(group["rules"]) for group in groups) > len(groups)
    (tmp_path / "runbooks.yml").write_text(yaml.safe_dump({"groups": groups}))
    assert promtool.lint([tmp_path / "runbooks.yml"]) == {tmp_path / "runbooks.yml": ""}
