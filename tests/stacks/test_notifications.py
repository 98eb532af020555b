"""The texts of notifications, as Alertmanager itself renders them: well formed whatever an alert holds."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from stacks.services import alertmanager
from toolchain.programs import program

pytestmark = pytest.mark.e2e

DATA = Path(__file__).parent / "notifications" / "special.json"
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
