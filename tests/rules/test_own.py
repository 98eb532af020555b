"""Rule packs of the user's own: plain files that nobody made for Watchstack."""

from pathlib import Path

import pytest
import yaml
from conftest import MakePlan

from checks import routing
from rules import Alert
from stacks.plan import Plan
from stacks.strict import Refused

ROOT = Path(__file__).parents[2]
LEDGER = "tests/rules/own/good/ledger"
BAD = sorted((ROOT / "tests/rules/own/bad").iterdir())


def _system(*packs: str) -> dict[str, object]:
    return {"boss-workflow": {"workload": True, "own_packs": [*packs]}}


def _alerts(made: Plan, pack: str = "ledger") -> list[Alert]:
    return [alert for alert in made.alerts if alert.pack == pack]


def _deployed(made: Plan, path: str) -> str:
    server = made.find("prometheus")
    assert server is not None
    return next(file.text for file in server.files if file.path == f"etc/rules/{path}")


def test_alerts_get_the_labels_that_they_lack_and_severities_that_are_known_here(make_plan: MakePlan) -> None:
    assert [(alert.name, dict(alert.labels)) for alert in _alerts(make_plan(systems=_system(LEDGER)))] == [
        ("LedgerSlow", _labels("warning", "LedgerSlow")),
        ("LedgerSlow", _labels("critical", "bookings")),
        ("LedgerUnbalanced", _labels("critical", "LedgerUnbalanced")),
    ]


def _labels(severity: str, component: str) -> dict[str, str]:
    return {"severity": severity, "system": "boss-workflow", "component": component, "team": "ledger"}


def test_an_alert_is_named_where_it_is_written_also_where_two_have_one_name(make_plan: MakePlan) -> None:
    made = make_plan(systems=_system(LEDGER))
    places = [(alert.name, *alert.place.rsplit(":", 1)) for alert in _alerts(made)]
    assert [name for name, *_ in places] == ["LedgerSlow", "LedgerSlow", "LedgerUnbalanced"]
    assert len(set(places)) == 3
    for name, file, line in places:
        assert name in (ROOT / file).read_text().splitlines()[int(line) - 1]


def test_recording_rules_and_all_else_of_a_file_stay_as_they_are(make_plan: MakePlan) -> None:
    made = make_plan(systems=_system(LEDGER))
    written = yaml.safe_load((ROOT / LEDGER / "rules.json").read_text())
    deployed = yaml.safe_load(_deployed(made, "ledger/rules.json"))
    del written["groups"][0]["rules"][1]["labels"], deployed["groups"][0]["rules"][1]["labels"]
    assert deployed == written


def test_a_file_whose_alerts_have_all_labels_is_deployed_byte_for_byte(make_plan: MakePlan, tmp_path: Path) -> None:
    text = """\
# Comments stay.
groups: [{name: ready, rules: [{alert: Ready, expr: vector(1),
  labels: {severity: info, system: boss-workflow, component: ready}}]}]
"""
    (tmp_path / "alerts.yml").write_text(text)
    (tmp_path / "pack.yaml").write_text("{pack: ready, version: '1', files: {alerts.yml: {}}}")
    made = make_plan(systems=_system(str(tmp_path)))
    assert _deployed(made, "ready/alerts.yml") == text


def test_a_severity_that_nobody_maps_is_refused_with_file_and_line(make_plan: MakePlan, tmp_path: Path) -> None:
    for name in ("alerts.yml", "rules.json"):
        (tmp_path / name).write_text((ROOT / LEDGER / name).read_text())
    manifest = (ROOT / LEDGER / "pack.yaml").read_text()
    (tmp_path / "pack.yaml").write_text(manifest.replace("ticket: warning", "other: warning"))
    assert routing.check(make_plan(systems=_system(LEDGER)), tmp_path) == []
    [problem] = routing.check(make_plan(systems=_system(str(tmp_path))), tmp_path)
    said = "LedgerSlow has severity 'ticket', which nobody routes; routed: critical, warning, info"
    assert problem == f"{tmp_path}/alerts.yml:4: {said}"


def test_rules_that_need_what_does_not_run_are_left_out(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text((ROOT / LEDGER / "alerts.yml").read_text())
    manifest = "{pack: ledger, version: '1', files: {alerts.yml: {requires: [redis-exporter]}}}"
    (tmp_path / "pack.yaml").write_text(manifest)
    made = make_plan(systems=_system(str(tmp_path)))
    assert _alerts(made) == []
    assert f"{tmp_path}/alerts.yml (LedgerSlow, LedgerSlow)" in {line.what for line in made.left_out}


def test_rules_of_one_name_are_one_alert_to_an_override(make_plan: MakePlan) -> None:
    seen = {alert.name: alert.seen for alert in _alerts(make_plan(systems=_system(LEDGER)))}
    override = {"for": "1h", "because": "the ledger is slow at night", "seen": seen["LedgerSlow"]}
    made = make_plan(systems=_system(LEDGER), override={"ledger/LedgerSlow": override})
    assert [alert.wait for alert in _alerts(made)] == ["1h", "1h", "1m"]
    with pytest.raises(Refused) as refused:
        make_plan(systems=_system(LEDGER), override={"ledger/LedgerSlow": {**override, "seen": "00000000"}})
    [line] = str(refused.value).splitlines()
    assert f"the alert has changed since; see what it is now in docs/alerts.md, and give '{seen['LedgerSlow']}'" in line


def test_a_pack_is_among_those_that_prometheus_says_it_runs(make_plan: MakePlan) -> None:
    assert "pack: ledger\n      version: '2024.1'" in _deployed(
        make_plan(systems=_system(LEDGER)), "platform/declared/pack-info.yml"
    )


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_pack_is_refused_in_words_that_help(make_plan: MakePlan, path: Path) -> None:
    with pytest.raises(Refused) as refused:
        make_plan(systems=_system(str(path.relative_to(ROOT))))
    assert (path / "pack.yaml").read_text().partition("\n")[0].removeprefix("# ") in str(refused.value)


def test_a_directory_without_a_manifest_is_named(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=r"^monitoring/nowhere/pack.yaml: no such file$"):
        make_plan(systems=_system("monitoring/nowhere"))


def test_two_packs_of_one_name_are_refused(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="there is a pack 'ledger' already; give it another name"):
        make_plan(systems=_system(LEDGER, LEDGER))
