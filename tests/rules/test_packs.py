"""The rule packs as they are written: shape, labels, runbook pages and the promtool tests beside them."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.units import seconds

ROOT = Path(__file__).parents[2]
PACKS = sorted(path.parent for path in (ROOT / "rules").glob("*/v*/pack.yaml"))
# Packs that Loki evaluates. What promtool's test files are to the others, log_cases.yml is to their alerts.
OF_LOKI = {pack for pack in PACKS if yaml.safe_load((pack / "pack.yaml").read_text()).get("engine") == "loki"}
LOG_CASES = yaml.safe_load((Path(__file__).with_name("log_cases.yml")).read_text())
TESTS = sorted((ROOT / "rules").glob("*/v*/*.test.yml"))
FILES = sorted(set((ROOT / "rules").glob("*/v*/*.yml")) - set(TESTS))
RUNBOOKS = ROOT / "docs" / "runbooks"
RUNBOOK_URL = "https://watchstack.dev/runbooks/"

# Rules made in code, for each declared job or objective: their pages stand beside those of the packs.
GENERATED = {"TargetMissing", "SLOBudgetBurnFast", "SLOBudgetBurnSlow"}

# Packs whose alerts are the platform's.
SYSTEMS = {"containers": "platform", "kubernetes": "platform"}
OUTAGES = {"ApplicationDown", "LMMCServerDown", "GraphMemoryAPIDown", "StreamlitDown"}
SEVERITIES = {"critical", "warning", "info", "none"}
HEADINGS = ["## Meaning", "## Impact", "## Diagnosis", "## Fix"]
LINES_OF_A_SCREEN = 50

# A counter by name and matchers; nothing between the braces or no braces is every series of that name.
COUNTER = re.compile(r"rate\(\s*(\w+)(?:\{([^}]*)\})?\[")


@cache
def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def rules_in(path: Path) -> list[dict[str, Any]]:
    return [rule for group in read(path)["groups"] for rule in group["rules"]]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT / "rules"))


FILES_OF_PROMETHEUS = [path for path in FILES if path.parent not in OF_LOKI]
ALERTS = [(path, rule) for path in FILES for rule in rules_in(path) if "alert" in rule]
RECORDS = [(path, rule) for path in FILES for rule in rules_in(path) if "record" in rule]

each_pack = pytest.mark.parametrize("pack", PACKS, ids=relative)
each_file = pytest.mark.parametrize("path", FILES, ids=relative)
each_test = pytest.mark.parametrize("path", TESTS, ids=relative)
NAMES = [alert["alert"] for _, alert in ALERTS]
each_alert = pytest.mark.parametrize("alert", [alert for _, alert in ALERTS], ids=NAMES)
each_alert_of_loki = pytest.mark.parametrize(
    "alert", [rule for path, rule in ALERTS if path.parent in OF_LOKI], ids=lambda alert: alert["alert"]
)
each_alert_of_prometheus = pytest.mark.parametrize(
    ("path", "alert"),
    [(path, alert) for path, alert in ALERTS if path.parent not in OF_LOKI],
    ids=[alert["alert"] for path, alert in ALERTS if path.parent not in OF_LOKI],
)
each_alert_of_a_file = pytest.mark.parametrize(("path", "alert"), ALERTS, ids=NAMES)
each_record = pytest.mark.parametrize(("path", "record"), RECORDS, ids=[record["record"] for _, record in RECORDS])
each_expression = pytest.mark.parametrize("expr", [rule["expr"] for _, rule in ALERTS + RECORDS])


@each_pack
def test_a_pack_lists_exactly_the_rule_files_beside_it(pack: Path) -> None:
    assert set(read(pack / "pack.yaml")["files"]) == {path.name for path in FILES if path.parent == pack}


@each_pack
def test_a_pack_says_what_it_is_and_what_its_version_changed(pack: Path) -> None:
    manifest = read(pack / "pack.yaml")
    major = f"v{manifest['version'].partition('.')[0]}"
    assert [manifest["pack"], major] == list(pack.parts[-2:])
    assert manifest["changes"][0]["version"] == manifest["version"]
    assert manifest["summary"].endswith(".")


@pytest.mark.parametrize("path", FILES_OF_PROMETHEUS, ids=relative)
def test_a_rule_file_has_a_test_file_for_it_beside_it(path: Path) -> None:
    test = path.with_suffix(".test.yml")
    assert path.name in read(test)["rule_files"]


@each_file
def test_a_group_is_named_after_its_pack_and_file(path: Path) -> None:
    assert [group["name"] for group in read(path)["groups"]] == [f"{path.parts[-3]}.{path.stem}"]


@each_pack
def test_names_are_unique_in_a_pack_and_those_of_recording_rules_everywhere(pack: Path) -> None:
    records = [rule["record"] for _, rule in RECORDS]
    names = [rule["alert"] for path, rule in ALERTS if path.parent == pack] + records + sorted(GENERATED)
    assert [name for name, count in Counter(names).items() if count > 1] == []


@each_alert_of_a_file
def test_an_alert_has_its_keys_in_the_house_order(path: Path, alert: dict[str, Any]) -> None:
    assert list(alert) == ["alert", "expr", "for", "labels", "annotations"]
    # An alert on logs has the system of the log.
    system = [] if path.parent in OF_LOKI else [SYSTEMS.get(path.parts[-3], path.parts[-3])]
    assert list(alert["labels"])[: 2 + len(system)] == ["severity", *(["system"] if system else []), "component"]
    assert [alert["labels"][name] for name in alert["labels"] if name == "system"] == system
    assert list(alert["annotations"]) == ["summary", "description", "runbook_url"]
    assert alert["labels"]["severity"] in SEVERITIES


@each_alert
def test_only_the_loss_of_a_whole_application_is_an_outage(alert: dict[str, Any]) -> None:
    labels = dict(alert["labels"])
    assert labels.get("impact") == ("outage" if alert["alert"] in OUTAGES else None)
    assert labels.keys() <= {"severity", "system", "component", "impact", "team"}


@each_alert
def test_an_alert_is_summed_up_in_one_sentence_and_described_with_values(alert: dict[str, Any]) -> None:
    annotations = alert["annotations"]
    assert re.fullmatch(r"[A-Za-z][^{}]*[^.{}]\.", annotations["summary"])
    assert not re.search(r"\. [A-Z]", annotations["summary"])
    assert "{{ $" in annotations["description"]
    assert annotations["description"].endswith(".")


@each_alert
def test_an_alert_links_to_its_own_runbook_page(alert: dict[str, Any]) -> None:
    assert alert["annotations"]["runbook_url"] == RUNBOOK_URL + alert["alert"]
    assert (RUNBOOKS / f"{alert['alert']}.md").is_file()


@each_record
def test_a_recording_rule_has_its_keys_in_the_house_order(path: Path, record: dict[str, Any]) -> None:
    assert list(record) == ["record", "expr", "labels"]
    assert record["labels"] == {"system": SYSTEMS.get(path.parts[-3], path.parts[-3])}


@each_expression
def test_an_expression_is_safe_at_run_time(expr: str) -> None:
    """A regex over names makes series collide, and a share without a fill is nothing where it should be 0."""
    assert "__name__" not in expr
    assert has_fill(expr) or not needs_fill(expr)


def needs_fill(expr: str) -> bool:
    """Whether the upper part of a fraction selects fewer series of a counter than the lower part does."""
    above, _, below = expr.rpartition("/\n")
    counted = set(COUNTER.findall(below))
    return any(
        name == other and matchers != others for name, matchers in COUNTER.findall(above) for other, others in counted
    )


def has_fill(expr: str) -> bool:
    return re.search(r"\bor\s+(vector\(0\)|0 \* )", expr) is not None


def test_the_check_for_a_fill_sees_a_share_of_the_same_counter() -> None:
    share = 'sum(rate(a_total{code=~"5.."}[5m]))\n  /\nsum(rate(a_total[5m]))\n'
    assert needs_fill(share)
    assert not has_fill(share)
    assert not needs_fill("sum(rate(a_total[5m]))\n  /\nsum(rate(b_total[5m]))\n")


def cases(path: Path) -> Iterator[tuple[str, dict[float, bool]]]:
    """For each test and alert of a test file: evaluation time in seconds, and whether the alert fires then."""
    for test in read(path)["tests"]:
        seen: dict[str, dict[float, bool]] = {}
        for case in test.get("alert_rule_test", []):
            seen.setdefault(case["alertname"], {})[seconds(case["eval_time"])] = bool(case["exp_alerts"])
        yield from seen.items()


@each_alert_of_loki
def test_an_alert_on_logs_keeps_the_system_and_has_cases_in_which_it_fires_and_does_not(alert: dict[str, Any]) -> None:
    assert "sum by (system, service_name)" in alert["expr"]
    assert {case["fires"] for case in LOG_CASES if case["alert"] == alert["alert"]} == {True, False}


@each_alert_of_prometheus
def test_an_alert_is_tested_on_both_sides_of_its_wait_and_of_its_threshold(path: Path, alert: dict[str, Any]) -> None:
    test = path.with_suffix(".test.yml")
    step = seconds(read(test)["evaluation_interval"])
    mine = [times for name, times in cases(test) if name == alert["alert"]]
    fires = [times for times in mine if any(times.values())]
    assert fires
    if alert["alert"] == "Watchdog":  # never silent, so it has no other side
        return
    assert all(not times.get(min(at for at in times if times[at]) - step, True) for times in fires)
    assert any(not any(times.values()) for times in mine)


@each_alert_of_prometheus
def test_where_an_alert_fires_its_tests_give_it_whole(path: Path, alert: dict[str, Any]) -> None:
    """promtool compares all labels and annotations; here a missing one is seen without it."""
    tests = read(path.with_suffix(".test.yml"))["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    expected = [each for case in cases if case["alertname"] == alert["alert"] for each in case["exp_alerts"]]
    assert expected
    for each in expected:
        assert alert["labels"].items() <= each["exp_labels"].items()
        assert each["exp_annotations"].keys() == alert["annotations"].keys()


@each_test
def test_test_names_are_different_sentences(path: Path) -> None:
    names = [test["name"] for test in read(path)["tests"]]
    assert [name for name in names if len(name.split()) < 4 or not name.endswith(".")] == []
    assert len(set(names)) == len(names)


def test_every_runbook_page_belongs_to_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {rule["alert"] for _, rule in ALERTS} | GENERATED


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_page_has_the_house_headings_and_fits_a_screen(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0] == f"# {page.stem}"
    assert [line for line in lines if line.startswith("#")][1:] == HEADINGS
    assert len(lines) <= LINES_OF_A_SCREEN
    sections = re.split(r"^## .*$", page.read_text(), flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)
    assert "```" in sections[HEADINGS.index("## Diagnosis")]
