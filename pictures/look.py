"""How a value looks: its text and colour, by the unit, thresholds and value mappings of its field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pictures import units
from pictures.theme import Theme

Json = dict[str, Any]

# Grafana's for a field that has none.
_STEPS: list[Json] = [{"color": "green", "value": None}, {"color": "red", "value": 80}]


@dataclass(frozen=True)
class Shown:
    """A value as it is shown."""

    text: str
    colour: str


@dataclass(frozen=True)
class Look:
    """The options of a series or column, with the colours of a theme. `steps`: each colour holds from its value on."""

    field: Json
    theme: Theme

    @property
    def unit(self) -> str:
        return str(self.field.get("unit", "short"))

    @property
    def minimum(self) -> float | None:
        found: float | None = self.field.get("min")
        return found

    @property
    def maximum(self) -> float | None:
        found: float | None = self.field.get("max")
        return found

    @property
    def custom(self) -> Json:
        """What only this kind of panel has."""
        return dict(self.field.get("custom", {}))

    @property
    def steps(self) -> list[tuple[float | None, str]]:
        thresholds = self.field.get("thresholds", {})
        scale = self._of_percent if thresholds.get("mode") == "percentage" else float
        # The first step has no limit, however Grafana's versions write that.
        return [
            (scale(step["value"]) if index else None, self.theme.colour(step["color"]))
            for index, step in enumerate(thresholds.get("steps") or _STEPS)
        ]

    def _of_percent(self, value: float) -> float:
        low, high = self.minimum or 0.0, 100.0 if self.maximum is None else self.maximum
        return low + (high - low) * value / 100

    @property
    def limits(self) -> list[tuple[float, str]]:
        """The steps that have a value."""
        return [(value, colour) for value, colour in self.steps if value is not None]

    def text(self, value: float | None) -> str:
        """A value in its unit, or in the words that its panel has for it."""
        return self.shown(value).text

    def shown(self, value: float | None) -> Shown:
        """A value with its colour by mapping, else by threshold."""
        plain = "NaN" if value is None else units.text(value, self.unit, self.field.get("decimals"))
        result: Json = next(self._mapped(value), {})
        colour = result.get("color")
        return Shown(
            text=str(result.get("text") or plain),
            colour=self.theme.colour(colour) if colour else self._of_threshold(value),
        )

    def _of_threshold(self, value: float | None) -> str:
        colours = [colour for limit, colour in self.steps if value is not None and (limit is None or value >= limit)]
        return colours[-1] if colours else self.theme.text

    def _mapped(self, value: float | None) -> Iterator[Json]:
        for mapping in self.field.get("mappings", []):
            options = mapping["options"]
            match mapping["type"]:
                case "value" if value is not None and f"{value:g}" in options:
                    yield options[f"{value:g}"]
                case "range" if value is not None and _within(value, options):
                    yield options["result"]
                case "special" if value is None and re.search("null|nan", options["match"]):
                    yield options["result"]


def _within(value: float, options: Json) -> bool:
    low, high = options.get("from"), options.get("to")
    return (low is None or value >= low) and (high is None or value <= high)
