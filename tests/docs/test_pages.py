"""The pages written by hand: none is missing, none is left over, and what they point at is there."""

import re
from pathlib import Path

import pytest
import yaml

import apps
from checks import CHECKS
from workloads.boss_workflow import FAULTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "instrument" / "README.md"]
HEADINGS = ["## What it reports", "## Example", "## How to mend it"]

LINK = re.compile(r"\]\(([^)#\s]+)(?:#([\w-]+))?\)")
# A path in the repository. A word in capitals is a placeholder.
FOLDERS = ("pictures", "review", "rules", "scaffold", "stacks", "tests", "toolchain", "workloads")
TOP = "|".join(("apps", "benchmarks", "catalogue", "checks", "cli", "dashboards", "docs", "instrument", *FOLDERS))
PATH = re.compile(rf"`((?![^`]*[A-Z]{{2}})(?:{TOP})/[\w./-]+)`")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_every_check_has_a_page_and_every_page_a_check() -> None:
    assert {page.stem for page in (DOCS / "checks").iterdir()} == {check.name for check in CHECKS}


@pytest.mark.parametrize("page", sorted((DOCS / "checks").iterdir()), ids=lambda page: page.stem)
def test_the_page_of_a_check_has_the_house_headings(page: Path) -> None:
    text = page.read_text()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [f"# {page.stem}"]
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS


def test_every_system_has_a_page_and_every_page_a_system() -> None:
    assert {page.stem for page in (DOCS / "systems").iterdir()} == set(apps.names())


def test_the_page_of_boss_workflow_shows_how_each_alert_and_fault_is_met() -> None:
    text = (DOCS / "systems" / "boss-workflow.md").read_text()
    rules = yaml.safe_load((ROOT / "rules" / "boss-workflow" / "v1" / "alerts.yml").read_text())
    severities = {rule["alert"]: rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}
    receivers = {route.severity: route.receiver for route in apps.profile("boss-workflow").routing.routes}
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for alert, severity in severities.items():
        [row] = [row for row in rows if f"[{alert}]" in row]
        assert row.endswith(f"| `{receivers[severity]}` |")
    for fault in FAULTS:
        assert [row for row in rows if f"`{fault.name}" in row]


@each_page
def test_a_link_leads_to_a_page_that_is_there(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if "://" not in target:
            file = page.parent / target
            assert file.exists(), target
            assert not anchor or anchor in _anchors(file), f"{target}#{anchor}"


@each_page
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    assert [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


def _anchors(page: Path) -> set[str]:
    headings = [line.lstrip("# ") for line in page.read_text().splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
