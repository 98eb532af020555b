"""Matchers of a selector, over labels of which all, some or no values are known."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from catalogue.exposed import Labels

_CLOSE = 3
_FEW = 20


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """`operator` is one of =, !=, =~ and !~."""

    label: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        """Whether a value passes."""
        return self._meant(self.value, value) != self.operator.startswith("!")

    def finds(self, labels: Labels) -> bool:
        """Whether a series with these labels may pass; one without the label has an empty one."""
        values = labels.get(self.label, frozenset())
        return values is None or any(self.accepts(value) for value in {*values, ""})

    def narrow(self, labels: Labels) -> Labels:
        """The labels of what passes."""
        if self.label not in labels:
            return labels
        values = labels[self.label]
        if values is not None:
            return {**labels, self.label: frozenset(filter(self.accepts, values))}
        return {**labels, self.label: frozenset({self.value})} if self.operator == "=" else labels

    def misses(self, labels: Sequence[Labels]) -> bool:
        """Whether no series has the label, or a value that is meant."""
        of = [each[self.label] for each in labels if self.label in each]
        known = {value for values in of for value in values or ()}
        return not of or (None not in of and self.unmet(known) is not None)

    def unmet(self, values: Iterable[str]) -> str | None:
        """The first of the values, or patterns, of this matcher that none of these has."""
        return next((part for part in self._parts() if not any(self._meant(part, value) for value in values)), None)

    def _parts(self) -> Iterator[str]:
        """What is each meant to match something. The empty value says that there is none."""
        one = "~" not in self.operator or "(" in self.value
        return (part for part in ([self.value] if one else self.value.split("|")) if part)

    def _meant(self, part: str, value: str) -> bool:
        return _full(part, value) if "~" in self.operator else part == value


def near(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the known ones that come nearest, or all of a few."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=_CLOSE):
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(names) or 'none'}" if len(names) <= _FEW else "no known name comes near"


def _full(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        # Prometheus reads some patterns that Python does not; promtool says whether it does.
        return True
