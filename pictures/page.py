"""One dashboard as one HTML file that needs nothing else: the grid, the panels, Plotly and the figures."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from pictures import draw, figures
from pictures.data import Answer, Window
from pictures.draw import GAP, MARGIN, ROW, Canvas
from pictures.model import Index, Page, Panel
from pictures.theme import Theme

Json = dict[str, Any]

_HEADER, _FOOTER = 84, 28
_STYLE = Path(__file__).with_name("style.css")
# Draws the figures into their boxes, lets the legend hide series, and says how much of a list is out of sight.
_SCRIPT = """
const figures = JSON.parse(document.getElementById("figures").textContent);
const settings = {displayModeBar: false, responsive: true};
for (const [name, figure] of Object.entries(figures)) Plotly.newPlot(name, figure.data, figure.layout, settings);
for (const button of document.querySelectorAll(".legend button")) button.onclick = () => {
  const hidden = button.classList.toggle("hidden");
  Plotly.restyle(button.dataset.chart, {visible: !hidden}, [Number(button.dataset.trace)]);
};
for (const list of document.querySelectorAll(".legend, .scroll")) {
  const end = list.getBoundingClientRect().bottom + 3;
  const below = [...list.querySelectorAll("li, tbody tr")].filter(item => item.getBoundingClientRect().bottom > end);
  if (below.length) list.dataset.more = `${below.length} more`;
}
"""


def height(page: Page) -> int:
    """How many pixels the page is high."""
    return MARGIN + _HEADER + page.rows * (ROW + GAP) + _FOOTER


def html(page: Page, answers: Sequence[Answer], environment: str, window: Window, theme: Theme, index: Index) -> str:
    """The whole file. The same answers give the same text."""
    from plotly import offline  # noqa: PLC0415 - five megabytes

    drawn: dict[str, Json] = {}
    sections = []
    for panel, answer in zip(page.panels, answers, strict=True):
        if panel.kind == "row":
            sections.append(_row(panel))
            continue
        made = draw.draw(Canvas(panel=panel, answer=answer, theme=theme, window=window, index=index))
        drawn.update(made.figures)
        sections.append(_section(panel, made.html, index))
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="en" class="{theme.name}"><head><meta charset="utf-8">',
            f"<title>{escape(page.title)} - {escape(environment)}</title>",
            '<meta name="viewport" content="width=device-width">',
            f"<style>{_colours(theme)}{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
            _header(page, environment, window, index),
            "<main>",
            *sections,
            "</main>",
            f"<footer>Drawn by Watchstack {figures.clock(window.end)} UTC. Times are in UTC.</footer>",
            f'<script type="application/json" id="figures">{_as_script(drawn)}</script>',
            f"<script>{offline.get_plotlyjs()}</script>",
            f"<script>{_SCRIPT}</script>",
            "</body></html>",
            "",
        )
    )


def _colours(theme: Theme) -> str:
    names = ("canvas", "panel", "border", "text", "faint", "track")
    named = {name: theme.colour(name) for name in ("red", "blue", "amber")}
    values = {name: getattr(theme, name) for name in names} | named
    pixels = {"row": ROW, "gap": GAP, "margin": MARGIN, "header": _HEADER, "footer": _FOOTER}
    lines = [f"--{name}:{value}" for name, value in values.items()] + [f"--{n}:{v}px" for n, v in pixels.items()]
    return f":root{{color-scheme:{theme.name};--font:{figures.FONT};{';'.join(lines)}}}"


def _header(page: Page, environment: str, window: Window, index: Index) -> str:
    start, end = window.end - window.seconds, window.end
    same_day = figures.clock(start, "%F") == figures.clock(end, "%F")
    until = figures.clock(end, "%H:%M" if same_day else "%F %H:%M")
    facts = [f"<b>{escape(environment)}</b>", f"{figures.clock(start, '%F %H:%M')} to {until} UTC"]
    facts += [f"{escape(name)}: All" for name in page.variables]
    tags = "".join(f"<span class='tag'>{escape(tag)}</span>" for tag in page.tags)
    return (
        f"<header><div><h1>{escape(page.title)}</h1>{tags}<nav>{_links(page.links, index)}</nav></div>"
        f"<p class='facts'>{'<i></i>'.join(facts)}</p><p class='about'>{escape(page.description)}</p></header>"
    )


def _links(links: Sequence[tuple[str, str]], index: Index) -> str:
    paths = ((title, index.path(url)) for title, url in links)
    return "".join(f'<a href="{escape(path)}">{escape(title)}</a>' for title, path in paths if path)


def _area(panel: Panel) -> str:
    place = panel.place
    area = f"{place.y + 1}/{place.x + 1}/span {place.height}/span {place.width}"
    return f'id="panel-{panel.number}" style="grid-area:{area}"'


def _row(panel: Panel) -> str:
    return f'<h2 class="row" {_area(panel)}>{escape(panel.title)}</h2>'


def _section(panel: Panel, body: str, index: Index) -> str:
    about = escape(panel.description)
    info = f'<span class="info" tabindex="0" title="{about}" aria-label="{about}">i</span>' if about else ""
    links = _links(panel.links, index)
    more = f'<nav class="more"><span aria-hidden="true">↗</span><div>{links}</div></nav>' if links else ""
    return (
        f'<section class="panel {escape(panel.kind)}" {_area(panel)}>'
        f'<h2><span class="title">{escape(panel.title)}</span>{info}{more}</h2><div class="body">{body}</div></section>'
    )


def _as_script(value: Json) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
