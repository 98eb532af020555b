"""An inhibition compares labels that alerts have. One that neither side has is the same on both, and silences all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from catalogue import inference
from catalogue.inference import Found
from catalogue.known import Known, fixed
from catalogue.matchers import near
from stacks.plan import Plan
from stacks.services import alertmanager, prometheus

_FILE = "etc/alertmanager.yml"


def problems(plan: Plan, known: Known) -> Iterator[str]:
    """A line for each label of `equal` that no alert on one side of its rule can ever have."""
    external = fixed(prometheus.external_labels(plan.settings))
    # What an alert has itself wins over what its Prometheus adds.
    alerts = [found.of({**external, **found.known}) for found in map(known.alert, plan.alerts)]
    for rule in _rules(plan):
        sides = {side: _reached(alerts, rule[f"{side}_matchers"]) for side in ("source", "target")}
        # Without alerts on one side there is nothing to compare: an environment need not have them.
        for side, reached in sides.items() if all(sides.values()) else ():
            for label in (label for label in rule["equal"] if all(alert.lacking([label]) for alert in reached)):
                said = f"no {side} alert can have the label {label} of `equal`"
                hint = near(label, {name for alert in reached for name in alert.known})
                yield f"{alertmanager.NAME}/{_FILE}: inhibition {rule['name']}: {said}; {hint}"


def _rules(plan: Plan) -> Sequence[Mapping[str, Any]]:
    service = plan.find(alertmanager.NAME)
    files = {file.path: file.text for file in service.files} if service else {}
    config = yaml.load(files.get(_FILE, ""), Loader=yaml.CSafeLoader) or {}
    rules: Sequence[Mapping[str, Any]] = config.get("inhibit_rules") or []
    return rules


def _reached(alerts: Sequence[Found], written: Sequence[str]) -> list[Found]:
    """The alerts that may match."""
    matchers = [matcher for text in written for matcher in inference.selector(f"{{{text}}}")]
    return [alert for alert in alerts if all(matcher.finds(alert.known) for matcher in matchers)]
