"""The first rule pack of a system: is it there, does it fail, is it slow, is it full; each with its unit tests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from scaffold.signals import Signals

RUNBOOKS = "https://watchstack.dev/runbooks/"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An alert that stands alone in a file, perhaps over a record. `fires` and `silent` are series for its tests.

    `shown` is the description as it comes of `fires`. `threshold` is its value, unit and meaning in pack.yaml.
    """

    file: str
    alert: str
    expr: str
    wait: int
    severity: str
    summary: str
    description: str
    shown: str
    fires: Mapping[str, str]
    silent: Mapping[str, str]
    threshold: tuple[float, str, str] | None = None
    record: tuple[str, str] | None = None
    target: bool = False


def prefix(name: str) -> str:
    """What alerts of a system begin with."""
    return "".join(part.capitalize() for part in name.split("-"))


def rules(name: str, signals: Signals) -> list[Rule]:
    """The alerts that the metrics of an application allow."""
    found = [_down(name)]
    found += [_errors(name, signals)] if signals.requests else []
    found += [_slow(name, signals)] if signals.duration else []
    found += [_full(name)] if signals.files else []
    return found


def files(name: str, wanted: list[Rule]) -> Iterator[tuple[str, str]]:
    """The files of the pack by name. What seals it is written when they are in place."""
    for rule in wanted:
        yield f"{rule.file}.yml", _yaml({"groups": [{"name": f"{name}.{rule.file}", "rules": _rules(name, rule)}]})
        yield f"{rule.file}.test.yml", _yaml(_tests(name, rule))
    thresholds = {
        rule.alert: {"value": value, "unit": unit, "meaning": meaning}
        for rule in wanted
        if rule.threshold
        for value, unit, meaning in [rule.threshold]
    }
    yield (
        "pack.yaml",
        _yaml(
            {
                "pack": name,
                "version": "1.0.0",
                "summary": f"{name} - whether it is there, fails, is slow or is full.",
                "files": {f"{rule.file}.yml": {"requires": []} for rule in wanted},
                "thresholds": thresholds,
                "changes": [{"version": "1.0.0", "change": f"First release with {len(wanted)} alerts."}],
            }
        ),
    )


def _down(name: str) -> Rule:
    other = f'up{{job="{name}",system="{name}",instance="b"}}'
    return Rule(
        file="availability",
        alert=f"{prefix(name)}Down",
        expr=f'up{{job="{name}"}} == 0',
        wait=1,
        severity="critical",
        summary=f"An instance of {name} does not answer its scrapes.",
        description="{{ $labels.instance }} has not answered Prometheus for a minute.",
        shown="a has not answered Prometheus for a minute.",
        fires={f'up{{job="{name}",system="{name}",instance="a"}}': "0x20", other: "1x20"},
        silent={f'up{{job="{name}",system="{name}",instance="a"}}': "1 0 1x20", other: "1x20"},
        target=True,
    )


def _errors(name: str, signals: Signals) -> Rule:
    metric, label, failed = signals.requests, signals.status, signals.failed
    assert metric is not None  # noqa: S101 - who calls has looked
    record = f"{name.replace('-', '_')}:http_errors:ratio_rate5m"
    job = f'job="{name}"'
    others = {key: value for key, value in metric.example.items() if key != label}
    well = failed.replace("5", "2", 1)

    failing = f'sum(rate({metric.name}{{{job},{label}=~"5.."}}[5m]))'
    share = f"(\n    {failing}\n  or\n    vector(0)\n)\n  /\nsum(rate({metric.name}{{{job}}}[5m]))"

    def series(status: str, job: str = name) -> str:
        return _series(metric.name, {"job": job, **others, label: status})

    return Rule(
        file="errors",
        alert=f"{prefix(name)}HighErrorRate",
        expr=f"{record} > 0.05",
        wait=5,
        severity="critical",
        summary=f"More than 5 % of the requests to {name} fail.",
        description="{{ $value | humanizePercentage }} of the requests are answered with a 5xx status.",
        shown="6% of the requests are answered with a 5xx status.",
        fires={series(well): "0+94x40", series(failed): "0+6x40", series(well, "another"): "0+9000x40"},
        silent={series(well): "0+95x40", series(failed): "0+5x40", series(failed, "another"): "0+900x40"},
        threshold=(0.05, "ratio", "share of requests answered with a server error"),
        record=(record, share),
    )


def _slow(name: str, signals: Signals) -> Rule:
    metric = signals.duration
    assert metric is not None  # noqa: S101 - who calls has looked
    record = f"{name.replace('-', '_')}:response_seconds:p95_5m"

    def series(edge: str, job: str = name) -> str:
        return _series(f"{metric.name}_bucket", {"job": job, **metric.example, "le": edge})

    many = {series("1.0", "another"): "0+9000x40", series("+Inf", "another"): "0+9000x40"}
    return Rule(
        file="latency",
        alert=f"{prefix(name)}SlowResponses",
        expr=f"{record} > 1",
        wait=10,
        severity="warning",
        summary=f"One of twenty answers of {name} takes longer than a second.",
        description="The 95th percentile of the response time is {{ $value | humanizeDuration }}.",
        shown="The 95th percentile of the response time is 2s.",
        # Half of those between one and two seconds, and a twentieth above them.
        fires={series("1.0"): "0+90x40", series("2.0"): "0+95x40", series("+Inf"): "0+100x40", **many},
        silent={series("1.0"): "0+95x40", series("2.0"): "0+100x40", series("+Inf"): "0+100x40", **many},
        threshold=(1, "seconds", "95th percentile of the response time"),
        record=(
            record,
            f'histogram_quantile(\n  0.95,\n  sum by (le) (rate({metric.name}_bucket{{job="{name}"}}[5m]))\n)',
        ),
    )


def _full(name: str) -> Rule:
    def at(files: int) -> dict[str, str]:
        labels = {"job": name, "system": name, "instance": "a"}
        return {_series("process_open_fds", labels): f"{files}x40", _series("process_max_fds", labels): "100x40"}

    return Rule(
        file="saturation",
        alert=f"{prefix(name)}FilesNearlyUsed",
        expr=f'process_open_fds{{job="{name}"}} / process_max_fds{{job="{name}"}} > 0.8',
        wait=10,
        severity="warning",
        summary=f"An instance of {name} has most of the files open that it may.",
        description="{{ $labels.instance }} has {{ $value | humanizePercentage }} of its files and connections open.",
        shown="a has 81% of its files and connections open.",
        fires=at(81),
        silent=at(80),
        threshold=(0.8, "ratio", "share of the files that a process may open"),
        target=True,
    )


def _series(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{','.join(f'{label}={_quoted(value)}' for label, value in labels.items())}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _rules(name: str, rule: Rule) -> list[dict[str, Any]]:
    labels = {"severity": rule.severity, "system": name, "component": "app"}
    records = [{"record": rule.record[0], "expr": rule.record[1], "labels": {"system": name}}] if rule.record else []
    return [
        *records,
        {
            "alert": rule.alert,
            "expr": rule.expr,
            "for": f"{rule.wait}m",
            "labels": labels,
            "annotations": _annotations(rule, rule.description),
        },
    ]


def _annotations(rule: Rule, description: str) -> dict[str, str]:
    return {"summary": rule.summary, "description": description, "runbook_url": f"{RUNBOOKS}{rule.alert}"}


def _tests(name: str, rule: Rule) -> dict[str, Any]:
    labels = {"severity": rule.severity, "system": name, "component": "app"}
    labels |= {"job": name, "instance": "a"} if rule.target else {}
    # A rate begins with the second sample.
    first = rule.wait + (1 if rule.record else 0)
    expected = {"exp_labels": labels, "exp_annotations": _annotations(rule, rule.shown)}
    fires: list[dict[str, Any]] = [
        {"eval_time": f"{first - 1}m", "alertname": rule.alert, "exp_alerts": []},
        {"eval_time": f"{first}m", "alertname": rule.alert, "exp_alerts": [expected]},
    ]
    silent: list[dict[str, Any]] = [{"eval_time": "20m", "alertname": rule.alert, "exp_alerts": []}]
    return {
        "rule_files": [f"{rule.file}.yml"],
        "evaluation_interval": "1m",
        "tests": [
            _test(f"{rule.alert} fires after its wait and not before.", rule.fires, fires),
            _test(f"{rule.alert} stays silent just below.", rule.silent, silent),
        ],
    }


def _test(name: str, series: Mapping[str, str], wanted: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [{"series": each, "values": values} for each, values in series.items()]
    return {"name": name, "interval": "1m", "input_series": inputs, "alert_rule_test": wanted}


class _Dumper(yaml.SafeDumper):
    """Keys in the order that they are written in; texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=115, allow_unicode=True)
    return text
