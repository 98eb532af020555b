"""Alertmanager's webhook becomes alerts, groups, escalations and notifications; each is counted, none twice."""

import asyncio
import copy
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_client import Client, opened
from starlette.applications import Starlette
from starlette.routing import Route

from instrument import Metrics
from instrument.asgi import Exposition
from instrument.bridge import Bridge
from instrument.bridge.correlation import Correlator, Event
from instrument.bridge.webhook import BadPayload, parse

WEBHOOKS = Path(__file__).parent / "webhooks"
SESAME = "sesame"


def _payload(name: str) -> Any:
    return json.loads((WEBHOOKS / f"{name}.json").read_text())


class Rig:
    """A bridge with a clock to turn and a channel to break."""

    def __init__(self, token: str | None = None, **correlator: Any) -> None:
        self.now = 1_800_000_000.0
        self.told: list[Event] = []
        self.broken: set[str] = set()
        self.metrics = Metrics("graphmemory_", keep=0)
        self.bridge = Bridge(
            self.metrics,
            {"chat": self._chat, "page": self._page},
            token=token,
            correlator=Correlator(**correlator),
            clock=lambda: self.now,
        )
        self.app = Starlette(routes=[*self.bridge.routes(), Route("/metrics", Exposition(self.metrics))])

    def _chat(self, event: Event) -> None:
        if "chat" in self.broken:
            raise ConnectionError("chat is away")
        self.told.append(event)

    async def _page(self, _event: Event) -> None:
        if "page" in self.broken:
            raise ConnectionError("page is away")

    def events(self) -> list[str]:
        """What chat has been told since the last call."""
        told, self.told = self.told, []
        return [f"{event.kind} {event.group['id']}" for event in told]


def _value(client: Client, name: str, **labels: str) -> float:
    return client.value(f"graphmemory_{name}", **labels)


def _send(client: Client, *names: str) -> None:
    for name in names:
        assert client.post("/alerts", _payload(name)).status_code == 200


def _wait(rig: Rig, client: Client, seconds: float) -> None:
    rig.now += seconds
    client.run(rig.bridge.tick)


def test_alert_has_everything_that_the_payload_says() -> None:
    (alert,) = parse(_payload("postgres_resolved"))
    assert (alert.id, alert.name, alert.status) == ("0d044528574f3de9", "PostgresDown", "resolved")
    assert (alert.severity, alert.system, alert.component) == ("critical", "graphmemory", "database")
    assert alert.runbook == "http://runbooks/PostgresDown"
    assert alert.annotations["summary"] == "PostgresDown."
    assert (alert.body()["starts"], alert.body()["ends"]) == ("2026-11-21T16:16:42.213Z", "2026-11-21T16:16:48.213Z")
    (firing,) = parse(_payload("postgres_down"))
    assert firing.firing
    assert firing.ends is None


BAD = {
    "list": "payload: not an object",
    "version_3": "version: '3' is not known; this reads 4",
    "version_number": "version: missing, or not a text",
    "no_alerts": "alerts: missing, or not a list",
    "alerts_object": "alerts: missing, or not a list",
    "alert_text": "alerts[1]: not an object",
    "status": "alerts[0].status: 'pending' is neither firing nor resolved",
    "no_labels": "alerts[0].labels: not an object",
    "label_number": "alerts[0].labels.level: not a text",
    "annotation_null": "alerts[0].annotations.summary: not a text",
    "no_start": "alerts[0].startsAt: missing, or not a text",
    "start": "alerts[0].startsAt: 'yesterday' is not a time such as 2026-01-01T00:00:00Z",
    "start_without_zone": "alerts[0].startsAt: '2026-01-01T00:00:00' is not a time such as 2026-01-01T00:00:00Z",
    "end_out_of_range": "alerts[0].endsAt: '0001-01-01T00:00:00+05:00' is not a time such as 2026-01-01T00:00:00Z",
    "no_fingerprint": "alerts[0].fingerprint: missing, or not a text",
    "empty_fingerprint": "alerts[0].fingerprint: empty",
    "second_of_two": "alerts[1].startsAt: missing, or not a text",
    "not_json": "payload: not JSON",
}


@pytest.mark.parametrize("path", sorted((WEBHOOKS / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_payload_is_refused_as_a_whole(path: Path) -> None:
    rig = Rig()
    started = rig.now
    rig.now += 60
    with opened(rig.app) as client:
        answer = client.request("POST", "/alerts", content=path.read_bytes())
        assert (answer.status_code, answer.json()) == (400, {"error": BAD[path.stem]})
        assert _value(client, "alerts_received_total") == 0
        assert _value(client, "alert_bridge_last_success_timestamp_seconds") == started
        assert client.get("/groups").json() == []


def test_a_deeply_nested_or_very_large_body_is_refused() -> None:
    with opened(Rig().app) as client:
        assert client.request("POST", "/alerts", content=b"[" * 100_000).status_code == 400
        assert client.request("POST", "/alerts", content=b" " * (4 * 2**20 + 1)).status_code == 413
        assert client.request("POST", "/alerts", content=b"\xff\xfe").status_code == 400


def test_every_bad_payload_has_its_file() -> None:
    assert {path.stem for path in (WEBHOOKS / "bad").iterdir()} == BAD.keys()
    with pytest.raises(BadPayload):
        parse(None)


def test_two_alerts_of_a_component_make_one_group_that_resolves() -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        rig.now += 60
        _send(client, "postgres_down")
        (group,) = client.get("/groups").json()
        assert (group["system"], group["component"], group["state"]) == ("graphmemory", "database", "open")
        assert group["severity"] == "critical"
        assert [alert["name"] for alert in group["alerts"]] == ["SlowQueries", "PostgresDown"]
        assert {alert["group"] for alert in client.get("/alerts").json()} == {group["id"]}
        assert rig.events() == ["opened 1", "worsened 1"]
        _send(client, "postgres_resolved")
        assert [alert["name"] for alert in client.get("/alerts").json()] == ["SlowQueries"]
        assert rig.events() == []
        _send(client, "slow_queries_resolved")
        assert rig.events() == ["resolved 1"]
        assert client.get("/alerts").json() == []
        assert client.get("/groups").json()[0]["state"] == "resolved"
        assert _value(client, "alert_correlation_groups", state="open") == 0
        assert _value(client, "alert_correlation_groups", state="resolved") == 1
        assert _value(client, "alerts_received_total", severity="critical") == 2
        assert _value(client, "alert_notifications_total", channel="chat", status="success") == 3
        assert _value(client, "alert_bridge_last_success_timestamp_seconds") == rig.now


def test_what_is_sent_again_tells_nothing_new() -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries", "slow_queries", "slow_queries")
        assert rig.events() == ["opened 1"]
        _send(client, "slow_queries_resolved", "slow_queries_resolved", "postgres_resolved")
        assert rig.events() == ["resolved 1"]
        assert len(client.get("/groups").json()) == 1


@pytest.mark.parametrize(("apart", "groups"), [(300, 1), (301, 2)])
def test_alerts_further_apart_than_the_window_are_two_groups(apart: float, groups: int) -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        rig.now += apart
        _send(client, "slow_queries", "postgres_down")
        assert _value(client, "alert_correlation_groups", state="open") == groups


@pytest.mark.parametrize("label", ["system", "component"])
def test_other_systems_and_components_are_other_groups(label: str) -> None:
    other = _payload("postgres_down")
    other["alerts"][0]["labels"][label] = "elsewhere"
    del other["alerts"][0]["labels"]["severity"]
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        client.post("/alerts", other)
        assert rig.events() == ["opened 1", "opened 2"]
        assert _value(client, "alerts_received_total", severity="other") == 1


def test_an_alert_that_fires_again_belongs_to_its_open_group() -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries", "postgres_down", "postgres_resolved")
        rig.now += 3000
        _send(client, "postgres_down")
        assert len(client.get("/alerts").json()) == 2
        assert rig.events() == ["opened 1", "worsened 1"]


def test_the_watchdog_moves_the_timestamp_and_nothing_else() -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "watchdog")
        rig.now += 60
        _send(client, "watchdog")
        assert _value(client, "alert_bridge_last_success_timestamp_seconds") == rig.now
        assert _value(client, "alerts_received_total", severity="none") == 2
        assert client.get("/groups").json() == []
        assert rig.events() == []


def test_a_group_that_nobody_acknowledges_is_escalated_level_by_level() -> None:
    rig = Rig(escalation=(900, 1800, 3600))
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        rig.events()
        levels = []
        for seconds in (899, 1, 900, 1800, 3600):
            _wait(rig, client, seconds)
            levels.append((client.get("/groups").json()[0]["level"], len(rig.events())))
        assert levels == [(0, 0), (1, 1), (2, 1), (3, 1), (3, 0)]
        assert [_value(client, "alert_escalations_total", level=level) for level in "123"] == [1, 1, 1]


def test_an_acknowledged_group_is_not_escalated() -> None:
    rig = Rig()
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        assert client.post("/groups/1/ack", {}).json()["acknowledged"]
        assert client.post("/groups/1/ack", {}).status_code == 200
        _wait(rig, client, 10_000)
        assert _value(client, "alert_escalations_total") == 0
        assert client.post("/groups/7/ack", {}).status_code == 404
        _send(client, "slow_queries_resolved")
        assert client.post("/groups/1/ack", {}).status_code == 404


def test_a_channel_that_fails_is_counted_and_tried_again_in_order() -> None:
    rig = Rig()
    rig.broken = {"chat"}
    with opened(rig.app) as client:
        _send(client, "slow_queries", "postgres_down")
        assert _value(client, "alert_notifications_total", channel="chat", status="failure") == 2
        assert _value(client, "alert_notifications_total", channel="page", status="success") == 2
        _wait(rig, client, 1)
        assert _value(client, "alert_notifications_total", channel="chat", status="failure") == 3
        rig.broken = set()
        _wait(rig, client, 1)
        assert rig.events() == ["opened 1", "worsened 1"]
        assert _value(client, "alert_notifications_total", channel="page", status="failure") == 0
        _wait(rig, client, 1)
        assert rig.events() == []


def test_a_channel_that_hangs_holds_up_nobody_and_gets_no_second_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instrument.bridge.channels.TIMEOUT", 0.1)
    release = threading.Event()
    bridge = Bridge(Metrics(), {"slow": lambda _event: release.wait(60), "quick": lambda _event: None})
    before = threading.active_count()
    started = time.perf_counter()
    for _ in range(4):
        asyncio.run(bridge.handle(_payload("slow_queries")))
    assert time.perf_counter() - started < 10
    assert threading.active_count() <= before + 1
    release.set()


def test_an_alert_that_is_not_repeated_counts_as_resolved() -> None:
    rig = Rig(stale=3600.0, escalation=())
    with opened(rig.app) as client:
        _send(client, "slow_queries")
        _wait(rig, client, 3000)
        _send(client, "slow_queries")
        _wait(rig, client, 3000)
        assert rig.events() == ["opened 1"]
        _wait(rig, client, 600)
        assert rig.events() == ["resolved 1"]


def _many(count: int, change: Callable[[dict[str, Any], int], None]) -> Any:
    payload = _payload("slow_queries")
    first = payload["alerts"].pop()
    for number in range(count):
        alert = copy.deepcopy(first)
        change(alert, number)
        payload["alerts"].append(alert)
    return payload


def test_memory_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    def apart(alert: dict[str, Any], number: int) -> None:
        alert["fingerprint"] = str(number)
        alert["labels"]["component"] = str(number)

    rig = Rig(limit=10, remembered=3)
    with opened(rig.app) as client:
        client.post("/alerts", _many(15, apart))
        assert len(client.get("/alerts").json()) == 10
        assert "no room for alert SlowQueries" in caplog.text
        ended = _many(15, apart)
        for alert in ended["alerts"]:
            alert["status"] = "resolved"
        client.post("/alerts", ended)
        assert len(client.get("/groups").json()) == 3
        client.post("/alerts", _many(15, apart))
        assert len(client.get("/alerts").json()) == 10


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer wrong", "Basic sesame", "Bearer sesame2", "Bearer s\xe9"])
def test_without_the_token_nothing_is_taken(sent: str | None) -> None:
    rig = Rig(token=SESAME)
    headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
    with opened(rig.app) as client:
        for path in ("/alerts", "/groups/1/ack"):
            answer = client.request("POST", path, json=_payload("slow_queries"), headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"error": "a bearer token is needed"})
        assert client.get("/alerts").json() == []


def test_with_the_token_alerts_are_taken() -> None:
    rig = Rig(token=SESAME)
    with opened(rig.app) as client:
        headers = {"Authorization": f"Bearer {SESAME}"}
        answer = client.request("POST", "/alerts", json=_payload("slow_queries"), headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"received": 1})
