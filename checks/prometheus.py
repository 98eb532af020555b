"""promtool on the configuration and every rule file, with its linter as strict as it goes."""

import re
from pathlib import Path

from checks.program import complaints
from stacks.plan import Plan
from stacks.services import kubernetes_discovery

# What promtool prints of files that are in order.
_FINE = re.compile(r"^(Checking |SUCCESS|FAILED:$)")


# In a rule file. Line and column are those of the rendered file, which with an override is not the one that is written.
_OF_A_RULE = re.compile(r'^(rules/\S+): \d+:\d+: group "[^"]*", rule \d+, "([^"]+)": (.*)$')


def check(plan: Plan, tree: Path) -> list[str]:
    directory = tree / "prometheus"
    config = _in_a_pod(directory) if plan.ground.target == "kubernetes" else "etc/prometheus.yml"
    lines = complaints("promtool", "check", "config", "--lint=all", "--lint-fatal", config, directory=directory)
    return [_placed(plan, line.replace("etc/rules/", "rules/")) for line in lines if not _FINE.match(line)]


def _in_a_pod(directory: Path) -> str:
    """The configuration with what a cluster puts into a pod where promtool finds it: it looks whether that is there."""
    account = directory / "account"
    account.mkdir(exist_ok=True)
    for file in kubernetes_discovery.IDENTITY:
        (account / file).touch()
    text = (directory / "etc" / "prometheus.yml").read_text()
    (directory / "etc" / "judged.yml").write_text(text.replace(kubernetes_discovery.ACCOUNT, str(account)))
    return "etc/judged.yml"


def _placed(plan: Plan, line: str) -> str:
    """What promtool says of an alert, with file and line where the alert is written."""
    if found := _OF_A_RULE.match(line):
        file, name, problem = found.groups()
        places = [alert.place for alert in plan.alerts if alert.name == name and f"rules/{alert.file}" == file]
        return f"{' or '.join(places)}: {name}: {problem}" if places else line
    return line
