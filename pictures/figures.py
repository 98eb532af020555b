"""Plotly figures, as the plain values that Plotly takes: one function a kind of chart.

A figure fills the box that it is put into. Texts of values and axes are ours, because Plotly does not know Grafana's
units.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pictures import units
from pictures.data import Series, Window
from pictures.look import Look, Shown
from pictures.theme import Theme, on, translucent

Json = dict[str, Any]

FONT = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_SHAPES = {"linear": "linear", "smooth": "spline", "stepBefore": "vh", "stepAfter": "hv"}
_PIXELS_A_TICK = 42
_BAR_PIXELS = 44
# The width of a letter of 12 pixels, in the widest font that a page may get.
_LETTER = 6.9


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A series with its look and colour."""

    series: Series
    look: Look
    colour: str

    @property
    def right(self) -> bool:
        return self.look.custom.get("axisPlacement") == "right"


@dataclass(frozen=True, kw_only=True)
class Size:
    """The box of a figure, in pixels."""

    width: float
    height: float


def timeseries(drawings: Sequence[Drawing], theme: Theme, window: Window, size: Size, look: Look) -> Json:
    """Lines over time, with axes on the left and, where a series asks for it, on the right."""
    stacked = look.custom.get("stacking", {}).get("mode") in ("normal", "percent")
    drawings = _trimmed(drawings) if stacked else drawings
    axes = {"yaxis": [drawing for drawing in drawings if not drawing.right]}
    axes["yaxis2"] = [drawing for drawing in drawings if drawing.right]
    shown = {name: on_it for name, on_it in axes.items() if on_it}
    layout = _layout(theme, xaxis=_time_axis(theme, window, size), hovermode="x unified", shapes=[])
    for name, on_it in shown.items():
        low, high = _range(on_it, stacked=stacked)
        layout[name] = _value_axis(theme, low, high, on_it[0].look, size)
        layout["shapes"] += _thresholds(on_it, "y" if name == "yaxis" else "y2", low, high)
    if "yaxis2" in layout:
        layout["yaxis2"] |= {"overlaying": "y", "side": "right", "showgrid": False} if "yaxis" in shown else {}
    return {"data": [_line(drawing, stacked=stacked) for drawing in drawings], "layout": layout}


def _trimmed(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Without the time before the first sample and after the last, which Plotly would stack as zero."""
    columns = list(zip(*(drawing.series.values for drawing in drawings), strict=True))
    there = [index for index, column in enumerate(columns) if any(value is not None for value in column)]
    kept = slice(there[0], there[-1] + 1)
    return [
        replace(
            drawing,
            series=replace(drawing.series, times=drawing.series.times[kept], values=drawing.series.values[kept]),
        )
        for drawing in drawings
    ]


def _line(drawing: Drawing, *, stacked: bool) -> Json:
    custom, values = drawing.look.custom, drawing.series.values
    opacity = custom.get("fillOpacity", 0) / 100
    trace: Json = {
        "type": "scatter",
        "mode": "lines",
        "name": drawing.series.name,
        "x": _milliseconds(drawing.series.times),
        "y": list(values),
        "text": [drawing.look.text(value) for value in values],
        "hovertemplate": "%{text}",
        "line": {
            "color": drawing.colour,
            "width": max(1.5, custom.get("lineWidth", 1)),
            "shape": _SHAPES.get(custom.get("lineInterpolation", "linear"), "linear"),
        },
        "fillcolor": translucent(drawing.colour, opacity),
        "yaxis": "y2" if drawing.right else "y",
        # A point at the end of the time is a whole one.
        "cliponaxis": False,
    }
    if stacked:
        trace |= {"stackgroup": trace["yaxis"]}
    elif opacity and not _has_gap(values):
        trace |= {"fill": "tozeroy"}
    # A sample without neighbours is no line.
    alone = [_alone(values, index) for index in range(len(values))]
    if any(alone) or custom.get("drawStyle") == "points":
        sizes = [5 if is_alone or custom.get("drawStyle") == "points" else 0 for is_alone in alone]
        mode = "markers" if custom.get("drawStyle") == "points" else "lines+markers"
        trace |= {"mode": mode, "marker": {"size": sizes, "color": drawing.colour, "line": {"width": 0}}}
    return _bars(trace, drawing.colour) if custom.get("drawStyle") == "bars" else trace


def _bars(trace: Json, colour: str) -> Json:
    kept = {name: trace[name] for name in ("name", "x", "y", "text", "hovertemplate", "yaxis")}
    return {**kept, "type": "bar", "textposition": "none", "marker": {"color": colour}}


def _has_gap(values: Sequence[float | None]) -> bool:
    """Whether samples lack between others: Plotly would fill the area below them all the same."""
    runs = [there for there, _ in itertools.groupby(values, key=lambda value: value is not None)]
    return runs.count(True) > 1


def _alone(values: Sequence[float | None], index: int) -> bool:
    before, after = values[max(index - 1, 0) : index], values[index + 1 : index + 2]
    return values[index] is not None and all(value is None for value in (*before, *after))


def _range(drawings: Sequence[Drawing], *, stacked: bool) -> tuple[float, float]:
    """What an axis shows: all values and soft limits with some air, or the hard limits."""
    if stacked:
        columns: Iterable[float] = (
            sum(value or 0 for value in column) for column in zip(*(d.series.values for d in drawings), strict=True)
        )
    else:
        columns = (value for drawing in drawings for value in drawing.series.values if value is not None)
    values = [value for value in columns if abs(value) != float("inf")]
    look = drawings[0].look
    values += [soft for name in ("axisSoftMin", "axisSoftMax") if (soft := look.custom.get(name)) is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        low, high = (low, 1.0) if low == 0 else (low - abs(low) / 10, high + abs(high) / 10)
    air = (high - low) * 0.06
    low, high = low - (air if low < 0 or low not in (0, look.custom.get("axisSoftMin")) else 0), high + air
    hard_low, hard_high = look.minimum, look.maximum
    return low if hard_low is None else hard_low, high if hard_high is None else hard_high


def _thresholds(drawings: Sequence[Drawing], axis: str, low: float, high: float) -> list[Json]:
    """Lines and bands where a series wants them, once each, as far as the axis reaches."""
    shapes: list[Json] = []
    for drawing in drawings:
        mode = drawing.look.custom.get("thresholdsStyle", {}).get("mode", "off")
        limits = drawing.look.limits
        ends = [*(value for value, _ in limits), high][1:]
        for (value, colour), end in zip(limits, ends, strict=True):
            place = {"xref": "paper", "x0": 0, "x1": 1, "yref": axis}
            if "area" in mode and value < high:
                band = {"type": "rect", "y0": max(value, low), "y1": min(end, high), "line": {"width": 0}}
                shapes.append({**place, **band, "fillcolor": translucent(colour, 0.12), "layer": "below"})
            if ("line" in mode or "dashed" in mode) and low <= value <= high:
                line = {"color": colour, "width": 1.5, "dash": "dash" if "dashed" in mode else "solid"}
                shapes.append({**place, "type": "line", "y0": value, "y1": value, "line": line})
    return [shape for index, shape in enumerate(shapes) if shape not in shapes[:index]]


def sparkline(drawing: Drawing, theme: Theme, colour: str) -> Json:
    """The course of a value, without axes."""
    low, high = _range([drawing], stacked=False)
    trace = _line(drawing, stacked=False) | {
        "mode": "lines",
        "line": {"color": colour, "width": 1.5},
        "fill": "tozeroy",
        "fillcolor": translucent(colour, 0.15),
        "hoverinfo": "skip",
    }
    del trace["hovertemplate"], trace["text"]
    hidden = {"visible": False, "fixedrange": True}
    layout = _layout(theme, xaxis={**hidden, "type": "date"}, yaxis={**hidden, "range": [low, high]})
    return {"data": [trace], "layout": layout | {"margin": dict.fromkeys("lrtb", 0)}}


def gauge(shown: Shown, value: float | None, look: Look, theme: Theme, size: Size) -> Json:
    """A dial with its thresholds around it."""
    low, high = look.minimum or 0.0, 100.0 if look.maximum is None else look.maximum
    filled = min(max((value if value is not None else low) - low, 0), high - low) / (high - low)
    # An arc of three quarters, from the lower left; what is below it is not drawn.
    arc, nothing = 0.75, "rgba(0,0,0,0)"
    ring = {
        "type": "pie",
        "sort": False,
        "direction": "clockwise",
        "rotation": 225,
        "textinfo": "none",
        "hoverinfo": "skip",
        "showlegend": False,
    }
    bounds = [low, *(min(max(limit, low), high) for limit, _ in look.limits), high]
    parts = [(end - start) / (high - low) * arc for start, end in itertools.pairwise(bounds)]
    colours = [colour for _, colour in look.steps]
    outer = {"values": [*parts, 1 - arc], "marker": {"colors": [*colours, nothing]}, "hole": 0.92}
    inner = {
        "values": [filled * arc, (1 - filled) * arc, 1 - arc],
        "marker": {"colors": [shown.colour, theme.track, nothing]},
        "hole": 0.68,
    }
    side = min(size.width, size.height)
    layout = _layout(theme, margin=dict.fromkeys("lrtb", 0))
    layout["annotations"] = [
        {
            "text": _escaped(shown.text),
            "font": {"size": _fitting(shown.text, side * 0.48, side * 0.2), "color": shown.colour},
            "x": 0.5,
            "y": 0.5,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "middle",
            "showarrow": False,
        }
    ]
    rings = [{**ring, **outer, "domain": _centred(1.0)}, {**ring, **inner, "domain": _centred(0.9)}]
    return {"data": rings, "layout": layout}


def _centred(part: float) -> Json:
    """The middle of the box, `part` of it in both directions."""
    return {"x": [0.5 - part / 2, 0.5 + part / 2], "y": [0.5 - part / 2, 0.5 + part / 2]}


def bar_gauge(drawings: Sequence[Drawing], theme: Theme, size: Size) -> Json:
    """A bar a series on a track, its name on the left and its value on the right."""
    lasts = [drawing.series.last for drawing in drawings]
    known = [value for value in lasts if value is not None]
    low = min([drawing.look.minimum or 0.0 for drawing in drawings])
    given = [drawing.look.maximum for drawing in drawings if drawing.look.maximum is not None]
    high = max(given or known or [1.0]) or 1.0
    names = [str(index) for index in range(len(drawings))]
    shown = [drawing.look.shown(value) for drawing, value in zip(drawings, lasts, strict=True)]
    thick = min(0.7, _BAR_PIXELS * len(drawings) / size.height)
    track = {"marker": {"color": theme.track}, "x": [high - low] * len(drawings), "hoverinfo": "skip"}
    bars = {
        "marker": {"color": [each.colour for each in shown]},
        "x": [min(max((value or low) - low, 0), high - low) for value in lasts],
        "text": [each.text for each in shown],
        "hovertemplate": "%{text}<extra></extra>",
    }
    common = {"type": "bar", "orientation": "h", "y": names, "textposition": "none", "width": thick, "base": low}
    letters = min(max(len(drawing.series.name) for drawing in drawings), int((size.width * 0.55 - 16) / _LETTER))
    labels = [_cut(drawing.series.name, letters) for drawing in drawings]
    layout = _layout(
        theme,
        barmode="overlay",
        margin={"l": letters * _LETTER + 16, "r": max(len(each.text) for each in shown) * 10 + 16, "t": 4, "b": 4},
        xaxis={"visible": False, "fixedrange": True, "range": [low, high]},
        yaxis={
            "autorange": "reversed",
            "fixedrange": True,
            "tickvals": names,
            "ticktext": [_escaped(label) for label in labels],
            "showgrid": False,
            "zeroline": False,
            "tickfont": {"color": theme.text, "size": 12},
            "ticks": "outside",
            "ticklen": 6,
            "tickcolor": "rgba(0,0,0,0)",
            "type": "category",
        },
    )
    layout["annotations"] = [
        {
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 8,
            "y": name,
            "text": _escaped(each.text),
            "showarrow": False,
            "font": {"color": each.colour, "size": 14},
        }
        for name, each in zip(names, shown, strict=True)
    ]
    return {"data": [{**common, **track}, {**common, **bars}], "layout": layout}


def pie(drawings: Sequence[Drawing], theme: Theme, *, donut: bool) -> Json:
    """Shares of a whole; the legend beside it is not part of the figure."""
    values = [drawing.series.last or 0 for drawing in drawings]
    trace = {
        "type": "pie",
        "labels": [drawing.series.name for drawing in drawings],
        "values": values,
        "text": [drawing.look.text(drawing.series.last) for drawing in drawings],
        "marker": {
            "colors": [drawing.colour for drawing in drawings],
            "line": {"color": theme.panel, "width": 1.5},
        },
        "sort": False,
        "direction": "clockwise",
        "hole": 0.6 if donut else 0,
        "textinfo": "none",
        "hovertemplate": "%{label}: %{text} (%{percent})<extra></extra>",
        "showlegend": False,
    }
    return {"data": [trace], "layout": _layout(theme, margin=dict.fromkeys("lrtb", 8))}


def heatmap(buckets: Sequence[Series], look: Look, theme: Theme, window: Window, size: Size) -> Json:
    """How many observations fell into each bucket; Prometheus counts a bucket with all smaller ones in it."""
    ordered = sorted(buckets, key=lambda series: float(series.name))
    lower: Sequence[float | None] = [0.0] * len(ordered[0].values)
    rows: list[list[float | None]] = []
    for series in ordered:
        rows.append([_difference(value, below) for value, below in zip(series.values, lower, strict=True)])
        lower = [below if value is None else value for value, below in zip(series.values, lower, strict=True)]
    names = [units.text(float(series.name), look.unit) for series in ordered]
    trace = {
        "type": "heatmap",
        "x": _milliseconds(ordered[0].times),
        "y": list(range(len(names))),
        # The root brings out the small counts, as Grafana's exponential scale does.
        "z": [[None if value is None else value**0.5 for value in row] for row in rows],
        "text": [["" if value is None else units.number(value) for value in row] for row in rows],
        "customdata": [[name] * len(ordered[0].times) for name in names],
        "hovertemplate": "up to %{customdata}: %{text}<extra></extra>",
        "colorscale": _oranges(theme),
        "showscale": False,
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }
    every = max(1, round(len(names) * 18 / size.height + 0.49))
    marked = list(range(0, len(names), every))
    axis = {
        **_axis(theme),
        "tickvals": marked,
        "ticktext": [names[index] for index in marked],
        "showgrid": False,
        "automargin": True,
        "fixedrange": True,
    }
    return {"data": [trace], "layout": _layout(theme, xaxis=_time_axis(theme, window, size), yaxis=axis)}


def _difference(value: float | None, below: float | None) -> float | None:
    """Observations in one bucket; none is no cell."""
    found = (value or 0) - (below or 0)
    return found if value is not None and found > 1e-9 else None


def _oranges(theme: Theme) -> list[list[Any]]:
    dark = ["#3d2b1c", "#7f3b0b", "#d9620d", "#ff9d45", "#ffe1bf"]
    light = ["#fdebd8", "#fdc38d", "#f98e3c", "#d9570c", "#8a2f04"]
    colours = dark if theme.name == "dark" else light
    return [[index / (len(colours) - 1), colour] for index, colour in enumerate(colours)]


def state_timeline(drawings: Sequence[Drawing], theme: Theme, window: Window, size: Size) -> Json:
    """A band a series; neighbouring samples that look alike are one piece."""
    pieces = [(row, piece) for row, drawing in enumerate(drawings) for piece in _pieces(drawing)]
    a_millisecond = (size.width - 120) / (window.seconds * 1000)
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [row for row, _ in pieces],
        "base": [piece.start * 1000 for _, piece in pieces],
        "x": [(piece.end - piece.start) * 1000 for _, piece in pieces],
        "marker": {"color": [piece.shown.colour for _, piece in pieces], "line": {"width": 0}},
        "customdata": [piece.shown.text for _, piece in pieces],
        "text": [
            _escaped(piece.shown.text)
            if len(piece.shown.text) * 8 < (piece.end - piece.start) * 1000 * a_millisecond
            else ""
            for _, piece in pieces
        ],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "insidetextfont": {"color": [on(piece.shown.colour) for _, piece in pieces], "size": 12},
        "hovertemplate": "%{customdata}<extra></extra>",
        "width": 0.8,
    }
    names = [_escaped(_cut(drawing.series.name, 28)) for drawing in drawings]
    axis = {
        **_axis(theme),
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "autorange": "reversed",
        "showgrid": False,
        "automargin": True,
        "fixedrange": True,
        "tickfont": {"color": theme.text, "size": 12},
    }
    layout = _layout(theme, xaxis=_time_axis(theme, window, size), yaxis=axis, bargap=0)
    return {"data": [trace], "layout": layout}


@dataclass(frozen=True)
class _Piece:
    shown: Shown
    start: float
    end: float


def _pieces(drawing: Drawing) -> list[_Piece]:
    samples = zip(drawing.series.times, drawing.series.values, strict=True)
    times = drawing.series.times
    step = times[1] - times[0] if len(times) > 1 else 15.0
    found = []
    for shown, run in itertools.groupby(
        samples, key=lambda sample: None if sample[1] is None else drawing.look.shown(sample[1])
    ):
        at = [time for time, _ in run]
        if shown is not None:
            found.append(_Piece(shown, at[0], at[-1] + step))
    return found


def _layout(theme: Theme, **more: Any) -> Json:
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": theme.faint},
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "showlegend": False,
        "dragmode": "zoom",
        "hoverlabel": {"bgcolor": theme.panel, "bordercolor": theme.border, "font": {"color": theme.text}},
        **more,
    }


def _axis(theme: Theme) -> Json:
    return {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "ticks": "",
        "ticklabelstandoff": 4,
        "tickfont": {"color": theme.faint, "size": 12},
    }


def _time_axis(theme: Theme, window: Window, size: Size) -> Json:
    long = window.seconds > 86400
    within_a_day = [
        {"dtickrange": [None, 59_999], "value": "%H:%M:%S"},
        {"dtickrange": [60_000, None], "value": "%H:%M"},
    ]
    return {
        **_axis(theme),
        "type": "date",
        "range": [(window.end - window.seconds) * 1000, window.end * 1000],
        "spikecolor": theme.faint,
        "spikethickness": 1,
        "spikedash": "dot",
        **({"tickformat": "%m-%d %H:%M"} if long else {"tickformatstops": within_a_day}),
        "hoverformat": "%Y-%m-%d %H:%M:%S",
        "nticks": max(3, int(size.width / (110 if long else 75))),
        "automargin": True,
    }


def _value_axis(theme: Theme, low: float, high: float, look: Look, size: Size) -> Json:
    ticks = units.ticks(low, high, look.unit, max(2, int(size.height / _PIXELS_A_TICK)))
    return {
        **_axis(theme),
        "range": [low, high],
        "tickvals": [value for value, _ in ticks],
        "ticktext": [_escaped(text) for _, text in ticks],
        "automargin": True,
        # Labels do not follow a zoom upward: they are ours.
        "fixedrange": True,
    }


def _milliseconds(times: Sequence[float]) -> list[int]:
    return [round(time * 1000) for time in times]


def _escaped(text: str) -> str:
    """Plotly reads a little HTML in texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    """Without its middle if it is too long: names differ at their ends."""
    if len(text) <= length:
        return text
    half = max(length - 1, 2) // 2
    return f"{text[:half]}…{text[-half:]}"


def _fitting(text: str, width: float, height: float) -> float:
    """The size of letters with which `text` fits."""
    return round(max(10.0, min(height, width / max(len(text), 1) / 0.6)), 1)


def clock(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time as people read it, in UTC: a picture is looked at in many places."""
    return datetime.fromtimestamp(seconds, UTC).strftime(form)
