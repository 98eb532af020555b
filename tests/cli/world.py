"""An environment that answers and nothing more: Prometheus, Alertmanager, capture receiver and one application.

It goes one step on each time that Prometheus is asked, so that tests wait for nothing.
"""

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from stacks import plan
from stacks.plan import Plan
from stacks.settings import from_stack_file

PORTS = {9090: "prometheus", 9093: "alertmanager", 9099: "capture", 3100: "loki", 8000: "boss-workflow"}
RUNBOOK = "https://watchstack.dev/runbooks"


@dataclass
class World:
    """`raises` maps a fault to the alert that it raises. What is named in `unheard` is told to nobody."""

    plan: Plan
    raises: dict[str, str]
    unheard: set[str] = field(default_factory=set)
    inhibited: set[str] = field(default_factory=set)
    standing: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    names_receivers: bool = True
    rate: float = 20.0
    rates: list[float] = field(default_factory=list)
    faults: dict[str, float] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    _looks: dict[str, int] = field(default_factory=dict)

    def answer(self, service: str, method: str, path: str, body: Any) -> Any:
        """What a service answers: JSON, or the text of its metrics."""
        return getattr(self, f"_{service.replace('-', '_')}")(method, path, body)

    def _prometheus(self, _method: str, _path: str, _body: Any) -> Any:
        for fault, alert in self.raises.items():
            if self.faults.get(fault):
                self._looks[alert] = self._looks.get(alert, 0) + 1
                if self._looks[alert] == 2 and alert not in self.unheard | self.inhibited:
                    self._tell(alert, "firing")
            elif self._looks.pop(alert, 0) >= 2 and alert not in self.unheard | self.inhibited:
                self._tell(alert, "resolved")
        states = {alert: "firing" if looks > 1 else "pending" for alert, looks in self._looks.items()}
        states |= dict.fromkeys(self.standing, "firing")
        return {"data": {"alerts": [{"labels": self._labels(a), "state": state} for a, state in states.items()]}}

    def _alertmanager(self, method: str, path: str, body: Any) -> Any:
        if path == "/metrics":
            return self._metrics()
        if method == "POST":
            self.posted += body
            self._send(body[0])
            return {}
        return [self._held(labels) for labels in self._holding()]

    def _loki(self, _method: str, _path: str, _body: Any) -> Any:
        return {"data": {"alerts": None}}

    def _capture(self, _method: str, _path: str, _body: Any) -> Any:
        return self.notifications

    def _boss_workflow(self, method: str, path: str, body: Any) -> Any:
        if path == "/_sim/rate":
            if method == "POST":
                self.rate = body["per_second"]
                self.rates.append(self.rate)
            return {"per_second": self.rate}
        self.asked.append(body)
        self.faults[body["fault"]] = body["value"]
        return {}

    def _labels(self, alert: str) -> dict[str, str]:
        shipped = next(one for one in self.plan.alerts if one.name == alert)
        return {"alertname": alert, **shipped.labels}

    def _tell(self, alert: str, status: str) -> None:
        labels = self._labels(alert)
        about = f"{labels['system']}/{labels['component']} {labels['severity']}"
        text = f"**{alert}** {about} {status}\n\nsummary\n\n[Runbook]({RUNBOOK}/{alert}) · [Silence](http://x)\n"
        body = {"embeds": [{"title": f"[{status.upper()}] {alert}", "description": text}]}
        self.notifications.append({"received": "2026-01-31T12:00:00Z", "path": "/discord", "body": body})

    def _holding(self) -> list[dict[str, str]]:
        ended = {one["labels"]["watchstack_drill"] for one in self.posted[1:]}
        tests = [one["labels"] for one in self.posted[:1] if one["labels"]["watchstack_drill"] not in ended]
        return [*tests, *(self._labels(alert) for alert, looks in self._looks.items() if looks > 1)]

    def _held(self, labels: dict[str, str]) -> dict[str, Any]:
        inhibited = ["abc"] if labels["alertname"] in self.inhibited else []
        return {
            "labels": labels,
            "fingerprint": "abc" if labels["alertname"] == "HighErrorRate" else labels["alertname"],
            "receivers": [{"name": f"discord-{labels['severity']}"}],
            "status": {"silencedBy": [], "inhibitedBy": inhibited, "state": "suppressed" if inhibited else "active"},
        }

    def _send(self, test: dict[str, Any]) -> None:
        name = f"discord-{test['labels']['severity']}"
        if test["labels"]["alertname"] not in self.unheard | self.inhibited:
            self.attempts[name] = self.attempts.get(name, 0) + 1

    def _metrics(self) -> str:
        lines = []
        for severity in ("critical", "warning", "info"):
            name = f"discord-{severity}"
            labels = (
                f'integration="discord",receiver_name="{name}"' if self.names_receivers else 'integration="discord"'
            )
            sent = self.attempts.get(name, 0)
            refused = sent if name in self.refusing else 0
            lines += [
                f"alertmanager_notifications_total{{{labels}}} {sent}",
                f'alertmanager_notifications_failed_total{{{labels},reason="clientError"}} {refused}',
                f'alertmanager_notifications_failed_total{{{labels},reason="other"}} 0',
                f"alertmanager_notification_requests_total{{{labels}}} {sent}",
                f"alertmanager_notification_requests_failed_total{{{labels}}} {refused}",
            ]
        return "\n".join(lines) + "\n"


@contextmanager
def played(directory: Path, raises: dict[str, str]) -> Iterator[World]:
    """The environment `play`, whose stack file is in this directory, served for the length of a block."""
    for attempt in Retrying(stop=stop_after_attempt(50), retry=retry_if_exception_type(OSError), reraise=True):
        with attempt:
            # Tests run side by side, and ports are taken by whoever is first.
            world = World(_planned(directory, random.randrange(30000, 47000, 100)), raises)
            servers = _served(world)
    with servers:
        yield world


def _planned(directory: Path, offset: int) -> Plan:
    """Boss Workflow, simulated."""
    settings = {
        "target": "local",
        "lifecycle": "ephemeral",
        "port_offset": offset,
        "systems": {"boss-workflow": {"workload": True}},
        "secrets": {"discord-webhook": {"capture": "discord"}},
    }
    file = directory / "Pulumi.play.yaml"
    file.write_text(yaml.safe_dump({"config": {f"watchstack:{key}": value for key, value in settings.items()}}))
    return plan.make(from_stack_file(file, "play"), {})


def _served(world: World) -> ExitStack:
    """The running servers of all services; OSError, and none runs, where a port is taken."""
    with ExitStack() as stack:
        for port, service in PORTS.items():
            server = ThreadingHTTPServer(("127.0.0.1", world.plan.ground.bind(port)), _handler(world, service))
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        return stack.pop_all()


def _handler(world: World, service: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            url = urlsplit(self.path)
            value = world.answer(service, self.command, url.path, body)
            if service == "capture" and (path := parse_qs(url.query).get("path")):
                value = [one for one in value if one["path"] in path]
            text = (value if isinstance(value, str) else json.dumps(value)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: object) -> None:
            """Nothing to standard error."""

    return Handler
