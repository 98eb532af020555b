"""./watchstack drift on an environment that is up: nothing where nothing is changed, and each change by its name."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e


def _drift(one: Environment, *arguments: str) -> set[tuple[str, str, str]]:
    found: list[dict[str, Any]] = one.watchstack("drift", *arguments, check=False)["drift"]
    return {(each["part"], each["what"], each["detail"]) for each in found}


@contextmanager
def _edited(file: Path, old: str, new: str) -> Iterator[None]:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        file.write_text(text)


def _reload(one: Environment, service: str, proof: Callable[[], Any]) -> None:
    before = proof()
    os.kill(one.pids()[service], signal.SIGHUP)
    for attempt in eventually(20):
        with attempt:
            assert proof() != before


def test_what_is_as_the_code_says_has_not_drifted(one: Environment) -> None:
    assert _drift(one) == set()


def test_a_file_that_was_edited_by_hand_is_named(one: Environment) -> None:
    with _edited(one.home / "loki" / "etc" / "loki.yml", "\n", "\n# by hand\n"):
        assert _drift(one) == {("files", "loki/etc/loki.yml", "was edited"), ("resources", "Service loki", "update")}
    assert _drift(one) == set()


def test_a_rule_and_a_job_that_were_changed_at_run_time_alone_are_named(one: Environment) -> None:
    etc = one.home / "prometheus" / "etc"
    rules = etc / "rules" / "boss-workflow" / "v1" / "alerts.yml"

    def proof() -> Any:
        return one.get(9090, "/api/v1/rules")["data"]["groups"], one.get(9090, "/api/v1/status/config")

    with (
        _edited(rules, "severity: critical", "severity: warning"),
        _edited(etc / "prometheus.yml", "scrape_interval: 2s", "scrape_interval: 3s"),
    ):
        _reload(one, "prometheus", proof)
    # On disk all is as it was: only what is loaded differs.
    found = _drift(one)
    assert {part for part, _, _ in found} == {"prometheus"}
    assert any(what.startswith("prometheus: rule boss-workflow/v1/alerts.yml: ") for _, what, _ in found)
    assert ("prometheus", "prometheus: global.scrape_interval", "the file says '2s', loaded is '3s'") in found
    _reload(one, "prometheus", proof)
    assert _drift(one) == set()


def test_a_route_that_was_changed_at_run_time_alone_is_named(one: Environment) -> None:
    def proof() -> Any:
        return one.get(9093, "/api/v2/status")["config"]["original"]

    with _edited(one.home / "alertmanager" / "etc" / "alertmanager.yml", "repeat_interval: 4h", "repeat_interval: 5h"):
        _reload(one, "alertmanager", proof)
    [(part, what, detail)] = _drift(one)
    assert part == "alertmanager"
    assert what.endswith("repeat_interval")
    assert detail == "the file says '4h', loaded is '5h'"
    _reload(one, "alertmanager", proof)


def test_a_process_that_does_not_run_is_named(one: Environment) -> None:
    one.supervisor._ask("stopProcess", "jaeger")
    textfile = one.home / "node-exporter" / "textfile" / "drift.prom"
    try:
        found = _drift(one, "--textfile", str(textfile))
        assert found == {("services", "jaeger", "does not run"), ("resources", "Service jaeger", "update")}
        assert 'watchstack_environment_drift{of="one",part="services"} 1\n' in textfile.read_text()
        for attempt in eventually(20):
            with attempt:
                asked = one.get(9090, "/api/v1/query", query='watchstack_environment_drift{part="services"}')
                assert [series["value"][1] for series in asked["data"]["result"]] == ["1"]
        for attempt in eventually(20):
            with attempt:
                states = {alert["labels"].get("part"): alert["state"] for alert in _alerts(one, "EnvironmentDrifted")}
                assert states == {"services": "pending", "resources": "pending"}
    finally:
        one.supervisor._ask("startProcess", "jaeger")
        textfile.unlink(missing_ok=True)
    for attempt in eventually(20):
        with attempt:
            assert _drift(one) == set()


def _alerts(one: Environment, name: str) -> list[dict[str, Any]]:
    alerts = one.get(9090, "/api/v1/alerts")["data"]["alerts"]
    return [alert for alert in alerts if alert["labels"]["alertname"] == name]


def test_an_environment_that_is_not_up_cannot_be_compared(one: Environment) -> None:
    (one.clone / "stacks" / "env" / "Pulumi.gone.yaml").write_text(
        (one.clone / "stacks" / "env" / "Pulumi.one.yaml").read_text()
    )
    gone = Environment("gone", one.clone)
    assert "is not up" in json.dumps(gone.watchstack("drift", check=False)["refused"])
    assert not list((one.clone / ".watchstack" / "state").rglob("gone.json*"))
