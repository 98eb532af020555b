"""What Alertmanager's webhook sends (version 4), as alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from instrument.timestamps import timestamp

FIRING = "firing"
RESOLVED = "resolved"

# Go's time without a value.
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


class BadPayload(Exception):
    """Not what Alertmanager sends. The message names the key, and what is wrong with it."""


@dataclass(frozen=True)
class Alert:
    """One alert, as Alertmanager sees it. `id` is its fingerprint; texts are empty where a label is missing."""

    id: str
    name: str
    severity: str
    system: str
    component: str
    status: str
    starts: datetime
    ends: datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    runbook: str

    @property
    def firing(self) -> bool:
        return self.status == FIRING

    def body(self) -> dict[str, object]:
        """The alert as JSON values."""
        return {
            "id": self.id,
            "name": self.name,
            "severity": self.severity,
            "system": self.system,
            "component": self.component,
            "status": self.status,
            "starts": timestamp(self.starts.timestamp()),
            "ends": timestamp(self.ends.timestamp()) if self.ends else None,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "runbook": self.runbook,
        }


def parse(payload: object) -> tuple[Alert, ...]:
    """All alerts of a payload, or BadPayload: never some of them."""
    top = _mapping(payload, "payload")
    version = _text(top, "version", "")
    if version != "4":
        raise BadPayload(f"version: {version[:20]!r} is not known; this reads 4")
    alerts = top.get("alerts")
    if not isinstance(alerts, list):
        raise BadPayload("alerts: missing, or not a list")
    return tuple(_alert(each, f"alerts[{place}]") for place, each in enumerate(alerts))


def _alert(value: object, where: str) -> Alert:
    alert = _mapping(value, where)
    labels = _texts(alert, "labels", where)
    annotations = _texts(alert, "annotations", where)
    status = _text(alert, "status", where)
    if status not in (FIRING, RESOLVED):
        raise BadPayload(f"{where}.status: {status[:20]!r} is neither firing nor resolved")
    fingerprint = _text(alert, "fingerprint", where)
    if not fingerprint:
        raise BadPayload(f"{where}.fingerprint: empty")
    ends = _time(alert, "endsAt", where) if alert.get("endsAt") else _NEVER
    return Alert(
        id=fingerprint,
        name=labels.get("alertname", ""),
        severity=labels.get("severity", ""),
        system=labels.get("system", ""),
        component=labels.get("component", ""),
        status=status,
        starts=_time(alert, "startsAt", where),
        ends=None if ends == _NEVER else ends,
        labels=labels,
        annotations=annotations,
        runbook=annotations.get("runbook_url", ""),
    )


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPayload(f"{where}: not an object")
    return value


def _text(alert: Mapping[str, Any], key: str, where: str) -> str:
    value = alert.get(key)
    if not isinstance(value, str):
        raise BadPayload(f"{where}.{key}: missing, or not a text".removeprefix("."))
    return value


def _texts(alert: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    values = _mapping(alert.get(key), f"{where}.{key}")
    for name, value in values.items():
        if not isinstance(value, str):
            raise BadPayload(f"{where}.{key}.{name[:80]}: not a text")
    return values


def _time(alert: Mapping[str, Any], key: str, where: str) -> datetime:
    text = _text(alert, key, where)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadPayload(f"{where}.{key}: {text[:40]!r} is not a time such as 2026-01-01T00:00:00Z")
