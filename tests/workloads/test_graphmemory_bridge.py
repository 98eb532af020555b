"""The alert bridge: what comes in from Alertmanager, what goes out, and what goes wrong on demand."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgi_client import Client, opened
from exposition import differences

from workloads.graphmemory.bridge import FAULTS, GraphMemoryBridge

STARTS = "2026-01-01T00:00:00Z"
TOKEN = "not-a-secret"  # noqa: S105 - of this test


def _alert(name: str, component: str, status: str = "firing", severity: str = "critical") -> dict[str, Any]:
    labels = {"alertname": name, "severity": severity, "system": "graphmemory", "component": component}
    ends = STARTS if status == "resolved" else "0001-01-01T00:00:00Z"
    times = {"startsAt": STARTS, "endsAt": ends}
    return {"status": status, "labels": labels, "annotations": {}, "fingerprint": name} | times


def _batch(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "receiver": "graphmemory-bridge", "alerts": list(alerts)}


@pytest.fixture(name="bridge")
def _bridge() -> Iterator[Client]:
    with opened(GraphMemoryBridge(1, pace=0, every=0.02).app) as client:
        yield client


def _switch(bridge: Client, fault: str, value: float) -> None:
    assert bridge.post("/_sim/fault", {"fault": fault, "value": value}).status_code == 200


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def _sent(bridge: Client) -> float:
    return bridge.value("graphmemory_alert_notifications_total", status="success")


def test_exposition_is_the_catalogue_before_and_after_alerts(bridge: Client) -> None:
    assert differences("graphmemory", "graphmemory-bridge", bridge.get("/metrics").text) == []
    _switch(bridge, "escalate_after", 0.01)
    _switch(bridge, "notify_errors", 1)
    bridge.post("/alerts", _batch(_alert("GraphMemoryPostgresDown", "database", severity="fatal")))
    assert _until(lambda: bridge.value("graphmemory_alert_escalations_total", level="3") >= 1)
    assert bridge.value("instrument_faults_total") == 0
    assert differences("graphmemory", "graphmemory-bridge", bridge.get("/metrics").text) == []


def test_alert_becomes_a_group_a_notification_a_channel_and_ends(
    bridge: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "graphmemory.bridge")
    down, slow = _alert("GraphMemoryPostgresDown", "database"), _alert("GraphMemorySlowQueries", "database")
    before = time.time()
    assert bridge.post("/alerts", _batch(down)).json() == {"received": 1}
    bridge.post("/alerts", _batch(slow))
    (group,) = bridge.get("/groups").json()
    assert [alert["name"] for alert in group["alerts"]] == ["GraphMemoryPostgresDown", "GraphMemorySlowQueries"]
    assert _sent(bridge) == 2
    assert {record.__dict__["channel"] for record in caplog.records} == {"email", "slack"}
    assert bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds") >= before
    assert bridge.value("graphmemory_alerts_received_total", severity="critical") == 2
    bridge.post("/alerts", _batch(down | {"status": "resolved"}, slow | {"status": "resolved"}))
    assert bridge.value("graphmemory_alert_correlation_groups", state="open") == 0
    assert bridge.value("graphmemory_alert_correlation_groups", state="resolved") == 1
    assert _sent(bridge) == 4


def test_watchdog_moves_the_timestamp_and_tells_nobody(bridge: Client) -> None:
    bridge.post("/alerts", _batch(_alert("Watchdog", "prometheus", severity="none")))
    first = bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds")
    bridge.post("/alerts", _batch(_alert("Watchdog", "prometheus", severity="none")))
    assert bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds") > first > 0
    assert bridge.value("graphmemory_alerts_received_total", severity="none") == 2
    assert (bridge.get("/groups").json(), _sent(bridge)) == ([], 0)


def test_group_escalates_until_somebody_acknowledges_it(bridge: Client) -> None:
    _switch(bridge, "escalate_after", 0.2)
    bridge.post("/alerts", _batch(_alert("GraphMemoryRedisDown", "cache")))
    assert _until(lambda: bridge.value("graphmemory_alert_escalations_total", level="1") == 1)
    (group,) = bridge.get("/groups").json()
    assert bridge.post(f"/groups/{group['id']}/ack", {}).json()["acknowledged"]
    time.sleep(0.3)
    assert bridge.value("graphmemory_alert_escalations_total") == 1


def test_escalation_is_as_configured_without_the_fault() -> None:
    with opened(GraphMemoryBridge(1, pace=0, every=0.02, escalation=(0.0, 3600, 7200)).app) as bridge:
        bridge.post("/alerts", _batch(_alert("GraphMemoryRedisDown", "cache")))
        assert _until(lambda: bridge.value("graphmemory_alert_escalations_total", level="1") == 1)
        assert bridge.value("graphmemory_alert_escalations_total") == 1


def test_notify_errors_fail_on_every_channel_and_are_made_up_for(bridge: Client) -> None:
    _switch(bridge, "notify_errors", 1)
    name = "graphmemory_alert_notifications_total"
    assert _until(lambda: bridge.value(name, channel="email", status="failure") > 2)
    assert _until(lambda: bridge.value(name, channel="slack", status="failure") > 2)
    assert _sent(bridge) == 0
    assert [alert["name"] for alert in bridge.get("/alerts").json()] == ["GraphMemoryNotificationTest"]
    _switch(bridge, "notify_errors", 0)
    # That it was there, and that it is over.
    assert _until(lambda: _sent(bridge) == 4)
    assert bridge.get("/alerts").json() == []


def test_bridge_that_stalls_takes_nothing_and_its_timestamp_stops(bridge: Client) -> None:
    bridge.post("/alerts", _batch(_alert("Watchdog", "prometheus", severity="none")))
    before = bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds")
    _switch(bridge, "bridge_stall", 1)
    answer = bridge.post("/alerts", _batch(_alert("Watchdog", "prometheus", severity="none")))
    assert (answer.status_code, answer.json()) == (503, {"error": "stalled"})
    assert bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds") == before
    assert bridge.value("graphmemory_alerts_received_total") == 1
    assert (bridge.get("/health").status_code, bridge.get("/health/live").status_code) == (503, 200)
    _switch(bridge, "bridge_stall", 0)
    assert bridge.post("/alerts", _batch(_alert("Watchdog", "prometheus", severity="none"))).status_code == 200
    assert bridge.get("/health").status_code == 200


def test_alerts_need_the_token() -> None:
    with opened(GraphMemoryBridge(1, pace=0, token=TOKEN).app) as bridge:
        batch = _batch(_alert("GraphMemoryRedisDown", "cache"))
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert bridge.request("POST", "/alerts", json=batch, headers=headers).status_code == 401
        assert bridge.get("/groups").json() == []
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert bridge.request("POST", "/alerts", json=batch, headers=headers).status_code == 200


@pytest.mark.parametrize("body", ["{", "[]", '{"version": "3", "alerts": []}', '{"version": "4"}'])
def test_what_alertmanager_does_not_send_is_refused(bridge: Client, body: str) -> None:
    started = bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds")
    assert bridge.request("POST", "/alerts", content=body).status_code == 400
    assert bridge.value("graphmemory_alerts_received_total") == 0
    assert bridge.value("graphmemory_alert_bridge_last_success_timestamp_seconds") == started > 0


def test_all_faults_are_told(bridge: Client) -> None:
    assert [fault["fault"] for fault in bridge.get("/_sim/faults").json()] == [fault.name for fault in FAULTS]
