"""The profile of a system, the cases of its routing, and the stack file of an environment that watches it."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from scaffold.exposition import Address, Exposed
from scaffold.signals import Signals

_UNITS = ("seconds", "bytes", "requests", "ratio", "percent")
_OFFSETS = range(20000, 48000, 1000)
_OFFSET = re.compile(r"^\s*watchstack:port_offset:\s*(\d+)", re.MULTILINE)


def profile(name: str, where: Address, found: Sequence[Exposed], signals: Signals) -> str:
    """`apps/NAME.yaml`."""
    job = {"job": name, **({"path": where.path} if where.path != "/metrics" else {})}
    document = {
        "system": name,
        "title": name,
        "packs": [name],
        "dashboards": [name],
        "jobs": [{**job, "targets": [{"service": name, "port": where.port}]}],
        "routing": {
            "group_by": ["system", "alertname"],
            "group_wait": "10s",
            "receivers": [{"name": f"{name}-webhook", "webhook": {"url": f"{name}-webhook"}}],
            "routes": [{"receiver": f"{name}-webhook"}],
        },
        **({"objectives": [_objective(name, signals.requests, signals.status)]} if signals.requests else {}),
        "metrics": [_metric(one) for one in found],
    }
    return (
        f"# {name}: scaffolded from its metrics. Who hears of it, and what else it exposes, is yours to say.\n"
        + _yaml(document)
    )


def cases(name: str) -> str:
    """`apps/tests/NAME.routing.yaml`: the one receiver hears of all but the heartbeat."""
    heard = [
        {"alertname": "Odd", "system": name, "severity": "critical", "component": "app"},
        {"alertname": "Odd", "system": name, "severity": "warning", "component": "app"},
        {"alertname": "PrometheusDown", "system": "platform", "severity": "critical", "component": "prometheus"},
    ]
    watchdog = {"alertname": "Watchdog", "system": "platform", "severity": "none", "component": "prometheus"}
    document = [{"labels": labels, "receivers": [f"{name}-webhook"]} for labels in heard]
    document.append({"labels": watchdog, "receivers": ["heartbeat"]})
    return f"# What must come of alerts where {name} is watched alone.\n" + _yaml({"cases": document})


def stack_file(name: str, where: Address, offset: int) -> str:
    """`stacks/env/Pulumi.NAME.yaml`: on this machine, with short intervals, and a capture page for who is told."""
    config = {
        "target": "local",
        "lifecycle": "ephemeral",
        "port_offset": offset,
        "systems": {name: {"targets": {name: where.target}}},
        "prometheus": {"retention": "24h", "volume": "1GB", "scrape_interval": "5s", "evaluation_interval": "5s"},
        "loki": {"retention": "24h", "volume": "1GB"},
        "jaeger": {"retention": "24h", "volume": "1GB"},
        "secrets": {f"{name}-webhook": {"capture": "webhook"}, "heartbeat": {"capture": "heartbeat"}},
    }
    return f"# {name}, where it runs now, watched from this machine.\n" + _yaml(
        {"config": {f"watchstack:{key}": value for key, value in config.items()}}
    )


def free_offset(stack_files: Path) -> int:
    """The first that no stack file has; the check of ports tells where two environments meet all the same."""
    taken = {int(found[1]) for file in stack_files.glob("Pulumi.*.yaml") if (found := _OFFSET.search(file.read_text()))}
    return next(offset for offset in _OFFSETS if offset not in taken)


def _objective(name: str, requests: Exposed, status: str) -> dict[str, object]:
    job, window = f'job="{name}"', "{{.window}}"
    return {
        "slo": f"{name}-availability",
        "objective": 0.99,
        "window": "30d",
        "description": f"Requests to {name} that do not end in a 5xx.",
        "errors": f'sum(rate({requests.name}{{{job},{status}=~"5.."}}[{window}]))',
        "total": f"sum(rate({requests.name}{{{job}}}[{window}]))",
        # Of so few requests one failure is no news.
        "low_traffic": {"events": 50},
    }


def _metric(one: Exposed) -> dict[str, object]:
    unit = next((unit for unit in _UNITS if unit in one.name.split("_")), "1")
    return {
        "name": one.name,
        "type": one.type,
        "unit": unit,
        "meaning": (one.help or one.name).rstrip("."),
        **({"labels": dict.fromkeys(one.labels)} if one.labels else {}),
        **({"buckets": list(one.buckets)} if one.buckets else {}),
    }


def _yaml(value: object) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, width=115, allow_unicode=True)
    return text
