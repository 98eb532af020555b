"""What `stacks/routes.py` says of the alerts is what Alertmanager's own packages say, and so are the cases."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from checks import routing, routing_cases
from checks.routing_cases import Answer, Question
from rules import Alert
from stacks import routes
from stacks.plan import Plan
from stacks.strict import Refused

_CONFIG = Path("alertmanager") / "etc" / "alertmanager.yml"


def check(plan: Plan, tree: Path) -> list[str]:
    try:
        return [*_of_alerts(plan, tree / _CONFIG), *_of_cases(plan)]
    except Refused as refused:
        return str(refused).replace(f"{tree}/", "").splitlines()


def _of_alerts(plan: Plan, config: Path) -> Iterator[str]:
    asked = [(alert, labels) for alert in plan.alerts for labels in routing.labelled(plan, alert)]
    answers = routing_cases.ask(config, [Question(labels=labels) for _, labels in asked])
    root, telling = routing.tree(plan), _telling(config)
    for (alert, labels), answer in zip(asked, answers, strict=True):
        hops = routes.match(root, labels)
        if tuple(hop.path for hop in hops) != answer.paths:
            said = ", ".join(hop.node.receiver for hop in hops)
            yield f"{alert.place}: {alert.name} goes to {', '.join(answer.receivers)}; stacks/routes.py says {said}"
        else:
            yield from _silent(alert, answer, telling)


def _silent(alert: Alert, answer: Answer, telling: set[str]) -> Iterator[str]:
    if alert.name != routes.WATCHDOG and not telling.intersection(answer.receivers):
        yield f"{alert.place}: {alert.name} reaches {', '.join(answer.receivers)}, where nobody is told"


def _telling(config: Path) -> set[str]:
    """The receivers that have a way to tell somebody."""
    receivers = yaml.load(config.read_text(), Loader=yaml.CSafeLoader)["receivers"]
    return {each["name"] for each in receivers if any(key.endswith("_configs") for key in each)}


def _of_cases(plan: Plan) -> Iterator[str]:
    for profile in plan.profiles:
        file = routing_cases.file_of(profile.system)
        routing_cases.demand_cases(file)
        yield from routing_cases.failures(profile, file)
