"""What Alertmanager says: of the alerts that it holds, and of its own attempts to tell somebody."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from cli.ask import address, get
from stacks.plan import Plan
from stacks.services import alertmanager

# By receiver and integration.
Key = tuple[str, str]

_COUNTED = {
    "alertmanager_notifications_total": "attempts",
    "alertmanager_notifications_failed_total": "failures",
    "alertmanager_notification_requests_total": "requests",
    "alertmanager_notification_requests_failed_total": "refused",
}


@dataclass(frozen=True, kw_only=True)
class Count:
    """An attempt ends with the first request that is taken, or as a failure after one or more that are not."""

    attempts: int = 0
    failures: int = 0
    requests: int = 0
    refused: int = 0

    @property
    def delivered(self) -> int:
        return self.requests - self.refused

    def and_also(self, other: "Count") -> "Count":
        return Count(**{name: value + vars(other)[name] for name, value in vars(self).items()})

    def since(self, before: "Count") -> "Count":
        return Count(**{name: value - vars(before)[name] for name, value in vars(self).items()})


def read(text: str) -> dict[Key, Count]:
    """The counts in an exposition of Alertmanager; nothing where it does not name receivers."""
    found: dict[Key, Counter[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name, receiver = _COUNTED.get(sample.name), sample.labels.get("receiver_name")
            if name and receiver:
                # Failures come by reason.
                found.setdefault((receiver, sample.labels["integration"]), Counter())[name] += int(sample.value)
    return {key: Count(**counter) for key, counter in found.items()}


def counts(plan: Plan) -> dict[Key, Count]:
    """The counts now, of all replicas: any of them may be the one that tells."""
    found: dict[Key, Count] = {}
    for url in addresses(plan, "/metrics"):
        own = read(get(url).text)
        found |= {key: found.get(key, Count()).and_also(count) for key, count in own.items()}
    return found


def addresses(plan: Plan, path: str) -> list[str]:
    """A path of every replica of Alertmanager."""
    return [address(plan, server.name, "http", path) for server in plan.replicas(alertmanager.NAME)]


def alerts(plan: Plan, **labels: str) -> list[dict[str, Any]]:
    """The alerts that Alertmanager holds, with these labels."""
    url = address(plan, alertmanager.NAME, "http", "/api/v2/alerts")
    found: list[dict[str, Any]] = get(url).json()
    return [alert for alert in found if labels.items() <= alert["labels"].items()]


def receivers(alert: Mapping[str, Any]) -> set[str]:
    """Who an alert is routed to."""
    return {receiver["name"] for receiver in alert["receivers"]}


def held_back(alert: Mapping[str, Any], among: list[dict[str, Any]]) -> str:
    """Why nobody is told of an alert of Alertmanager's; empty if somebody is. `among` are all alerts it holds."""
    status = alert["status"]
    if status["silencedBy"]:
        return f"silenced by {', '.join(status['silencedBy'])}"
    if status["inhibitedBy"]:
        by = [one["labels"] for one in among if one["fingerprint"] in status["inhibitedBy"]]
        names = sorted({f"{labels['alertname']} ({labels.get('severity', '')})" for labels in by})
        return f"inhibited by {', '.join(names) or ', '.join(status['inhibitedBy'])}"
    return f"muted by {', '.join(status['mutedBy'])}" if status.get("mutedBy") else ""
