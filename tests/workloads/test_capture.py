"""The receiver stand-in keeps, filters, shows and bounds what arrives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi_client import Client, opened

from workloads import capture
from workloads.capture import Capture
from workloads.capture_page import Message, messages

BODIES = Path(__file__).parent / "bodies"


@pytest.fixture(name="sink")
def _sink(tmp_path: Path) -> Iterator[Client]:
    application = Capture(tmp_path / "data")
    with opened(application.app) as client:
        yield client
    application.notifications.close()


def _body(name: str) -> Any:
    return json.loads((BODIES / f"{name}.json").read_text())


def _found(sink: Client, query: str = "") -> list[str]:
    return [found["path"] for found in sink.get(f"/notifications{query}").json()]


def test_what_arrives_is_kept_in_memory_and_in_the_file(sink: Client, tmp_path: Path) -> None:
    answer = sink.post("/discord", _body("discord"))
    assert (answer.status_code, answer.text) == (200, "ok")
    sink.post("/team/a/webhook", _body("webhook"))
    told = sink.get("/notifications").json()
    assert [(found["path"], found["body"]) for found in told] == [
        ("/discord", _body("discord")),
        ("/team/a/webhook", _body("webhook")),
    ]
    lines = (tmp_path / "data" / "notifications.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == told


def test_notifications_are_filtered(sink: Client) -> None:
    sink.post("/discord", _body("discord"))
    sink.post("/heartbeat", _body("webhook"))
    sink.post("/slack", _body("slack"))
    second = sink.get("/notifications").json()[1]["received"]
    assert _found(sink, "?path=/discord") == ["/discord"]
    assert _found(sink, "?path=/disc") == []
    assert _found(sink, "?contains=HighErrorRate") == ["/discord"]
    assert _found(sink, "?contains=Über 2 s") == ["/heartbeat"]
    assert _found(sink, "?path=/slack&contains=HighErrorRate") == []
    assert _found(sink, "?since=1999-12-31T23:59:59Z") == ["/discord", "/heartbeat", "/slack"]
    assert "/heartbeat" in _found(sink, f"?since={second}")
    assert _found(sink, "?since=2999-01-01T00:00:00%2B02:00") == []


@pytest.mark.parametrize("since", ["yesterday", "2026-01-31T12:00:00", "5"])
def test_bad_since_is_refused(sink: Client, since: str) -> None:
    answer = sink.get(f"/notifications?since={since}")
    assert answer.status_code == 422
    assert answer.json()["error"].endswith("give a time such as 2026-01-31T12:00:00Z")


def test_delete_forgets_all(sink: Client) -> None:
    sink.post("/discord", {"content": "a"})
    sink.post("/discord", {"content": "b"})
    assert sink.request("DELETE", "/notifications").json() == {"deleted": 2}
    assert _found(sink) == []


def test_the_newest_thousand_are_kept(sink: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert capture.KEPT == 1000
    monkeypatch.setattr(capture, "KEPT", 3)
    for number in range(5):
        sink.post(f"/{number}", {})
    assert _found(sink) == ["/2", "/3", "/4"]


def test_memory_is_bounded_by_size_too(sink: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "KEPT_BYTES", 2500)
    for number in range(5):
        sink.post(f"/{number}", "x" * 1000)
    assert _found(sink) == ["/3", "/4"]


def test_large_body_is_refused(sink: Client) -> None:
    assert sink.post("/discord", "x" * (1024 * 1024 - 2)).status_code == 200
    answer = sink.post("/discord", "x" * (1024 * 1024 - 1))
    assert answer.status_code == 413
    assert answer.json()["error"] == "the body is larger than the 1048576 bytes accepted"
    assert len(_found(sink)) == 1


@pytest.mark.parametrize("body", ["", "hello", "NaN", '"\\ud800"', "[" * 5000])
def test_body_that_is_not_json_is_refused(sink: Client, body: str) -> None:
    assert sink.request("POST", "/webhook", content=body).status_code == 422
    assert _found(sink) == []


def test_page_shows_newest_first_and_escapes(sink: Client) -> None:
    assert "Nothing has arrived yet" in sink.get("/").text
    sink.post("/discord", _body("discord"))
    sink.post("/<i>path</i>", _body("webhook"))
    answer = sink.get("/")
    page = answer.text
    assert page.index("[RESOLVED] SlowAPIResponses") < page.index("[FIRING:1] HighErrorRate (api)")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<i>" not in page
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_page_tells_of_heartbeats_only_when_the_last_came(sink: Client) -> None:
    assert "Last heartbeat: none" in sink.get("/").text
    for _ in range(2):
        sink.post("/heartbeat", _body("webhook"))
    received = sink.get("/notifications").json()[-1]["received"]
    page = sink.get("/").text
    assert f"Last heartbeat: {received}" in page
    assert "SlowAPIResponses" not in page


def test_page_survives_any_json(sink: Client) -> None:
    bodies: list[object] = [1, "text", [1, {"a": 2}], {}, _body("odd")]
    for body in bodies:
        sink.post("/webhook", body)
    answer = sink.get("/")
    assert answer.status_code == 200
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slack", Message("[FIRING:2] KafkaConsumerLag", "2 groups are late")),
        (
            "webhook",
            Message(
                "[RESOLVED] SlowAPIResponses",
                "p95 was 4.9 s\nÜber 2 s since 5 minutes\n"
                "alertname=SlowAPIResponses severity=warning system=boss-workflow",
            ),
        ),
    ],
)
def test_message_is_what_a_person_would_read(name: str, message: Message) -> None:
    assert list(messages(_body(name))) == [message]


def test_metrics_fold_paths(sink: Client) -> None:
    for path in ("/discord", "/discord/critical", "/heartbeat", "/email", "/a", "/b"):
        sink.post(path, {})
    counts = {"discord": 2, "webhook": 0, "heartbeat": 1, "slack": 0, "email": 1, "other": 2}
    for kind, count in counts.items():
        assert sink.value("capture_notifications_total", path=kind) == count
        seen = sink.value("capture_last_notification_timestamp_seconds", path=kind)
        assert (seen > 1_700_000_000) is (count > 0)
    assert sink.value("capture_notifications_total") == 6


def test_healthz(sink: Client) -> None:
    assert sink.get("/healthz").text == "ok"
