"""A panel as HTML: one function a kind. Charts are boxes with an id, and Plotly figures to put into them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any

from pictures import figures, tables, units
from pictures.data import PIXELS, Alert, Answer, Series, Window
from pictures.figures import Drawing, Size
from pictures.look import Look
from pictures.model import Index, Panel
from pictures.theme import Theme, on

Json = dict[str, Any]

# The grid, in pixels, as Grafana has it.
ROW, GAP, MARGIN = 30, 8, 16
_TITLE, _PADDING = 32, 8
_LEGEND_LINE = 20

_CALCS = {"lastNotNull": "Last", "last": "Last", "max": "Max", "min": "Min", "mean": "Mean", "sum": "Total"}
_LEVELS = {
    **dict.fromkeys(("critical", "fatal", "alert", "emerg"), "purple"),
    **dict.fromkeys(("error", "err"), "red"),
    **dict.fromkeys(("warning", "warn"), "yellow"),
    **dict.fromkeys(("info", "information", "notice"), "green"),
    **dict.fromkeys(("debug", "trace"), "blue"),
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What stands in a panel, and the figures of its boxes by their id."""

    html: str
    figures: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """All that a panel is drawn from."""

    panel: Panel
    answer: Answer
    theme: Theme
    window: Window
    index: Index

    @property
    def size(self) -> Size:
        """The inside of the panel, in pixels."""
        column = (PIXELS - 2 * MARGIN + GAP) / 24
        place = self.panel.place
        return Size(
            width=place.width * column - GAP - 2 * _PADDING,
            height=place.height * (ROW + GAP) - GAP - _TITLE - _PADDING,
        )

    def look(self, name: str) -> Look:
        """How the values of the series or column of that name look."""
        return Look(self.panel.field(name), self.theme)

    def drawings(self) -> list[Drawing]:
        """The series with colours, those of the palette in turn."""
        found = []
        for index, series in enumerate(self.answer.series):
            look = self.look(series.name)
            colour = self.theme.palette[index % len(self.theme.palette)]
            match look.field.get("color", {}):
                case {"mode": "fixed", "fixedColor": str(fixed)}:
                    colour = self.theme.colour(fixed)
                case {"mode": "thresholds"}:
                    colour = look.shown(series.last).colour
            found.append(Drawing(series=series, look=look, colour=colour))
        return found


def draw(canvas: Canvas) -> Drawn:
    """The inside of a panel: its kind of chart, or in words why there is none."""
    if canvas.answer.error:
        return Drawn(html=f'<p class="error" role="alert">{escape(canvas.answer.error)}</p>')
    if canvas.panel.kind not in _KINDS:
        return Drawn(html=f'<p class="note">A panel of type {escape(canvas.panel.kind)} is not drawn here.</p>')
    if not has_data(canvas.panel, canvas.answer):
        return Drawn(html=_empty(canvas.panel))
    return _KINDS[canvas.panel.kind](canvas)


def has_data(panel: Panel, answer: Answer) -> bool:
    """Whether there is anything to show: a value, a line, or words for a value that is not there."""
    if panel.kind in ("alertlist", "dashlist", "text") or answer.lines:
        return True
    if any(series.last is not None for series in answer.series):
        return True
    mappings = panel.fields.get("defaults", {}).get("mappings", [])
    return bool(answer.series) and any(mapping["type"] == "special" for mapping in mappings)


def _empty(panel: Panel) -> str:
    if panel.empty_when:
        return f'<p class="note">{escape(panel.empty_when)}</p>'
    return '<p class="no-data">No data</p>'


def _box(canvas: Canvas, figure: Json, part: int = 0) -> Drawn:
    name = f"chart-{canvas.panel.number}" + (f"-{part}" if part else "")
    return Drawn(html=f'<div class="chart" id="{name}"></div>', figures={name: figure})


def _timeseries(canvas: Canvas) -> Drawn:
    # A quantile of nothing is a series without a sample: a line of the legend that says nothing.
    drawings = [drawing for drawing in canvas.drawings() if drawing.series.last is not None]
    legend = _legend(canvas, drawings)
    lines = min(3, 1 + sum(len(drawing.series.name) * 7 + 190 for drawing in drawings) // canvas.size.width)
    size = Size(width=canvas.size.width, height=canvas.size.height - lines * _LEGEND_LINE)
    figure = figures.timeseries(drawings, canvas.theme, canvas.window, size, canvas.look(""))
    box = _box(canvas, figure)
    return Drawn(html=box.html + legend, figures=box.figures)


def _legend(canvas: Canvas, drawings: Sequence[Drawing]) -> str:
    """Series with the values that the panel asks for; a click hides a series and shows it again."""
    options = canvas.panel.options.get("legend", {})
    if options.get("showLegend") is False or options.get("displayMode") == "hidden":
        return ""
    calcs = [name for name in options.get("calcs", []) if name in _CALCS]
    items = []
    for index, drawing in enumerate(drawings):
        values = "".join(
            f" <small>{_CALCS[name]} <b>{escape(drawing.look.text(_calculated(name, drawing.series)))}</b></small>"
            for name in calcs
        )
        items.append(
            f'<li><button type="button" data-chart="chart-{canvas.panel.number}" data-trace="{index}">'
            f'<i style="background:{drawing.colour}"></i>{escape(drawing.series.name)}</button>{values}</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _calculated(name: str, series: Series) -> float | None:
    values = [value for value in series.values if value is not None]
    if not values:
        return None
    match name:
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "sum":
            return sum(values)
        case "mean":
            return sum(values) / len(values)
    return values[-1]


def _reduced(canvas: Canvas, series: Series) -> float | None:
    """The one value that a panel makes of a series."""
    calcs = canvas.panel.options.get("reduceOptions", {}).get("calcs") or ["lastNotNull"]
    return _calculated(calcs[0], series)


def _stat(canvas: Canvas) -> Drawn:
    drawings = canvas.drawings()
    tiles: list[str] = []
    charts: dict[str, Json] = {}
    for part, drawing in enumerate(drawings):
        shown = drawing.look.shown(_reduced(canvas, drawing.series))
        filled = canvas.panel.options.get("colorMode") in ("background", "background_solid")
        coloured = f"background:{_shaded(shown.colour)};color:{on(shown.colour)}" if filled else f"color:{shown.colour}"
        spark = ""
        if canvas.panel.options.get("graphMode") == "area" and len(drawing.series.times) > 1:
            figure = figures.sparkline(drawing, canvas.theme, on(shown.colour) if filled else shown.colour)
            box = _box(canvas, figure, part)
            spark, charts = box.html, charts | box.figures
        name = f"<span>{escape(drawing.series.name)}</span>" if len(drawings) > 1 else ""
        tiles.append(
            f'<div class="tile" style="{coloured};--letters:{max(len(shown.text), 3)}">{spark}'
            f"<p>{name}<strong>{escape(shown.text)}</strong></p></div>"
        )
    return Drawn(html=f'<div class="tiles">{"".join(tiles)}</div>', figures=charts)


def _shaded(colour: str) -> str:
    """A background that gets darker to one side, as Grafana's."""
    return f"linear-gradient(120deg,color-mix(in srgb,{colour} 82%,#000),{colour})"


def _gauge(canvas: Canvas) -> Drawn:
    drawings = canvas.drawings()
    name_height = 22 if len(drawings) > 1 else 0
    size = Size(width=canvas.size.width / len(drawings), height=canvas.size.height - name_height)
    dials: list[str] = []
    charts: dict[str, Json] = {}
    for part, drawing in enumerate(drawings):
        value = _reduced(canvas, drawing.series)
        figure = figures.gauge(drawing.look.shown(value), value, drawing.look, canvas.theme, size)
        box = _box(canvas, figure, part)
        charts |= box.figures
        name = f"<figcaption>{escape(drawing.series.name)}</figcaption>" if name_height else ""
        dials.append(f"<figure>{box.html}{name}</figure>")
    return Drawn(html=f'<div class="dials">{"".join(dials)}</div>', figures=charts)


def _bar_gauge(canvas: Canvas) -> Drawn:
    return _box(canvas, figures.bar_gauge(canvas.drawings(), canvas.theme, canvas.size))


def _pie(canvas: Canvas) -> Drawn:
    drawings = sorted(canvas.drawings(), key=lambda drawing: -(drawing.series.last or 0))
    palette = canvas.theme.palette
    drawings = [
        Drawing(series=drawing.series, look=drawing.look, colour=palette[index % len(palette)])
        for index, drawing in enumerate(drawings)
    ]
    box = _box(canvas, figures.pie(drawings, canvas.theme, donut=canvas.panel.options.get("pieType") == "donut"))
    return Drawn(html=f'<div class="pie">{box.html}{_shares(drawings)}</div>', figures=box.figures)


def _shares(drawings: Sequence[Drawing]) -> str:
    whole = sum(drawing.series.last or 0 for drawing in drawings) or 1
    rows = "".join(
        f'<tr><th scope="row"><i style="background:{drawing.colour}"></i>{escape(drawing.series.name)}</th>'
        f"<td>{escape(drawing.look.text(drawing.series.last))}</td>"
        f"<td>{units.text((drawing.series.last or 0) / whole, 'percentunit', 0)}</td></tr>"
        for drawing in drawings
    )
    return f'<table class="shares"><tbody>{rows}</tbody></table>'


def _heatmap(canvas: Canvas) -> Drawn:
    unit = canvas.panel.options.get("yAxis", {}).get("unit", "short")
    look = Look({**canvas.panel.field(""), "unit": unit}, canvas.theme)
    buckets = [series for series in canvas.answer.series if _is_number(series.name)]
    if not buckets:
        return Drawn(html='<p class="error" role="alert">The query keeps no label le: there are no buckets.</p>')
    return _box(canvas, figures.heatmap(buckets, look, canvas.theme, canvas.window, canvas.size))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _state_timeline(canvas: Canvas) -> Drawn:
    return _box(canvas, figures.state_timeline(canvas.drawings(), canvas.theme, canvas.window, canvas.size))


def _table(canvas: Canvas) -> Drawn:
    return Drawn(html="".join(_table_lines(canvas)))


def _table_lines(canvas: Canvas) -> Iterator[str]:
    made = tables.table(canvas.panel, canvas.answer.series)
    looks = [canvas.look(column) for column in made.columns]
    numeric = [any(isinstance(row[at], float) for row in made.rows) for at in range(len(made.columns))]
    yield '<div class="scroll"><table><thead><tr>'
    for column, right in zip(made.columns, numeric, strict=True):
        yield f"<th scope='col'{' class=number' if right else ''}>{escape(column)}</th>"
    yield "</tr></thead><tbody>"
    for row in made.rows:
        yield "<tr>"
        for cell, look, right in zip(row, looks, numeric, strict=True):
            yield f"<td{' class=number' if right else ''}>{_cell(cell, look)}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def _cell(cell: float | str | None, look: Look) -> str:
    if cell is None or isinstance(cell, str):
        return escape(cell or "")
    shown = look.shown(cell)
    match look.custom.get("cellOptions", {}).get("type"):
        case "color-text":
            return f'<span style="color:{shown.colour}">{escape(shown.text)}</span>'
        case "color-background":
            style = f"background:{shown.colour};color:{on(shown.colour)}"
            return f'<span class="filled" style="{style}">{escape(shown.text)}</span>'
    return escape(shown.text)


def _logs(canvas: Canvas) -> Drawn:
    def line(at: float, level: str, text: str) -> str:
        colour = canvas.theme.colour(_LEVELS.get(level, "grey"))
        return (
            f'<li style="border-color:{colour}"><time>{figures.clock(at)}</time>'
            f'<b style="color:{colour}">{escape(level)}</b><code>{escape(text)}</code></li>'
        )

    items = "".join(line(read.at, read.level, read.text) for read in canvas.answer.lines)
    return Drawn(html=f'<ol class="lines scroll">{items}</ol>')


def _alert_list(canvas: Canvas) -> Drawn:
    if not canvas.answer.alerts:
        return Drawn(html='<p class="note">No alert fires or is pending.</p>')
    items = "".join(_alert(alert, canvas) for alert in canvas.answer.alerts)
    return Drawn(html=f'<ul class="listed scroll">{items}</ul>')


def _alert(alert: Alert, canvas: Canvas) -> str:
    colour = canvas.theme.colour("red" if alert.state == "firing" else "amber")
    passed = canvas.window.end - datetime.fromisoformat(alert.since).timestamp()
    labels = "".join(f"<small>{escape(name)}={escape(value)}</small>" for name, value in sorted(alert.labels.items()))
    return (
        f'<li><b class="state" style="background:{colour};color:{on(colour)}">{escape(alert.state)}</b>'
        f"<div><strong>{escape(alert.name)}</strong> <span>for {units.text(max(passed, 0), 's')}</span>"
        f"<p>{escape(alert.summary)}</p><p>{labels}</p></div></li>"
    )


def _dashboard_list(canvas: Canvas) -> Drawn:
    """The dashboards with all the tags that are asked for."""
    tags = {*canvas.panel.options.get("tags", [])}
    items = []
    for page in sorted(canvas.index.pages, key=lambda page: page.title):
        if tags <= {*page.tags}:
            path = canvas.index.path(f"/d/{page.uid}")
            title = f'<a href="{escape(path)}">{escape(page.title)}</a>' if path else f"<b>{escape(page.title)}</b>"
            items.append(f"<li>{title}<small>{escape(page.description)}</small></li>")
    return Drawn(html=f'<ul class="boards scroll">{"".join(items)}</ul>')


def _text(canvas: Canvas) -> Drawn:
    return Drawn(html=f'<pre class="text">{escape(str(canvas.panel.options.get("content", "")))}</pre>')


_KINDS: Mapping[str, Callable[[Canvas], Drawn]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "gauge": _gauge,
    "bargauge": _bar_gauge,
    "table": _table,
    "piechart": _pie,
    "heatmap": _heatmap,
    "state-timeline": _state_timeline,
    "logs": _logs,
    "alertlist": _alert_list,
    "dashlist": _dashboard_list,
    "text": _text,
}
