"""The sink keeps what Alertmanager sends, and lists it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgi_client import Client, opened

from workloads.tdd_project.webhook import WebhookSink

BODY = json.loads((Path(__file__).parent / "bodies" / "webhook.json").read_text())


@pytest.fixture(name="sink")
def _sink(tmp_path: Path) -> Iterator[Client]:
    sink = WebhookSink(tmp_path)
    with opened(sink.app) as client:
        yield client
    sink.close()


def test_what_arrives_is_listed_as_it_came_oldest_first(sink: Client, tmp_path: Path) -> None:
    assert sink.get("/webhook").json() == []
    for key in ("first", "second"):
        assert sink.post("/webhook", BODY | {"groupKey": key}).status_code == 200
    listed = sink.get("/webhook").json()
    assert [found["body"] for found in listed] == [BODY | {"groupKey": "first"}, BODY | {"groupKey": "second"}]
    assert all(found["received"].endswith("Z") for found in listed)
    assert [found["body"]["groupKey"] for found in sink.get("/webhook?contains=second").json()] == ["second"]
    lines = (tmp_path / "notifications.jsonl").read_text().splitlines()
    assert [json.loads(line)["body"]["groupKey"] for line in lines] == ["first", "second"]


def test_what_is_no_json_is_refused(sink: Client) -> None:
    answer = sink.request("POST", "/webhook", content=b"alert!")
    assert answer.status_code == 422
    assert "the body is not JSON" in answer.json()["error"]
    assert sink.get("/webhook").json() == []
