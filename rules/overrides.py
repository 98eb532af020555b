"""Changes that an environment makes to shipped alerts, without touching their files."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from stacks.changes import Override
from stacks.strict import nearest

Rule = dict[str, Any]

# Neither part of a name nor of a duration.
_NUMBER = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")


def digest(*rules: Mapping[str, Any]) -> str:
    """What an alert is as shipped, in eight characters: an override says which one it was written for.

    Rules of one name are one alert.
    """
    deciding = [{key: rule.get(key) for key in ("expr", "for", "labels")} for rule in rules]
    text = "\n".join(json.dumps(each, sort_keys=True) for each in deciding)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Changes:
    """The overrides of a pack's alerts, and the thresholds that the pack declares by alert.

    Of `generated` alerts an environment has its own, and `seen` says nothing; they share a name, and may be addressed
    one by one with their component: `<pack>/<alert>/<component>`. `fit` changes a rule of somebody else before all
    others. `problems` holds one line for each override that does not fit its alert.
    """

    def __init__(
        self,
        pack: str,
        overrides: Mapping[str, Override],
        thresholds: Mapping[str, float],
        *,
        generated: bool = False,
        fit: Callable[[Rule], Rule] | None = None,
    ) -> None:
        self.problems: list[str] = []
        self._overrides = {
            address.partition("/")[2]: override
            for address, override in overrides.items()
            if address.partition("/")[0] == pack
        }
        self._pack = pack
        self._generated = generated
        self._fit = fit
        self._thresholds = thresholds
        self._conditions: dict[str, str] = {}

    def of(self, rule: Rule, shipped: str) -> Rule | None:
        """The rule with its override, the same object if nothing changes it; None if it is disabled.

        `shipped` is the digest of its alert.
        """
        self._conditions[rule["alert"]] = str(rule.get("expr", ""))
        fitted = self._fit(rule) if self._fit else rule
        override = next((self._overrides[name] for name in self.names(rule) if name in self._overrides), None)
        if override is None:
            return fitted
        self.problems += self._problems(rule, override, shipped)
        return None if override.disabled else self._changed(fitted, override)

    def names(self, rule: Rule) -> list[str]:
        """What an override may call the rule within its pack, the narrowest first."""
        name = rule["alert"]
        return [f"{name}/{rule['labels']['component']}", name] if self._generated else [name]

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

    def _problems(self, rule: Rule, override: Override, shipped: str) -> list[str]:
        where = f"watchstack:override.{self._pack}/{rule['alert']}"
        found = []
        if not self._generated and override.seen != shipped:
            was = "missing" if override.seen is None else f"{override.seen!r}: the alert has changed since"
            found.append(f"{where}.seen: {was}; see what it is now in docs/alerts.md, and give {shipped!r}")
        if override.threshold is not None and rule["alert"] not in self._thresholds:
            known = ", ".join(sorted(self._thresholds)) or "none"
            found.append(f"{where}.threshold: the pack declares none for this alert; those with one: {known}")
        return found


def _places(value: float, expr: str) -> list[slice]:
    """Where a number stands in an expression, however it is written."""
    return [slice(*found.span()) for found in _NUMBER.finditer(expr) if float(found[0]) == value]
