"""The texts of notifications, as Alertmanager itself renders them: well formed whatever an alert holds."""

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
import yaml
from tenacity import retry, stop_after_delay, wait_fixed

from apps import Profile
from stacks import routing
from stacks.routing import Reach
from stacks.service import to_yaml
from stacks.services import alertmanager
from stacks.strict import in_file, load
from toolchain.programs import program

pytestmark = pytest.mark.e2e

DATA = Path(__file__).parent / "notifications" / "special.json"
SHOP = Path(__file__).parents[1] / "apps" / "good" / "shop.yaml"
FIRST, SECOND = json.loads(DATA.read_text())["alerts"]
DASHBOARD = "http://127.0.0.1:13000/d/boss-workflow"
ESCAPED = re.compile(r"\\([\\`*_~|<>\[\]#])")


class Tags(HTMLParser):
    """The text of a message in HTML, and the addresses of its links by what they are called."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said = self.address = ""
        self.links: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert (tag, [name for name, _ in attrs]) in [("b", []), ("a", ["href"])]
        self.open.append(tag)
        self.address = attrs[0][1] or "" if attrs else ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data
        if self.open == ["a"]:
            self.links.setdefault(data, self.address)


def _rendered(tmp_path: Path, name: str, dashboards: dict[str, str], data: Path = DATA, kind: str = "text") -> str:
    (tmp_path / "watchstack.tmpl").write_text(alertmanager.templates(dashboards))
    done = subprocess.run(
        [
            program("amtool"),
            "template",
            "render",
            f"--template.glob={tmp_path}/watchstack.tmpl",
            f'--template.text={{{{ template "watchstack.{name}" . }}}}',
            f"--template.type={kind}",
            f"--template.data={data}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _silenced(address: str) -> dict[str, str]:
    """The labels that the page for a new silence is given: Alertmanager's page reads the part after the `#` itself."""
    parts = urlsplit(address)
    assert (parts.netloc, parts.path, parts.query) == ("127.0.0.1:19093", "/", "")
    page, _, query = parts.fragment.partition("?filter=")
    assert page == "/silences/new"
    assert not re.search(r"[^A-Za-z0-9%_.~-]", query)
    found = re.fullmatch(r"\{(.*)\}", unquote(query))
    assert found
    return {name: json.loads(value) for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', found[1])}


def _markdown(text: str) -> tuple[str, dict[str, str]]:
    links = dict(reversed(re.findall(r"\[(\w+)\]\(([^()\s]+)\)", text)))
    bare = re.sub(r"\[(\w+)\]\(([^()\s]+)\)|^\*\*|\*\* ", "", text, flags=re.MULTILINE)
    assert not re.search(r"[`*_~|<>\[\]#]", ESCAPED.sub("", bare)), "something that is not escaped"
    return ESCAPED.sub(r"\1", text), links


def _slack(text: str) -> tuple[str, dict[str, str]]:
    links = dict(reversed([(name, url) for url, name in re.findall(r"<([^<>|\s]+)\|(\w+)>", text)]))
    said = re.sub(r"<[^<>|\s]+\|\w+>", "", text)
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", said), "something that is not escaped"
    return said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), links


def _telegram(text: str) -> tuple[str, dict[str, str]]:
    tags = Tags(text)
    assert tags.open == []
    return tags.said, tags.links


def _plain(text: str) -> tuple[str, dict[str, str]]:
    return text, dict(reversed(re.findall(r"^(Runbook|Dashboard|Silence): (\S+)$", text, re.MULTILINE)))


READERS = {"markdown": _markdown, "slack": _slack, "telegram": _telegram, "text": _plain}
each_text = pytest.mark.parametrize("name", READERS)


@each_text
def test_a_text_says_what_the_alert_says_and_links_to_runbook_dashboard_and_silence(tmp_path: Path, name: str) -> None:
    kind = "html" if name == "telegram" else "text"
    said, links = READERS[name](_rendered(tmp_path, name, {"boss-workflow": DASHBOARD}, kind=kind))
    for part in (FIRST["labels"]["component"], *(FIRST["annotations"][key] for key in ("summary", "description"))):
        assert part in said
    assert SECOND["annotations"]["summary"] in said
    assert links["Runbook"] == FIRST["annotations"]["runbook_url"]
    assert links["Dashboard"] == DASHBOARD
    assert _silenced(links["Silence"]) == FIRST["labels"]


@each_text
def test_where_there_is_no_grafana_nothing_is_said_of_a_dashboard(tmp_path: Path, name: str) -> None:
    kind = "html" if name == "telegram" else "text"
    said, links = READERS[name](_rendered(tmp_path, name, {}, kind=kind))
    assert "Dashboard" not in said
    assert sorted(links) == ["Runbook", "Silence"]


def test_a_telegram_is_never_longer_than_alertmanager_sends_it_whole(tmp_path: Path) -> None:
    many = {**json.loads(DATA.read_text()), "alerts": [FIRST] * 40}
    (tmp_path / "many.json").write_text(json.dumps(many))
    text = _rendered(tmp_path, "telegram", {}, tmp_path / "many.json", "html")
    assert len(text) < 4096
    assert "3 of 40 alerts." in _telegram(text)[0]


@pytest.mark.parametrize(
    ("common", "severity", "links"),
    [
        (
            {"severity": "critical", "system": "boss-workflow"},
            "critical",
            ("https://watchstack.dev/runbooks/SlowQueries", DASHBOARD),
        ),
        ({"severity": "none", "system": "lmmc"}, "error", ("https://watchstack.dev/runbooks/SlowQueries", "")),
        ({}, "error", ("", "")),
    ],
)
def test_pagerduty_gets_a_severity_that_it_takes_and_the_links_that_there_are(
    tmp_path: Path, common: dict[str, str], severity: str, links: tuple[str, str]
) -> None:
    annotations = {"runbook_url": "https://watchstack.dev/runbooks/SlowQueries"} if common else {}
    data: dict[str, Any] = {
        **json.loads(DATA.read_text()),
        "commonLabels": common,
        "commonAnnotations": annotations,
    }
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data))

    def said(name: str) -> str:
        return _rendered(tmp_path, f"pagerduty.{name}", {"boss-workflow": DASHBOARD}, file)

    assert said("severity") == severity
    assert (said("runbook"), said("dashboard")) == links
    assert _silenced(said("silence")) == common


@pytest.fixture(name="services")
def _services() -> Iterator[tuple[str, dict[str, Any]]]:
    """A stand-in for all that is told, and what it was sent, by path."""
    heard: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = b'{"ok": true, "result": {"message_id": 1, "chat": {"id": 1}}}' if "/bot" in self.path else b"ok"
            self.send_response(202 if self.path == "/pagerduty" else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()
        thread.join()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def _config(address: str) -> str:
    """The rendered configuration of the shop, without waits. Of two services the product itself knows the address."""
    profile = load(Profile, yaml.safe_load(SHOP.read_text()), in_file("shop.yaml", SHOP))
    nowhere = Reach(services={}, generated=frozenset(), given=frozenset(), email=None, heartbeat=False, capture=None)
    made: Any = {"templates": ["watchstack.tmpl"], **routing.config([profile], nowhere)}
    told = {receiver["name"]: receiver for receiver in made["receivers"]}
    told["pager"]["pagerduty_configs"][0]["url"] = f"{address}/pagerduty"
    told["pager"]["telegram_configs"][0]["api_url"] = address
    made["route"]["group_wait"] = "0s"
    made["route"]["routes"][1]["group_wait"] = "0s"
    for route in made["route"]["routes"][1]["routes"]:
        route |= {"group_wait": "0s", "mute_time_intervals": [], "continue": True}
    return to_yaml(made)


@pytest.fixture(name="running")
def _running(tmp_path: Path, services: tuple[str, dict[str, Any]]) -> Iterator[str]:
    """Alertmanager with the shop's configuration, as Watchstack runs it."""
    address, _ = services
    (tmp_path / "etc").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "etc" / "alertmanager.yml").write_text(_config(address))
    (tmp_path / "etc" / "watchstack.tmpl").write_text(alertmanager.templates({"shop": DASHBOARD}))
    for name in ("shop-discord", "shop-slack", "shop-teams", "shop-store", "shop-token"):
        (tmp_path / "secrets" / name).write_text(f"{address}/{name}\n")
    (tmp_path / "secrets" / "shop-pager").write_text("key-of-pagerduty\n")
    (tmp_path / "secrets" / "shop-bot").write_text("1:token\n")
    listen = f"127.0.0.1:{_free_port()}"
    arguments = [
        "--config.file=etc/alertmanager.yml",
        "--storage.path=data",
        f"--web.listen-address={listen}",
        "--web.external-url=http://127.0.0.1:19093",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
        "--enable-feature=utf8-strict-mode",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([program("alertmanager"), *arguments], cwd=tmp_path, stderr=log)
        try:
            yield f"http://{listen}"
        finally:
            process.terminate()
            process.wait(20)
    assert "level=ERROR" not in (tmp_path / "log").read_text()


def test_alertmanager_tells_every_kind_of_receiver(running: str, services: tuple[str, dict[str, Any]]) -> None:
    _, heard = services
    labels = {**FIRST["labels"], "system": "shop", "severity": "critical"}
    alerts = [
        {"labels": {**labels, **more}, "annotations": FIRST["annotations"]}
        for more in (
            {},
            {"severity": "warning", "component": "database"},
        )
    ]

    @retry(stop=stop_after_delay(20), wait=wait_fixed(0.1), reraise=True)
    def send() -> None:
        httpx.post(f"{running}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()

    @retry(stop=stop_after_delay(20), wait=wait_fixed(0.1), reraise=True)
    def told() -> None:
        assert {"/pagerduty", "/bot1:token/sendMessage", "/shop-discord", "/shop-slack", "/shop-teams"} <= heard.keys()

    send()
    told()
    summary = FIRST["annotations"]["summary"]
    pagerduty = heard["/pagerduty"]
    assert (pagerduty["routing_key"], pagerduty["event_action"]) == ("key-of-pagerduty", "trigger")
    payload = pagerduty["payload"]
    assert (payload["severity"], payload["group"]) == ("critical", "shop")
    assert summary in payload["custom_details"]["text"]
    links = {link["text"]: link["href"] for link in pagerduty["links"]}
    assert links["Runbook"] == FIRST["annotations"]["runbook_url"]
    assert links["Dashboard"] == DASHBOARD
    assert _silenced(links["Silence"]) == labels

    telegram = heard["/bot1:token/sendMessage"]
    assert (telegram["chat_id"], telegram["parse_mode"]) == ("-1001234567890", "HTML")
    assert summary in _telegram(telegram["text"])[0]
    card = heard["/shop-teams"]["attachments"][0]["content"]["body"]
    assert card[0]["text"] == "[FIRING:1] Slow_Queries (warning)"
    texts = {
        "discord": _markdown(heard["/shop-discord"]["embeds"][0]["description"]),
        "teams": _markdown(card[1]["text"]),
        "slack": _slack(heard["/shop-slack"]["attachments"][0]["text"]),
    }
    for said, found in texts.values():
        assert summary in said
        assert found["Dashboard"] == DASHBOARD
