"""A rehearsal of an environment at many times its speed: every wait and every range, shortened by one factor.

What a drill waits for is mostly `for`, ranges and the waits of the routes. A factor of 1 changes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from rules import RuleFile
from stacks.service import to_yaml
from stacks.settings import Settings
from stacks.units import duration, seconds

# A rate over fewer samples says little, and nothing once one is late.
SAMPLES = 4

_WAITS = frozenset({"group_wait", "group_interval", "repeat_interval"})
_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
# Strings and comments come first, so that what stands in them is passed over.
_SPAN = re.compile(
    rf"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\#[^\n]*)
      |\[\s*(?P<range>{_DURATION})\s*(?P<sub>:)?\s*(?P<step>{_DURATION})?\s*\]
      |(?P<offset>\boffset\s+-?\s*)(?P<back>{_DURATION})""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Pace:
    """How much faster than real time, and how often samples come and rules are evaluated, in seconds."""

    factor: int
    scrape: float
    evaluation: float

    def span(self, text: str) -> str:
        """A range or an offset: still long enough for some samples."""
        return self._shortened(text, SAMPLES * self.scrape)

    def interval(self, text: str) -> str:
        """Of scrapes: not below the usual one."""
        return self._shortened(text, self.scrape)

    def wait(self, text: str) -> str:
        """`for` and the like: an evaluation at least, else the alert would not be pending first."""
        return self._shortened(text, self.evaluation)

    def pause(self, text: str) -> str:
        """Of Alertmanager, whose clock knows no interval."""
        return self._shortened(text, 1.0)

    def expression(self, text: str) -> str:
        """PromQL with its ranges, subqueries and offsets shortened; numbers and strings stay."""
        return _SPAN.sub(self._spans, text)

    def _spans(self, found: re.Match[str]) -> str:
        if found["text"] is not None:
            return found["text"]
        if found["back"] is not None:
            return f"{found['offset']}{self.span(found['back'])}"
        step = self.interval(found["step"]) if found["step"] else ""
        return f"[{self.span(found['range'])}{found['sub'] or ''}{step}]"

    def _shortened(self, text: str, least: float) -> str:
        """The part of a duration, never below `least`, or below itself where it is shorter."""
        whole = seconds(text)
        part = max(whole / self.factor, least)
        return text if part >= whole else duration(part)


def pace(settings: Settings) -> Pace:
    wanted = settings.prometheus
    return Pace(settings.fast_forward, seconds(wanted.scrape_interval), seconds(wanted.evaluation_interval))


def rule_file(file: RuleFile, at: Pace) -> RuleFile:
    """The file with all its rules and groups at this pace. At a factor of 1 it is the same file, byte for byte."""
    if at.factor == 1:
        return file
    document = yaml.load(file.text, Loader=yaml.CSafeLoader)
    alerts = tuple(replace(alert, expr=at.expression(alert.expr), wait=at.wait(alert.wait)) for alert in file.alerts)
    records = tuple(replace(record, expr=at.expression(record.expr)) for record in file.records)
    text = to_yaml({**document, "groups": [_group(group, at) for group in document["groups"]]})
    return replace(file, text=text, alerts=alerts, records=records)


def _group(group: Mapping[str, Any], at: Pace) -> dict[str, Any]:
    own = {"interval": at.wait(group["interval"])} if "interval" in group else {}
    offset = {"query_offset": at.wait(group["query_offset"])} if "query_offset" in group else {}
    return {**group, **own, **offset, "rules": [_rule(rule, at) for rule in group.get("rules") or []]}


def _rule(rule: Mapping[str, Any], at: Pace) -> dict[str, Any]:
    waits = {key: at.wait(str(rule[key])) for key in ("for", "keep_firing_for") if key in rule}
    return {**rule, "expr": at.expression(str(rule["expr"])), **waits}


def routes(config: Any, at: Pace) -> Any:
    """Alertmanager's configuration with the waits of all its routes at this pace."""
    if at.factor == 1:
        return config
    if isinstance(config, Mapping):
        return {key: at.pause(value) if key in _WAITS else routes(value, at) for key, value in config.items()}
    return [routes(value, at) for value in config] if isinstance(config, list) else config
