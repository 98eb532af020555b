from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from standins.machine import run
from standins.policies import Pod, Seen, matches, ruleset

CASES = yaml.safe_load((Path(__file__).parent / "policies.yaml").read_text(encoding="utf-8"))


def pod(name: str, text: str) -> Pod:
    """`front app=web http=8080/TCP`: namespace, labels and ports of one."""
    namespace, *pairs = text.split()
    split = [pair.split("=") for pair in pairs]
    ports = {(value.partition("/")[2], key): int(value.partition("/")[0]) for key, value in split if "/" in value}
    return Pod(name, namespace, {key: value for key, value in split if "/" not in value}, ports)


def seen(policies: list[dict[str, Any]]) -> Seen:
    return Seen(policies, [pod(name, text) for name, text in CASES["pods"].items()], CASES["namespaces"])


def chains(text: str) -> dict[str, list[str]]:
    """Name -> rules of each chain of a ruleset."""
    parts = [part.partition(" {\n") for part in text.split("chain ")[1:]]
    return {name: [line.strip() for line in body.partition("}\n")[0].splitlines()] for name, _, body in parts}


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_a_policy_becomes_chains_of_the_pods_it_selects(case: Mapping[str, Any]) -> None:
    metadata = {"name": "own", "namespace": case.get("namespace", "front")}
    made = chains(ruleset(seen([{"metadata": metadata, "spec": spec} for spec in case["policies"]])))
    del made["forwarded"], made["received"]
    assert made == {name: [*rules, "counter drop"] for name, rules in case["chains"].items()}


def test_without_a_policy_everything_passes() -> None:
    made = chains(ruleset(seen([])))
    assert list(made) == ["forwarded", "received"]
    assert [rule for rules in made.values() for rule in rules if "vmap" in rule] == []


@pytest.mark.parametrize("selector", CASES["selectors"], ids=str)
def test_a_selector_takes_the_labels_it_names(selector: Mapping[str, Any]) -> None:
    labels = [{}, {"app": "web"}, {"app": "api"}, {"app": "api", "tier": "back"}]
    assert [number for number, each in enumerate(labels) if matches(selector["selector"], each)] == selector["takes"]


@pytest.mark.e2e
def test_the_packet_filter_takes_all_rules(tmp_path: Path) -> None:
    """Checked alone: nothing is loaded."""
    policies = [
        {"metadata": {"name": "own", "namespace": case.get("namespace", "front")}, "spec": spec}
        for case in CASES["cases"]
        for spec in case["policies"]
    ]
    file = tmp_path / "rules"
    file.write_text(ruleset(seen(policies)))
    run("nft", "--check", "-f", str(file))
