"""Rules on logs in the real Loki: lines handed to the collector make an alert fire, and reach the owner of the log."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e

CASES = yaml.safe_load((Path(__file__).parents[2] / "rules" / "log_cases.yml").read_text())
SERVICES = {case["name"]: f"case-{number}" for number, case in enumerate(CASES)}
# OpenTelemetry's numbers.
SEVERITIES = {"warn": 13, "error": 17, "fatal": 21}
# LogSourceSilent is looked at once a minute.
SECONDS = 100
RULES = "rules/logs/v1/errors.yml"


def _records(block: dict[str, Any], now: float) -> Iterator[dict[str, Any]]:
    """The lines of a block, oldest first, as OTLP writes them in JSON."""
    length = 60 * (block["from"] - block["until"])
    for number in range(block["count"]):
        at = now - 60 * block["from"] + length * number / block["count"]
        severity = {"severityNumber": SEVERITIES[block["severity"]]} if "severity" in block else {}
        yield {"timeUnixNano": str(int(at * 1e9)), "body": {"stringValue": block["text"]}, **severity}


def _logs(case: dict[str, Any], now: float) -> dict[str, Any]:
    service = SERVICES[case["name"]]
    resource = {"service.name": service, "app": service, "system": case["system"]}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    records = [record for block in case["lines"] for record in _records(block, now)]
    return {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]}


def _firing(one: Environment) -> set[tuple[str, str, str]]:
    """Alert, service and system of what fires in Loki for a service of a case."""
    alerts = one.get(3100, "/prometheus/api/v1/alerts")["data"]["alerts"]
    labels = [alert["labels"] for alert in alerts if alert["state"] == "firing"]
    return {
        (each["alertname"], each["service_name"], each["system"])
        for each in labels
        if each["service_name"] in SERVICES.values()
    }


@pytest.fixture(scope="module")
def judged(one: Environment) -> set[tuple[str, str, str]]:
    """What has fired once every case has been looked at. Some of it does not for long."""
    one.up()
    now = time.time()
    for case in CASES:
        one.post(4318, "/v1/logs", {"resourceLogs": [_logs(case, now)]})
    wanted = {(case["alert"], SERVICES[case["name"]], case["system"]) for case in CASES if case["fires"]}
    seen: set[tuple[str, str, str]] = set()
    for attempt in eventually(SECONDS):
        with attempt:
            seen |= _firing(one)
            assert wanted <= seen
    return seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_alert_on_logs(one: Environment, judged: set[tuple[str, str, str]], case: dict[str, Any]) -> None:
    service = SERVICES[case["name"]]
    # All lines have arrived: silence is not for want of them.
    query = f'sum(count_over_time({{service_name="{service}"}}[90m]))'
    [found] = one.get(3100, "/loki/api/v1/query", query=query)["data"]["result"]
    assert int(found["value"][1]) == sum(block["count"] for block in case["lines"])
    assert ((case["alert"], service, case["system"]) in judged) == case["fires"]


def test_the_owner_of_the_log_is_told(one: Environment, judged: set[tuple[str, str, str]]) -> None:
    """By the system of the stream: the platform's alerts go to the first system, and here both are told on Discord."""
    wanted = {(alert, service, system) for alert, service, system in judged if alert != "LogErrorsHigh"}
    assert {system for _, _, system in wanted} == {"boss-workflow", "platform"}
    for alert, service, system in sorted(wanted):
        found = one.get(9093, "/api/v2/alerts", filter=f'service_name="{service}"')
        [at] = [each for each in found if each["labels"]["alertname"] == alert]
        assert at["labels"] | {"cluster": "one", "environment": "one", "system": system} == at["labels"]
        assert [receiver["name"] for receiver in at["receivers"]] == ["discord-warning"]
        for attempt in eventually(45):
            with attempt:
                assert one.get(9099, "/notifications", path="/discord", contains=f"{service} ")


def test_an_edit_of_a_rule_on_logs_is_in_force_without_a_restart(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before = one.pids()
    edit(RULES, "severity_number >= 21", "severity_number >= 22")
    assert "loki updated" in one.up()
    for attempt in eventually(30):
        with attempt:
            groups = one.get(3100, "/prometheus/api/v1/rules")["data"]["groups"]
            queries = {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}
            assert "severity_number>=22" in queries["LogFatal"].replace(" ", "")
    assert one.pids() == before


def test_broken_logql_is_refused_with_file_and_line_and_nothing_changes(
    one: Environment, edit: Callable[[str, str, str], None]
) -> None:
    one.up()
    before = one.pids()
    edit(RULES, "severity_number >= 21", "severity_number > > 21")
    output = one.up(check=False)
    lines = (one.clone / RULES).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if "alert: LogFatal" in text)
    assert f"loki: {RULES}:{line}: could not parse expression for alert 'LogFatal'" in output
    assert one.pids() == before


def test_the_overrides_of_rules_on_logs_are_in_force(one: Environment) -> None:
    text = httpx.get(one.url(3100, "/loki/api/v1/rules"), trust_env=False).text
    groups = [group for groups in yaml.safe_load(text).values() for group in groups]
    waits = {rule["alert"]: rule.get("for", "0s") for group in groups for rule in group["rules"]}
    assert waits == {"LogErrorsHigh": "4s", "LogFatal": "0s", "LogSourceSilent": "0s"}
