"""What is asked, and what becomes of the answers."""

import httpx
import sample

from pictures import data
from pictures.data import Answer, Sources, Window
from pictures.model import Panel


def answer(title: str) -> Answer:
    return next(got for panel, got in zip(sample.page().panels, sample.answers(), strict=True) if panel.title == title)


def panel(title: str) -> Panel:
    return next(panel for panel in sample.page().panels if panel.title == title)


def test_every_panel_has_its_answer() -> None:
    found = sample.answers()
    assert len(found) == len(sample.page().panels)
    assert sum(got.found for got in found) == 57


def test_series_are_named_by_the_legend_and_stand_at_even_times() -> None:
    series = answer("Rate").series
    assert [each.name for each in series] == ["/api/tasks", "/api/admin/{id}", "/health", "/quiet"]
    assert [len(each.values) for each in series] == [61] * 4
    assert series[0].times[:2] == (1_799_999_100.0, 1_799_999_115.0)
    assert series[0].times[-1] == sample.WINDOW.end


def test_a_time_without_samples_is_a_gap() -> None:
    values = answer("Rate").series[2].values
    assert [index for index, value in enumerate(values) if value is None] == list(range(20, 30))


def test_a_value_that_is_no_number_is_none() -> None:
    assert [series.last for series in answer("No reads").series] == [None]


def test_log_lines_are_newest_first_with_their_level() -> None:
    lines = answer("Log").lines
    assert [line.level for line in lines] == ["info", "error", "warn", "error", "info", "unknown"]
    assert lines[0].text == "GET /api/tasks 200"


def test_alerts_are_those_that_the_list_picks_firing_first() -> None:
    found = [(alert.name, alert.state, alert.summary) for alert in answer("Alerts").alerts]
    assert found == [
        ("TargetDown", "firing", "api:8000 does not answer"),
        ("SlowAPIResponses", "pending", "95 of 100 requests take up to 2.4 s"),
    ]
    assert answer("Quiet").alerts == ()


def test_an_error_is_told_in_the_words_of_the_server() -> None:
    assert answer("Broken").error == '400: parse error: unclosed "<left>" parenthesis'


def test_what_is_asked_is_what_grafana_asks() -> None:
    asked: list[httpx.Request] = []

    def served(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": {"resultType": "matrix", "result": []}})

    client = httpx.Client(transport=httpx.MockTransport(served))
    sources = Sources(prometheus="http://prometheus", loki=None, client=client)
    data.ask([panel("Rate")], sources, Window(end=1_800_000_007.0, seconds=900))
    [request] = asked
    span = {"query": "rate", "start": "1799999115", "end": "1800000000", "step": "15"}
    assert dict(request.url.params) == span


def test_a_long_time_is_asked_in_steps_of_about_a_pixel() -> None:
    narrow, wide = panel("Lonely"), panel("Checks")
    day = Window(end=0, seconds=86400)
    assert (day.step(narrow), day.step(wide)) == (300, 60)


def test_loki_that_does_not_run_and_a_server_that_is_gone_are_errors() -> None:
    def refused(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    sources = Sources(
        prometheus="http://prometheus", loki=None, client=httpx.Client(transport=httpx.MockTransport(refused))
    )
    logs, rate = data.ask([panel("Log"), panel("Rate")], sources, sample.WINDOW)
    assert logs.error == "Loki does not run in this environment"
    assert rate.error == "no answer from http://prometheus/api/v1/query_range: connection refused"
