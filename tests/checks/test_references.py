"""References: what no scrape job, rule or profile brings is refused with its place and the name that comes nearest."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakePlan

import apps
import checks
import rules
from catalogue.known import labels_of
from checks import references
from dashboards import PanelQuery
from rules import RuleFile
from rules.overrides import Changes
from stacks import plan, settings
from stacks.plan import Plan
from stacks.service import to_yaml

HERE = Path(__file__).parent / "references"
ROOT = HERE.parents[2]
ENVIRONMENTS = sorted((ROOT / "stacks" / "env").glob("Pulumi.*.yaml"))


def _messages(path: Path) -> list[str]:
    """What the file is refused with: the comments above it."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text().splitlines())
    return [line.removeprefix("# ") for line in lines]


def _each(directory: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", sorted((HERE / directory).iterdir()), ids=lambda path: path.stem)


def _rules(path: Path) -> RuleFile:
    """The file as a rule file of a pack."""
    text = path.read_text()
    document = yaml.safe_load(text)
    changes = Changes("platform", {}, {})
    return rules.rule_file(
        "platform", f"bad/{path.name}", text, document, (), changes, document.get("engine", "prometheus")
    )


def _with(made: Plan, file: RuleFile) -> Plan:
    return replace(made, alerts=(*made.alerts, *file.alerts), records=(*made.records, *file.records))


def _check(made: Plan) -> list[str]:
    return references.check(made, HERE)


def test_what_users_bring_may_be_over_metrics_that_no_catalogue_knows(make_plan: MakePlan) -> None:
    brought = {"objectives": ["tests/rules/sloth/good/checkout.yml"], "own_packs": ["tests/rules/own/good/ledger"]}
    made = make_plan(systems={"boss-workflow": {"workload": True, **brought}})
    assert "ledger:latency:p95" in {record.name for record in made.records}
    assert _check(made) == []


def test_a_wrong_objective_of_a_profile_is_refused_once_for_each_query(make_plan: MakePlan) -> None:
    made = make_plan()
    [profile] = made.profiles
    [objective] = profile.objectives
    wrong = objective.model_copy(update={"errors": objective.errors.replace("http_requests", "http_request")})
    slos = [rules.objectives.declared(profile.system, wrong)]
    file = rules.objectives.file(profile.system, slos, {})
    changed = replace(
        made,
        profiles=(profile.model_copy(update={"objectives": (wrong,)}),),
        records=(*(record for record in made.records if "objectives" not in record.place), *file.records),
    )
    [said] = _check(changed)
    assert "boss-workflow-availability: errors: unknown metric http_request_total; did you mean" in said
    assert said.startswith("apps/boss-workflow.yaml:")


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("change", [{}, {"target": "local"}], ids=["own", "local"])
@pytest.mark.parametrize("missing", [{}, {"grafana": "not installed"}], ids=["whole", "without-grafana"])
def test_every_shipped_environment_passes(path: Path, change: dict[str, str], missing: dict[str, str]) -> None:
    wanted = settings.from_stack_file(path, path.stem.removeprefix("Pulumi."), change)
    assert _check(plan.make(wanted, missing)) == []


@pytest.mark.parametrize(
    "off", [(), ("loki",), ("jaeger",), ("loki", "jaeger"), ("node_exporter",), ("grafana", "capture")], ids="-".join
)
@pytest.mark.parametrize("system", ["boss-workflow", "tdd-project"])
def test_an_environment_without_a_component_passes(make_plan: MakePlan, off: Sequence[str], system: str) -> None:
    changes = {name: {"enabled": False} for name in off}
    secrets = {} if "capture" in off else {"discord-webhook": {"capture": "discord"}}
    secrets |= {"discord-webhook": {"file": "/dev/null"}}
    assert _check(make_plan(systems={system: {"workload": True}}, secrets=secrets, **changes)) == []


@pytest.mark.parametrize(
    ("system", "services", "secrets"),
    [
        ("lmmc", ["lmmc-server"], ["lmmc-critical", "lmmc-warning", "lmmc-default"]),
        ("tdd-project", ["tdd-app"], ["tdd-webhook"]),
        ("graphmemory", ["graphmemory-api"], ["graphmemory-direct", "graphmemory-bridge"]),
        ("phase5", ["phase5-backend"], ["slack-webhook"]),
        (
            "phase5",
            ["phase5-backend", "kubelet", "kube-state-metrics", "kafka-exporter", "postgres-exporter"],
            ["slack-webhook"],
        ),
    ],
)
def test_a_real_system_passes_with_all_its_services_and_with_its_main_one(
    make_plan: MakePlan, system: str, services: list[str], secrets: list[str]
) -> None:
    targets = dict.fromkeys(services, "10.0.0.1:80")
    given = {name: {"file": "/dev/null"} for name in secrets}
    assert _check(make_plan(systems={system: {"targets": targets}}, secrets=given)) == []


@_each("bad")
def test_a_bad_rule_is_refused_with_its_place_and_a_hint(make_plan: MakePlan, path: Path) -> None:
    assert _check(_with(make_plan(), _rules(path))) == _messages(path)


@_each("good")
def test_a_good_rule_is_let_through(make_plan: MakePlan, path: Path) -> None:
    assert _check(_with(make_plan(), _rules(path))) == []


@_each("panels")
def test_a_bad_panel_is_refused_with_its_place_and_a_hint(make_plan: MakePlan, path: Path) -> None:
    query = PanelQuery(ref="A", instant=False, empty_when=None, **yaml.safe_load(path.read_text()))
    made = make_plan()
    [board] = [board for board in made.dashboards if board.uid == query.dashboard]
    assert _check(replace(made, dashboards=(replace(board, queries=(query,)),))) == _messages(path)


def test_a_bad_objective_is_refused_once_with_its_place_and_a_hint(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = apps.profile("boss-workflow")
    [objective, *_] = profile.objectives
    bad = objective.model_copy(update={"errors": 'sum(rate(http_requests_total{staus=~"5.."}[{{.window}}]))'})
    monkeypatch.setattr(apps, "profile", lambda _: profile.model_copy(update={"objectives": (bad,)}))
    # The rules that are made of it are as wrong, and not where it is mended.
    [said] = _check(make_plan())
    place, _, problem = said.partition(f": {objective.slo}: ")
    assert problem == "errors: http_requests_total has no label staus; did you mean status?"
    file, _, line = place.partition(":")
    assert objective.slo in (ROOT / file).read_text().splitlines()[int(line) - 1]


def test_packs_that_others_wrote_are_followed_and_not_judged(make_plan: MakePlan) -> None:
    system = {"workload": True, "own_packs": ["tests/rules/own/good/ledger"]}
    made = make_plan(systems={"boss-workflow": system})
    assert "LedgerUnbalanced" in {alert.name for alert in made.alerts}
    assert _check(made) == []
    # The same rule in a pack of Watchstack.
    [record, *_] = [record for record in made.records if record.pack == "ledger"]
    [said] = _check(replace(made, records=(*made.records, replace(record, pack="platform"))))
    assert f"{record.place}: {record.name}: unknown metric " in said


def test_a_job_of_a_program_without_a_catalogue_is_refused(make_plan: MakePlan) -> None:
    made = make_plan()
    [profile] = made.profiles
    job = profile.jobs[0].model_copy(update={"program": "kubelt"})
    assert _check(replace(made, profiles=(profile.model_copy(update={"jobs": (job,)}),))) == [
        "apps/boss-workflow.yaml: job boss-workflow: program: kubelt has no catalogue; did you mean kubelet?"
    ]


def test_a_pack_that_asks_for_a_metric_which_nobody_has_is_refused(make_plan: MakePlan) -> None:
    made = make_plan()
    file = replace(made.pruned[0], path="kubernetes/v1/nodes.yml", metrics=("kube_node_info", "kube_node_status_taint"))
    [said] = _check(replace(made, pruned=(file,)))
    assert said.startswith(
        "rules/kubernetes/v1/pack.yaml: files.nodes.yml.metrics: unknown metric kube_node_status_taint; did you mean "
    )


def _inhibiting(made: Plan, *inhibitions: dict[str, Any]) -> Plan:
    """The Plan with these inhibitions alone."""
    services = [
        replace(
            service,
            files=tuple(
                replace(file, text=to_yaml({"inhibit_rules": list(inhibitions)}))
                if file.path == "etc/alertmanager.yml"
                else file
                for file in service.files
            ),
        )
        for service in made.services
    ]
    return replace(made, services=tuple(services))


INHIBITION = {
    "name": "worst",
    "source_matchers": ['severity="critical"'],
    "target_matchers": ['severity=~"warning|info"', 'impact!="outage"'],
    "equal": ["system", "alertname", "cluster"],
}


def test_an_inhibition_over_a_label_that_no_alert_has_is_refused_on_each_side(make_plan: MakePlan) -> None:
    made = make_plan()
    assert _check(_inhibiting(made, INHIBITION)) == []
    assert _check(_inhibiting(made, {**INHIBITION, "equal": ["systm"]})) == [
        f"alertmanager/etc/alertmanager.yml: inhibition worst: no {side} alert can have the label systm of `equal`; "
        "did you mean system?"
        for side in ("source", "target")
    ]


def test_an_inhibition_over_a_label_of_one_side_is_refused(make_plan: MakePlan) -> None:
    full = {**INHIBITION, "source_matchers": ['alertname="NodeDiskSpaceCritical"'], "equal": ["mountpoint"]}
    slow = {**full, "target_matchers": ['alertname="SlowAPIResponses"']}
    assert _check(_inhibiting(make_plan(), full, {**full, "target_matchers": ['alertname="NodeDiskSpaceLow"']})) == []
    [said] = _check(_inhibiting(make_plan(), slow))
    assert "inhibition worst: no target alert can have the label mountpoint of `equal`" in said


def test_an_inhibition_that_no_alert_matches_has_nothing_to_compare(make_plan: MakePlan) -> None:
    nobody = {**INHIBITION, "source_matchers": ['alertname="Nobody"'], "equal": ["mountpoint"]}
    assert _check(_inhibiting(make_plan(node_exporter={"enabled": False}), nobody)) == []


def test_labels_of_an_expression_come_with_their_values(make_plan: MakePlan) -> None:
    labels = labels_of(make_plan(), 'sum by (job, status) (rate(ai_requests_total{status=~"fail.*"}[5m]))')
    assert labels == {"job": frozenset({"boss-workflow"}), "status": frozenset({"failure"})}
    assert labels_of(make_plan(), "node_filesystem_readonly")["mountpoint"] is None
    assert labels_of(make_plan(), "vector(1)") == {}


@pytest.fixture
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))


def _result(made: Plan) -> checks.Result:
    return next(result for result in checks.run(made) if result.check == "references")


@pytest.mark.usefixtures("_own_cache")
def test_a_pass_is_remembered_until_something_decides_otherwise(make_plan: MakePlan) -> None:
    made = make_plan()
    assert [_result(made).remembered for _ in range(2)] == [False, True]
    assert not _result(make_plan(node_exporter={"enabled": False})).remembered
    assert not _result(make_plan(external_labels={"cluster": "eu-1"})).remembered
    # What no file of Prometheus shows: which panels there are, and which rules there could be.
    assert not _result(replace(made, dashboards=made.dashboards[1:])).remembered
    assert not _result(replace(made, pruned=made.pruned[1:])).remembered
    bad = _with(made, _rules(HERE / "bad" / "unknown-metric.yml"))
    server = made.find("prometheus")
    assert server is not None
    files = (*server.files, replace(server.files[-1], path="etc/rules/bad.yml"))
    changed = replace(bad, services=(*(s for s in made.services if s != server), replace(server, files=files)))
    assert [_result(changed).remembered for _ in range(2)] == [False, False]
    assert _result(changed).problems
