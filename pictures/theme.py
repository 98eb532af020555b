"""Colours, in light and dark, by Grafana's names of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Theme:
    """What things are coloured with. `palette` is for series, in order."""

    name: str
    canvas: str
    panel: str
    border: str
    text: str
    faint: str
    grid: str
    track: str
    named: Mapping[str, str]
    palette: tuple[str, ...]

    def colour(self, name: str) -> str:
        """`#rrggbb` for a name of Grafana's, of whatever shade, or for a colour as CSS writes it."""
        if name in ("text", "transparent"):
            return self.text if name == "text" else self.panel
        if name in self.named:
            return self.named[name]
        if found := re.fullmatch(r"#([0-9a-f]{6})(?:[0-9a-f]{2})?", name.lower()):
            return f"#{found[1]}"
        if found := re.match(r"rgba?\((\d+), *(\d+), *(\d+)", name):
            return "#" + "".join(f"{min(int(part), 255):02x}" for part in found.groups())
        return self.named.get(name.rpartition("-")[2], self.faint)


def on(colour: str) -> str:
    """Black or white, whichever is legible on `colour`."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#111217" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"


def translucent(colour: str, part: float) -> str:
    """`colour`, `part` of it."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{part:g})"


_SERIES = ("green", "amber", "light-blue", "orange", "red", "blue", "purple", "teal", "pink", "olive", "navy", "brown")

_DARK = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "amber": "#f2cc0c",
    "light-blue": "#8ab8ff",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "teal": "#3fbfb0",
    "pink": "#ff9ed2",
    "olive": "#b7b45a",
    "navy": "#6f7fe0",
    "brown": "#c58a5c",
    "grey": "#8e8e99",
    "gray": "#8e8e99",
    "dark-green": "#37872d",
    "dark-red": "#c4162a",
    "dark-orange": "#fa6400",
    "dark-yellow": "#e0b400",
    "dark-blue": "#1f60c4",
}
_LIGHT = _DARK | {
    "green": "#3a8f34",
    "yellow": "#d9a400",
    "amber": "#c99700",
    "light-blue": "#4e8fe0",
    "orange": "#e8710a",
    "red": "#d92b43",
    "blue": "#1f60c4",
    "purple": "#8f3bb8",
    "teal": "#12867a",
    "pink": "#d1478f",
    "olive": "#7d7a1c",
    "navy": "#3a48b0",
    "brown": "#955a2b",
    "grey": "#6e7079",
    "gray": "#6e7079",
}

DARK = Theme(
    name="dark",
    canvas="#111217",
    panel="#181b1f",
    border="#2a2d33",
    text="#d5d6e0",
    faint="#9a9ba6",
    grid="#2b2e34",
    track="#2a2d33",
    named=_DARK,
    palette=tuple(_DARK[name] for name in _SERIES),
)
LIGHT = Theme(
    name="light",
    canvas="#f4f5f5",
    panel="#ffffff",
    border="#dfe0e2",
    text="#24292e",
    faint="#61666d",
    grid="#e6e7e9",
    track="#e8e9eb",
    named=_LIGHT,
    palette=tuple(_LIGHT[name] for name in _SERIES),
)
