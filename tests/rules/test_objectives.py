"""Objectives in the profiles' format: their rules, what is refused, and what an environment may change of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakePlan

import apps
from apps import Profile
from apps.objectives import Objective
from docs import generate
from rules import objectives
from rules.objectives import FAST, SLOW
from stacks import plan, routes, settings
from stacks.plan import Plan
from stacks.strict import Refused, load

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "stacks" / "env"
BAD = sorted((HERE / "objectives" / "bad").iterdir())
MADE = {path: text for path, text in generate.files().items() if path.startswith(generate.OBJECTIVES)}
BECAUSE = "watchstack:prometheus.retention is 15d, and the error budget counts what is kept"
ONE = {
    "slo": "orders",
    "objective": 0.99,
    "description": "orders that are accepted",
    "errors": "sum(rate(orders_failed_total[{{.window}}]))",
    "total": "sum(rate(orders_total[{{.window}}]))",
    "low_traffic": "alert",
}


def _rules(made: Plan, system: str) -> list[dict[str, Any]]:
    server = made.find("prometheus")
    assert server is not None
    [text] = [file.text for file in server.files if file.path.endswith(f"rules/objectives/{system}.yml")]
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("path", sorted(MADE))
def test_the_rules_that_promtool_tests_are_those_that_are_made_now(path: str) -> None:
    assert (HERE.parents[1] / path).read_text() == MADE[path], "make it anew with `make generate`"


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_objective_is_refused_in_words_that_help(path: Path) -> None:
    profile = apps.profile("boss-workflow").model_dump(by_alias=True, exclude={"objectives"})
    with pytest.raises(Refused) as refused:
        load(Profile, {**profile, "objectives": [yaml.safe_load(path.read_text())]}, "apps/shop.yaml: ")
    assert path.read_text().partition("\n")[0].removeprefix("# ") in str(refused.value)


def _made(**changes: object) -> list[dict[str, Any]]:
    slo = objectives.declared("shop", load(Objective, {**ONE, **changes}, "shop.yaml: "))
    groups = yaml.safe_load(objectives.file("shop", [slo], {}).text)["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    ("window", "fast", "slow"),
    [("30d", "14.4 * 0.01", "6 * 0.01"), ("7d", "3.36 * 0.01", "1.4 * 0.01"), ("28d", "13.44 * 0.01", "5.6 * 0.01")],
)
def test_the_burn_rates_come_from_the_window_of_the_objective(window: str, fast: str, slow: str) -> None:
    conditions = {rule["alert"]: rule["expr"] for rule in _made(window=window) if "alert" in rule}
    assert conditions[FAST].count(f"> {fast}") == conditions[SLOW].count(f"> {slow}") == 2


@pytest.mark.parametrize("objective", [0.9, 0.99, 0.995, 0.999, 0.9999, 0.99999])
def test_an_error_budget_is_written_without_the_dust_of_binary_fractions(objective: float) -> None:
    burns = [{"long": "6h", "short": "30m", "budget": 0.05, "severity": "warning", "for": "1m"}]
    [remaining] = [rule for rule in _made(objective=objective, burns=burns) if "remaining" in rule.get("record", "")]
    assert remaining["expr"].endswith(f" / {round(1 - objective, 5):.12g}")


@pytest.mark.parametrize("system", [name for name in apps.names() if apps.profile(name).objectives])
def test_the_objectives_of_a_system_are_on_the_plan_and_reach_somebody(system: str) -> None:
    made = plan.make(settings.from_stack_file(ENVIRONMENTS / f"Pulumi.{system}.yaml", system), {})
    wanted = {slo.slo: slo.objective for slo in apps.profile(system).objectives}
    assert wanted
    assert {slo.name: slo.objective for slo in made.objectives} == wanted
    mine = [alert for alert in made.alerts if alert.pack == "objectives"]
    assert {(alert.name, alert.labels["component"]) for alert in mine} == {
        (n, slo) for n in (FAST, SLOW) for slo in wanted
    }
    assert all(routes.hears(made.profiles, alert.labels) for alert in mine)


def test_a_budget_longer_than_samples_are_kept_is_said_to_be_so(make_plan: MakePlan) -> None:
    def said(retention: str) -> list[str]:
        made = make_plan(prometheus={"retention": retention})
        return [f"{line.what}: {line.because}" for line in made.left_out if "objective" in line.what]

    assert said("30d") == []
    assert said("15d") == [
        f"objective boss-workflow-availability over 30d: {BECAUSE}",
    ]


def test_an_override_is_of_all_alerts_of_a_name_and_one_with_its_component_of_that_objective(
    make_plan: MakePlan,
) -> None:
    because = {"because": "the night shift decides"}
    made = make_plan(
        systems={"lmmc": {"workload": True}},
        secrets={name: {"capture": "x"} for name in ("lmmc-critical", "lmmc-warning", "lmmc-default")},
        override={
            f"objectives/{FAST}": {"for": "10m", **because},
            f"objectives/{FAST}/lmmc-latency": {"severity": "warning", **because},
            f"objectives/{SLOW}/lmmc-latency": {"disabled": True, **because},
        },
    )
    seen = {
        (rule["alert"], rule["labels"]["slo"]): (rule["for"], rule["labels"]["severity"])
        for rule in _rules(made, "lmmc")
        if "alert" in rule
    }
    assert seen == {
        (FAST, "lmmc-availability"): ("10m", "critical"),
        (FAST, "lmmc-latency"): ("2m", "warning"),
        (SLOW, "lmmc-availability"): ("15m", "warning"),
    }


@pytest.mark.parametrize(
    ("address", "change", "problem"),
    [
        (
            f"objectives/{FAST}",
            {"threshold": 1},
            f"watchstack:override.objectives/{FAST}.threshold: the pack declares none for this alert",
        ),
        (
            "objectives/SLOBudgetBurnFst",
            {"for": "1m"},
            "watchstack:override.objectives/SLOBudgetBurnFst: no such alert; did you mean objectives/SLOBudgetBurnFast",
        ),
        (
            "platform/TargetMissing/prometeus",
            {"for": "1m"},
            "no such alert; did you mean platform/TargetMissing/prometheus?",
        ),
    ],
)
def test_an_override_that_does_not_fit_is_refused(
    make_plan: MakePlan, address: str, change: dict[str, object], problem: str
) -> None:
    with pytest.raises(Refused) as refused:
        make_plan(override={address: {**change, "because": "it is only a test"}})
    [line] = str(refused.value).splitlines()
    assert problem in line


def test_the_alert_on_a_missing_target_can_be_overridden_for_all_jobs_and_for_one(make_plan: MakePlan) -> None:
    because = {"because": "it is only a test"}
    override = {
        "platform/TargetMissing": {"for": "1m", **because},
        "platform/TargetMissing/loki": {"disabled": True, **because},
    }
    missing = [alert for alert in make_plan(override=override).alerts if alert.name == "TargetMissing"]
    assert {alert.wait for alert in missing} == {"1m"}
    assert "jaeger" in {alert.labels["component"] for alert in missing}
    assert "loki" not in {alert.labels["component"] for alert in missing}
