"""The rule packs in the program that will load them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from toolchain.programs import program

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
TESTS = sorted(RULES.glob("*/v*/*.test.yml"))
OF_LOKI = {path.parent for path in RULES.glob("*/v*/pack.yaml") if "\nengine: loki\n" in path.read_text()}
FILES = sorted(path for path in RULES.glob("*/v*/*.yml") if path not in TESTS and path.parent not in OF_LOKI)
# Rules that are made of objectives, as files.
OBJECTIVES = Path(__file__).parent / "objectives"
PROMQL = re.compile(r"^```promql\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def promtool(*arguments: str) -> str:
    """What promtool prints. Its lint problems and failed tests are errors."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_nothing_to_say_about_any_rule_file() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))
    assert said.count("SUCCESS") == len(FILES)


def test_every_alert_fires_and_stays_silent_as_its_tests_say() -> None:
    said = promtool("test", "rules", *map(str, TESTS))
    assert said.count("SUCCESS") == len(TESTS)


def test_the_rules_of_objectives_alert_record_and_stay_silent_as_their_tests_say() -> None:
    tests = sorted(OBJECTIVES.glob("*.test.yml"))
    files = sorted(set(OBJECTIVES.glob("*.yml")) - set(tests))
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, files))
    said = promtool("test", "rules", *map(str, tests))
    assert said.count("SUCCESS") == len(tests) > len(files)


def test_every_query_of_a_runbook_page_is_promql(tmp_path: Path) -> None:
    groups = []
    for page in sorted((ROOT / "docs" / "runbooks").glob("*.md")):
        queries = [query for block in PROMQL.findall(page.read_text()) for query in block.splitlines()]
        groups.append(
            {
                "name": page.stem,
                "rules": [{"record": f"query_{n}", "expr": query} for n, query in enumerate(queries)],
            }
        )
    assert sum(len(group["rules"]) for group in groups) > len(groups)
    (tmp_path / "runbooks.yml").write_text(yaml.safe_dump({"groups": groups}))
    promtool("check", "rules", "--lint=none", str(tmp_path / "runbooks.yml"))
