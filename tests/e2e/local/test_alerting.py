"""A fault in the application becomes a notification, at once, once, and ends with the fault."""

from typing import Any

import pytest

from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e


def _states(one: Environment) -> dict[str, str]:
    alerts = one.get(9090, "/api/v1/alerts")["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["state"] for alert in alerts}


def _delivered(one: Environment, text: str) -> list[Any]:
    found: list[Any] = one.get(9099, "/notifications", path="/discord", contains=text)
    return found


def _fault(one: Environment, name: str, value: float) -> None:
    one.post(8000, "/_sim/fault", {"fault": name, "value": value})


def test_http_errors_are_delivered_as_critical_at_once_inhibit_their_sibling_and_resolve(one: Environment) -> None:
    one.up()
    for attempt in eventually(30):
        with attempt:
            assert one.get(9090, "/api/v1/query", query="boss:http_errors:ratio_rate5m")["data"]["result"]

    _fault(one, "http_errors", 0.3)
    _fault(one, "http_latency", 3)
    for attempt in eventually(40):
        with attempt:
            assert _states(one).get("HighErrorRate") == "pending"
    for attempt in eventually(20):
        with attempt:
            assert _states(one).get("HighErrorRate") == "firing"
    # A warning would wait for thirty seconds.
    for attempt in eventually(10):
        with attempt:
            [notification] = _delivered(one, "FIRING:1] HighErrorRate (critical)")
    assert "runbooks/HighErrorRate" in str(notification["body"])
    _fault(one, "http_errors", 0)

    for attempt in eventually(40):
        with attempt:
            [sibling] = one.get(9093, "/api/v2/alerts", filter='alertname="SlowAPIResponses"')
            assert sibling["status"]["state"] == "suppressed"
            assert sibling["status"]["inhibitedBy"]
    assert _delivered(one, "SlowAPIResponses") == []
    _fault(one, "http_latency", 0)

    # The share of errors in the last five minutes falls as good requests come in: more of them, sooner.
    one.post(8000, "/_sim/rate", {"per_second": 100})
    for attempt in eventually(150):
        with attempt:
            assert "HighErrorRate" not in _states(one)
    for attempt in eventually(30):
        with attempt:
            assert _delivered(one, "RESOLVED] HighErrorRate (critical)")
    one.post(8000, "/_sim/rate", {"per_second": 20})


def test_the_watchdog_beats_in_the_heartbeat_receiver(one: Environment) -> None:
    # What no Alertmanager was there to take yet, Prometheus sends again after a minute.
    for attempt in eventually(90):
        with attempt:
            assert one.get(9099, "/notifications", path="/heartbeat", contains="Watchdog")


def test_the_applications_log_lines_are_in_loki_with_their_fields(one: Environment) -> None:
    query = '{system="boss-workflow", service_name="boss-workflow"} | level=~"(?i)error"'
    _fault(one, "discord_errors", 1)
    for attempt in eventually(30):
        with attempt:
            assert one.get(3100, "/loki/api/v1/query_range", query=query, limit="5")["data"]["result"]
    _fault(one, "discord_errors", 0)
