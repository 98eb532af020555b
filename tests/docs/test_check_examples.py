"""The message that the page of a check shows is the one that the check gives."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from conftest import MakePlan

from checks import CHECKS, secrets, versions
from dashboards import build
from dashboards.changes import digest
from stacks import render
from stacks.plan import Plan

CHECK = {check.name: check.judge for check in CHECKS}
# What is wrong with these files stands in their first lines; other tests see to it that it is so.
APPS = Path(__file__).resolve().parents[1] / "apps"
PAGES = Path(__file__).resolve().parents[2] / "docs" / "checks"
HERE = Path()

# What another machine says otherwise: numbers, processes, and the directory of the clone.
VARYING = (
    (r"pid \d+ \([^)]*\)", "a process"),
    (r"and /[\w./-]+ has \d+", "and there is"),
    (r"port \d+ \([\w -]+\)|\(now \d+\)", "port"),
)


def _example(check: str) -> list[str]:
    found = re.search(r"## Example\n\n```text\n(.*?)\n```", (PAGES / f"{check}.md").read_text(), re.DOTALL)
    assert found
    return [_steady(line) for line in found[1].splitlines()]


def _first_line(file: Path) -> str:
    return file.read_text().partition("\n")[0].removeprefix("# ")


def _steady(line: str) -> str:
    for pattern, word in VARYING:
        line = re.sub(pattern, word, line)
    return line


def _said(check: str, plan: Plan, tree: Path = HERE) -> list[str]:
    return [_steady(f"{check}: {problem}") for problem in CHECK[check](plan, tree)]


def test_routing(make_plan: MakePlan) -> None:
    made = make_plan()
    alert = next(alert for alert in made.alerts if alert.name == "SlowAPIResponses")
    astray = replace(alert, labels={**alert.labels, "severity": "page"})
    said, idle = _example("routing")
    assert _said("routing", replace(made, alerts=(astray,))) == [said]
    assert idle == f"routing: {_first_line(APPS / 'bad' / 'route-of-no-alert.yaml')}"


def test_alertroutes() -> None:
    assert _example("alertroutes") == [f"alertroutes: {_first_line(APPS / 'wrong.routing.yaml')}"]


def test_secrets(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = make_plan(secrets={"discord-webhook": {"file": "~/secrets/discord"}})
    absent, empty = _example("secrets")
    assert [f"secrets: {line}" for line in secrets.absent(made)] == [absent]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "discord").touch()
    assert _said("secrets", made) == [empty]


def test_disk(make_plan: MakePlan) -> None:
    made = make_plan(prometheus={"volume": "4TB"}, loki={"volume": "1GB"}, grafana={"enabled": False})
    assert _said("disk", made) == _example("disk")


def test_retention(make_plan: MakePlan) -> None:
    assert _said("retention", make_plan(prometheus={"retention": "1y"})) == _example("retention")


def test_versions(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "used", lambda _plan: {"prometheus": "3.13.5"})
    monkeypatch.setattr(versions, "today", lambda: date(2027, 8, 1))
    assert _said("versions", make_plan()) == _example("versions")


def test_references(make_plan: MakePlan) -> None:
    made = make_plan()
    alert = next(alert for alert in made.alerts if alert.name == "HighErrorRate")
    misspelt = replace(alert, expr='sum(rate(http_requests_total{staus=~"5.."}[5m])) > 5')
    assert _said("references", replace(made, alerts=(misspelt,), dashboards=())) == _example("references")


def test_dashboards(make_plan: MakePlan) -> None:
    made = make_plan(dashboards={"own": ["tests/dashboards/bad/removed_graph.json"]})
    assert _said("dashboards", made) == _example("dashboards")


def test_the_panel_that_the_page_of_dashboards_drops_is_the_one_of_today() -> None:
    [(uid, name, seen)] = re.findall(r"([\w-]+)/([\w-]+): \{.*seen: \"(\w+)\"", (PAGES / "dashboards.md").read_text())
    assert seen == next(digest(panel) for panel in build(uid).panels if panel.name == name)


def test_ports(make_plan: MakePlan) -> None:
    with _taken_port() as port:
        # The highest port of the stack, so that the offset to any free port is one that the settings take.
        assert set(_example("ports")) <= set(_said("ports", make_plan(port_offset=port - 16686)))


@contextmanager
def _taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("check", "file", "old", "new"),
    [
        ("prometheus", "prometheus/etc/rules/boss-workflow/v1/alerts.yml", "> 0.05", "> > 0.05"),
        ("alertmanager", "alertmanager/etc/alertmanager.yml", "discord-info", "discord-warning"),
        ("loki", "loki/etc/rules/fake/logs-v1-errors.yml", "severity_number >= 21", "severity_number > > 21"),
        ("jaeger", "jaeger/etc/jaeger.yml", "spans:", "span:"),
        ("collector", "otel-collector/etc/collector.yml", "check_interval:", "check_intervall:"),
    ],
)
def test_what_a_program_says(make_plan: MakePlan, tmp_path: Path, check: str, file: str, old: str, new: str) -> None:
    made = make_plan()
    files = render.tree(made)
    assert old in files[file]
    render.write({**files, file: files[file].replace(old, new)}, tmp_path)
    (tmp_path / "otel-collector" / "data").mkdir()
    assert set(_example(check)) <= set(_said(check, made, tmp_path))
