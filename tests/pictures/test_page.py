"""The page, read back: layout, texts, colours, and the figures as Plotly takes them."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest
import sample
from plotly import graph_objects

from pictures import page
from pictures.model import Index
from pictures.theme import DARK, LIGHT, Theme

Json = dict[str, Any]


class _Reader(HTMLParser):
    """The text and markup of each panel, by title, the figures, and every address that is named."""

    def __init__(self) -> None:
        super().__init__()
        self.styles: dict[str, str] = {}
        self.texts: dict[str, list[str]] = {}
        self.tags: dict[str, list[tuple[str, dict[str, str | None]]]] = {}
        self.open: list[str] = []
        self.figures: dict[str, Json] = {}
        self.sources: list[str] = []
        self._panel = ""
        self._json = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if (name := found.get("id") or "").startswith("panel-"):
            self._panel = name
            self.styles[name] = found["style"] or ""
        self.tags.setdefault(self._panel, []).append((tag, found))
        self._json = found.get("id") == "figures"
        self.sources += [value for key, value in attrs if key == "src" and value]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._json:
            self.figures = json.loads(data)
            self._json = False
        elif self.open and self.open[-1] not in ("script", "style"):
            self.texts.setdefault(self._panel, []).append(data)


def html(theme: Theme = LIGHT, index: Index | None = None) -> str:
    return page.html(sample.page(), sample.answers(), "local", sample.WINDOW, theme, index or sample.index())


@pytest.fixture(scope="module")
def read() -> _Reader:
    reader = _Reader()
    reader.feed(html())
    assert reader.open == []
    return reader


def number(title: str) -> int:
    return next(panel.number for panel in sample.page().panels if panel.title == title)


def text(read: _Reader, title: str) -> str:
    return " ".join(" ".join(read.texts[f"panel-{number(title)}"]).split())


def figure(read: _Reader, title: str, part: str = "") -> Json:
    return read.figures[f"chart-{number(title)}{part}"]


def classes(read: _Reader, title: str) -> set[str]:
    return {name for _, attrs in read.tags[f"panel-{number(title)}"] for name in (attrs.get("class") or "").split()}


def test_the_same_answers_give_the_same_page() -> None:
    assert html() == html()


def test_it_needs_nothing_else(read: _Reader) -> None:
    assert read.sources == []
    assert html().count("plotly.js v") == 1


def test_every_panel_stands_where_grafana_would_put_it(read: _Reader) -> None:
    for panel in sample.page().panels:
        place = panel.place
        area = f"grid-area:{place.y + 1}/{place.x + 1}/span {place.height}/span {place.width}"
        assert read.styles[f"panel-{panel.number}"] == area
    assert page.height(sample.page()) == 16 + 84 + sample.page().rows * 38 + 28


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_plotly_takes_every_figure(theme: Theme) -> None:
    reader = _Reader()
    reader.feed(html(theme))
    boxes = [attrs["id"] for tags in reader.tags.values() for _, attrs in tags if attrs.get("class") == "chart"]
    assert sorted(reader.figures) == sorted(filter(None, boxes))
    for made in reader.figures.values():
        graph_objects.Figure(made)


def test_a_line_has_the_values_in_its_unit(read: _Reader) -> None:
    rate, _, gapped = figure(read, "Rate")["data"]
    assert rate["name"] == "/api/tasks"
    assert rate["text"][0] == "42 req/s"
    assert gapped["y"][20] is None
    # An area would go on across the gap.
    assert (rate["fill"], gapped.get("fill")) == ("tozeroy", None)
    assert figure(read, "Rate")["layout"]["yaxis"]["ticktext"] == ["0 req/s", "20 req/s", "40 req/s"]


def test_the_time_axis_shows_all_of_the_time(read: _Reader) -> None:
    assert figure(read, "Rate")["layout"]["xaxis"]["range"] == [1_799_999_100_000, 1_800_000_000_000]


def test_times_of_less_than_a_minute_apart_are_told_with_their_seconds(read: _Reader) -> None:
    short, else_ = figure(read, "Rate")["layout"]["xaxis"]["tickformatstops"]
    assert (short["dtickrange"], short["value"]) == ([None, 59_999], "%H:%M:%S")
    assert (else_["dtickrange"], else_["value"]) == ([60_000, None], "%H:%M")


def test_the_legend_has_last_and_max(read: _Reader) -> None:
    assert "/api/tasks Last 37.6 req/s Max 50.0 req/s" in text(read, "Rate")
    # It has no sample.
    assert "/quiet" not in text(read, "Rate")


def test_thresholds_are_lines_in_their_colours_where_the_axis_reaches(read: _Reader) -> None:
    [line] = figure(read, "Duration")["layout"]["shapes"]
    assert (line["y0"], line["yref"], line["line"]["color"]) == (0.3, "y", LIGHT.named["yellow"])
    [line] = figure(read, "Pool")["layout"]["shapes"]
    assert (line["y0"], line["line"]["color"], line["line"]["dash"]) == (5, LIGHT.named["red"], "dash")


def test_a_series_with_a_unit_of_its_own_has_the_right_axis(read: _Reader) -> None:
    made = figure(read, "Pool")
    assert [trace["yaxis"] for trace in made["data"]] == ["y", "y", "y2"]
    assert made["layout"]["yaxis2"]["side"] == "right"
    assert made["layout"]["yaxis2"]["ticktext"] == ["0 clients", "20 clients", "40 clients"]


def test_stacked_series_are_stacked(read: _Reader) -> None:
    made = figure(read, "Memory")
    assert [trace["stackgroup"] for trace in made["data"]] == ["y"] * 3
    assert made["layout"]["yaxis"]["ticktext"][-1] == "512 MiB"
    # Before the first sample there is nothing, not zero.
    assert [len(trace["x"]) for trace in made["data"]] == [57] * 3


def test_a_sample_without_neighbours_is_a_point(read: _Reader) -> None:
    [trace] = figure(read, "Lonely")["data"]
    assert trace["mode"] == "lines+markers"
    assert [index for index, size in enumerate(trace["marker"]["size"]) if size] == [30]
    assert trace["cliponaxis"] is False


def test_a_heatmap_shows_what_fell_into_each_bucket(read: _Reader) -> None:
    made = figure(read, "Latency")
    [trace] = made["data"]
    assert made["layout"]["yaxis"]["ticktext"] == [
        *("5 ms", "10 ms", "25 ms", "50 ms", "100 ms", "250 ms", "500 ms", "1 s", "2.50 s", "+Inf")
    ]
    column = [row[10] for row in trace["text"]]
    assert column[0] == ""
    assert column[1] == "1.30"
    assert [row[0] for row in trace["z"]] == [None] * 10


def test_a_state_timeline_has_a_piece_for_each_state(read: _Reader) -> None:
    [trace] = figure(read, "Checks")["data"]
    states = [(row, text) for row, text in zip(trace["y"], trace["customdata"], strict=True)]
    assert states == [(0, "up"), (0, "down"), (0, "up"), (1, "up"), (2, "up"), (2, "down"), (2, "up")]
    assert trace["x"][1] == 14 * 15_000
    assert trace["marker"]["color"][1] == LIGHT.named["red"]


def test_a_stat_has_the_colour_of_its_value_and_its_course(read: _Reader) -> None:
    assert "4.20%" in text(read, "Errors")
    [tile] = [attrs for _, attrs in read.tags[f"panel-{number('Errors')}"] if attrs.get("class") == "tile"]
    assert LIGHT.named["red"] in (tile["style"] or "")
    assert len(figure(read, "Errors")["data"][0]["y"]) == 61
    assert "37" in text(read, "Tasks")
    assert f"chart-{number('Tasks')}" not in read.figures


def test_a_stat_of_several_names_them(read: _Reader) -> None:
    assert "api 1.09 days worker 1.36 hours" in text(read, "Uptime")


def test_a_gauge_is_filled_and_coloured_by_its_value(read: _Reader) -> None:
    ring, dial = figure(read, "Hits")["data"]
    assert ring["marker"]["colors"][:3] == [LIGHT.named[name] for name in ("red", "yellow", "green")]
    assert dial["values"][0] / sum(dial["values"][:2]) == pytest.approx(0.934)
    assert dial["marker"]["colors"][0] == LIGHT.named["green"]
    assert figure(read, "Hits")["layout"]["annotations"][0]["text"] == "93.4%"
    assert figure(read, "Caches", "-1")["layout"]["annotations"][0]["text"] == "42%"


def test_words_stand_in_for_a_value_that_is_none(read: _Reader) -> None:
    assert figure(read, "No reads")["layout"]["annotations"][0]["text"] == "no reads"
    assert "none" in text(read, "Zero")


def test_a_bar_gauge_has_a_bar_a_series(read: _Reader) -> None:
    made = figure(read, "Disks")
    assert made["layout"]["yaxis"]["ticktext"] == ["/", "/var/lib/prometheus", "/srv", "/boot"]
    assert made["data"][1]["marker"]["color"] == [LIGHT.named[name] for name in ("green", "yellow", "red", "green")]
    assert [note["text"] for note in made["layout"]["annotations"]] == ["76%", "93%", "97%", "12%"]


def test_a_pie_has_shares_largest_first(read: _Reader) -> None:
    [trace] = figure(read, "Tasks by status")["data"]
    assert trace["labels"] == ["completed", "cancelled", "in_progress", "pending"]
    assert "completed 416 79%" in text(read, "Tasks by status")


def test_a_table_shows_its_columns_with_mapped_and_coloured_values(read: _Reader) -> None:
    assert "System Job Instance State shop api api:8000 down shop api api-2:8000 up" in text(read, "Targets")
    colours = [
        attrs["style"] for tag, attrs in read.tags[f"panel-{number('Targets')}"] if tag == "span" and "style" in attrs
    ]
    assert colours == [f"color:{LIGHT.named[name]}" for name in ("red", "green", "green")]


def test_a_table_of_two_queries_has_a_row_for_the_same_labels(read: _Reader) -> None:
    assert "Objective Promised Budget left shop-availability 99.5% 83% shop-latency 99% -12%" in text(
        read, "Objectives"
    )


def test_logs_alerts_and_dashboards_are_listed(read: _Reader) -> None:
    assert '2027-01-15 07:59:50 error {"level": "error", "message": "payment <b>refused</b>"' in text(read, "Log")
    assert "firing TargetDown for 20 mins api:8000 does not answer" in text(read, "Alerts")
    assert "No alert fires or is pending." in text(read, "Quiet")
    assert "Every <kind> Panels of every kind. Other Another one." in text(read, "Boards")


def test_an_empty_panel_says_why_or_is_red(read: _Reader) -> None:
    assert "No data" in text(read, "Missing")
    assert "no-data" in classes(read, "Missing")
    assert "Empty when nobody asks." in text(read, "Quiet by nature")
    assert "no-data" not in classes(read, "Quiet by nature")
    assert '400: parse error: unclosed "<left>" parenthesis' in text(read, "Broken")


def test_a_description_is_a_tooltip(read: _Reader) -> None:
    titles = [attrs.get("title") for _, attrs in read.tags[f"panel-{number('Rate')}"]]
    assert "Requests, <by> route." in titles


def test_links_lead_to_pages_that_are_there(read: _Reader) -> None:
    links = [attrs["href"] for tags in read.tags.values() for tag, attrs in tags if tag == "a"]
    assert "other.html" in links
    assert "gone.html" not in links
    alone = html(index=Index(pages=sample.index().pages, drawn=frozenset({"sample"})))
    assert "other.html" not in alone
    assert "<b>Other</b>" in alone
