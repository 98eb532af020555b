"""An inhibition compares labels that alerts have. One that neither side has is the same on both, and silences all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from catalogue import inference
from catalogue.exposed import Labels
from catalogue.known import Known, fixed
from catalogue.matchers import near
from stacks.plan import Plan
from stacks.services import alertmanager, prometheus

_FILE = "etc/alertmanager.yml"


def problems(plan: Plan, known: Known) -> Iterator[str]:
    """A line for each label of `equal` that no alert on one side of its rule can ever have."""
    external = fixed(prometheus.external_labels(plan.settings))
    # What an alert has itself wins over what its Prometheus adds.
    alerts = [{**external, **known.alert(alert)} for alert in plan.alerts]
    for rule in _rules(plan):
        sides = {side: _reached(alerts, rule[f"{side}_matchers"]) for side in ("source", "target")}
        # Without alerts on one side there is nothing to compare: an environment need not have them.
        for side, reached in sides.items() if all(sides.values()) else ():
            has = {name for labels in reached for name in labels}
            for label in (label for label in rule["equal"] if label not in has):
                said = f"no {side} alert can have the label {label} of `equal`"
                yield f"{alertmanager.NAME}/{_FILE}: inhibition {rule['name']}: {said}; {near(label, has)}"


def _rules(plan: Plan) -> Sequence[Mapping[str, Any]]:
    service = plan.find(alertmanager.NAME)
    files = {file.path: file.text for file in service.files} if service else {}
    config = yaml.load(files.get(_FILE, ""), Loader=yaml.CSafeLoader) or {}
    rules: Sequence[Mapping[str, Any]] = config.get("inhibit_rules") or []
    return rules


def _reached(alerts: Sequence[Labels], written: Sequence[str]) -> list[Labels]:
    """The alerts that may match."""
    matchers = [matcher for text in written for matcher in inference.selector(f"{{{text}}}")]
    return [labels for labels in alerts if all(matcher.finds(labels) for matcher in matchers)]
