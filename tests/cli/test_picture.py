"""./watchstack picture against small servers that speak as Prometheus and Loki do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from servers import served
from typer.testing import CliRunner, Result

from cli.app import app
from pictures import shot

STACK = Path(__file__).parents[1] / "stacks" / "good" / "least.yaml"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["picture", "-e", "test", *arguments])


def _servers(path: str) -> tuple[int, Any]:
    """A request rate, an error for the query of the p95, and nothing else."""
    asked = urlsplit(path)
    query = parse_qs(asked.query).get("query", [""])[0]
    if asked.path == "/api/v1/alerts":
        return 200, {"data": {"alerts": []}}
    if query == "boss:http_request_duration_seconds:p95_5m":
        return 422, {"status": "error", "error": "query timed out"}
    kind = "matrix" if asked.path.endswith("query_range") else "vector"
    found: list[Any] = []
    if query == "sum by (endpoint) (boss:http_requests:rate5m)":
        start = float(parse_qs(asked.query)["start"][0])
        found = [{"metric": {"endpoint": "/api/tasks"}, "values": [[start, "1.5"], [start + 15, "2"]]}]
    return 200, {"data": {"resultType": kind, "result": found}}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment `test`, whose services are all the small server."""
    (tmp_path / "Pulumi.test.yaml").write_text(STACK.read_text())
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    monkeypatch.delenv("CI", raising=False)
    with served(_servers) as port:
        monkeypatch.setattr("stacks.plan.Plan.url", lambda *_: f"http://127.0.0.1:{port}")
        yield


@pytest.mark.usefixtures("environment")
def test_one_dashboard_is_drawn_and_its_failed_query_told(tmp_path: Path) -> None:
    done = _run("boss-workflow", "--out", str(tmp_path / "out"), "--html-only", "--json")
    assert done.exit_code == 1
    [made] = json.loads(done.stdout)["pictures"]
    assert (made["dashboard"], made["panels"], made["found"], made["png"]) == ("boss-workflow", 18, 1, None)
    assert made["errors"] == {"HTTP Request Duration p95": "422: query timed out"}
    assert "Tasks by Status" in made["empty"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["boss-workflow.html"]
    assert "/api/tasks" in (tmp_path / "out" / "boss-workflow.html").read_text()


@pytest.mark.usefixtures("environment")
def test_all_dashboards_are_drawn_as_links_to_each_other(tmp_path: Path) -> None:
    done = _run("--out", str(tmp_path / "out"), "--html-only", "--dark")
    drawn = {file.stem for file in (tmp_path / "out").iterdir()}
    assert {"boss-workflow", "start", "stack-health"} <= drawn
    assert "boss-workflow: HTTP Request Duration p95: 422: query timed out" in " ".join(done.output.split())
    start = (tmp_path / "out" / "start.html").read_text()
    assert 'class="dark"' in start
    assert 'href="stack-health.html"' in start


@pytest.mark.usefixtures("environment")
def test_without_chromium_the_page_is_drawn_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shot, "browser", lambda: None)
    done = _run("hosts", "--out", str(tmp_path / "out"))
    assert (done.exit_code, (tmp_path / "out" / "hosts.html").exists()) == (0, True)
    assert "no Chromium on this machine, so no PNG" in done.output
    monkeypatch.setenv("CI", "true")
    assert _run("hosts", "--out", str(tmp_path / "out")).exit_code == 1
    assert _run("hosts", "--out", str(tmp_path / "out"), "--html-only").exit_code == 0


@pytest.mark.usefixtures("environment")
def test_a_chromium_that_takes_no_picture_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shot, "browser", lambda: "/bin/false")
    done = _run("hosts", "--out", str(tmp_path / "out"), "--json")
    assert done.exit_code == 1
    [made] = json.loads(done.stdout)["pictures"]
    assert made["errors"]["PNG"].startswith("/bin/false wrote no picture of hosts.html")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hots",), "no dashboard 'hots' in test; did you mean hosts?"),
        (("hosts", "--range", "soon"), "--range 'soon': a duration is a whole number"),
        (("hosts", "--range", "5s"), "--range '5s': less than a minute shows nothing"),
        (("hosts", "--out", __file__), "not a directory"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: tuple[str, ...], told: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr.replace("\n", "")


def test_an_environment_that_is_not_up_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.test.yaml").write_text(f"{STACK.read_text()}  watchstack:port_offset: 47000\n")
    monkeypatch.setattr("stacks.settings.STACK_FILES", tmp_path)
    done = _run("--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "is the environment up?" in done.stderr
    assert not (tmp_path / "out").exists()
