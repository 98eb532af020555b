"""Changes that an environment makes to shipped alerts, without touching their files."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from stacks.settings import Override
from stacks.strict import nearest

Rule = dict[str, Any]

# Neither part of a name nor of a duration.
_NUMBER = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")


def digest(rule: Mapping[str, Any]) -> str:
    """What an alert is as shipped, in eight characters: an override says which one it was written for."""
    deciding = {key: rule.get(key) for key in ("expr", "for", "labels")}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]


class Changes:
    """The overrides of a pack's alerts, and the thresholds that the pack declares by alert.

    Of `generated` alerts an environment has its own, and `seen` says nothing. `problems` holds one line for each
    override that does not fit its alert.
    """

    def __init__(
        self,
        pack: str,
        overrides: Mapping[str, Override],
        thresholds: Mapping[str, float],
        *,
        generated: bool = False,
    ) -> None:
        self.problems: list[str] = []
        self._overrides = {
            address.partition("/")[2]: override
            for address, override in overrides.items()
            if address.partition("/")[0] == pack
        }
        self._pack = pack
        self._generated = generated
        self._thresholds = thresholds
        self._conditions: dict[str, str] = {}

    def of(self, rule: Rule) -> Rule | None:
        """The rule with its override, the same object if it has none; None if it is disabled."""
        name = rule["alert"]
        self._conditions[name] = str(rule.get("expr", ""))
        override = self._overrides.get(name)
        if override is None:
            return rule
        self.problems += self._problems(rule, override)
        return None if override.disabled else self._changed(rule, override)

    def undeclared(self) -> list[str]:
        """One line for each declared threshold that does not stand in its alert's condition exactly once."""
        found = []
        for alert, value in self._thresholds.items():
            if alert not in self._conditions:
                found.append(f"thresholds.{alert}: no such alert; {nearest(alert, sorted(self._conditions))}")
            elif (count := len(_places(value, self._conditions[alert]))) != 1:
                found.append(f"thresholds.{alert}.value: {value:g} stands {count} times in the condition, not once")
        return found

    def _changed(self, rule: Rule, override: Override) -> Rule:
        new = dict(rule)
        value = self._thresholds.get(rule["alert"])
        places = [] if value is None else _places(value, rule["expr"])
        # A threshold that does not stand there once is a problem of the pack, which `undeclared` tells.
        if override.threshold is not None and len(places) == 1:
            [place] = places
            new["expr"] = rule["expr"][: place.start] + f"{override.threshold:.12g}" + rule["expr"][place.stop :]
        if override.wait:
            new["for"] = override.wait
        severity = {"severity": override.severity} if override.severity else {}
        return {**new, "labels": {**rule.get("labels", {}), **override.labels, **severity}}

    def _problems(self, rule: Rule, override: Override) -> list[str]:
        where = f"watchstack:override.{self._pack}/{rule['alert']}"
        found = []
        if not self._generated and override.seen != (now := digest(rule)):
            was = "missing" if override.seen is None else f"{override.seen!r}: the alert has changed since"
            found.append(f"{where}.seen: {was}; see what it is now in docs/alerts.md, and give {now!r}")
        if override.threshold is not None and rule["alert"] not in self._thresholds:
            known = ", ".join(sorted(self._thresholds)) or "none"
            found.append(f"{where}.threshold: the pack declares none for this alert; those with one: {known}")
        return found


def _places(value: float, expr: str) -> list[slice]:
    """Where a number stands in an expression, however it is written."""
    return [slice(*found.span()) for found in _NUMBER.finditer(expr) if float(found[0]) == value]
