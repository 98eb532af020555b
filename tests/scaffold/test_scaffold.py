"""What `./watchstack new system` makes of an exposition, what it refuses, and that it leaves nothing half made."""

import shutil
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

import scaffold
from apps import Profile
from rules.seal import unsealed
from scaffold import exposition, profile, signals
from stacks.strict import Refused, load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """The URL of a server that answers everything with this text."""
    servers: list[tuple[ThreadingHTTPServer, Thread]] = []

    def start(text: str, status: int = 200, kind: str = "text/plain") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_arguments: object) -> None:
                """Nothing to standard error."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/metrics"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The parts of a clone that are written to."""
    for path in ("apps", "dashboards", "rules", "stacks/env", "docs/systems", "docs/runbooks"):
        (tmp_path / path).mkdir(parents=True)
    shutil.copy(ROOT / "dashboards" / "__init__.py", tmp_path / "dashboards")
    for file in (ROOT / "stacks" / "env").iterdir():
        shutil.copy(file, tmp_path / "stacks" / "env")
    return tmp_path


def _tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def _exposed(name: str) -> str:
    return (HERE / "expositions" / f"{name}.txt").read_text()


def test_requests_errors_durations_and_saturation_are_found(serve: Serve) -> None:
    seen = signals.of(exposition.fetch(serve(_exposed("fastapi"))))
    assert seen.requests is not None
    assert seen.duration is not None
    assert seen.in_flight is not None
    assert (seen.requests.name, seen.status, seen.failed) == ("http_requests_total", "status", "5xx")
    # The finer of the two histograms.
    assert seen.duration.name == "http_request_duration_highr_seconds"
    assert seen.in_flight.name == "http_requests_inprogress"
    assert seen.files
    assert seen.memory
    assert seen.processor


def test_what_is_written_is_sealed_listed_and_whole(serve: Serve, clone: Path) -> None:
    before = _tree(clone)
    wanted = scaffold.files("my-shop", serve(_exposed("fastapi")), clone)
    with scaffold.written("my-shop", wanted, clone):
        pass
    after = _tree(clone)
    assert after.keys() - before.keys() == wanted.keys()
    assert unsealed(clone / "rules" / "my-shop" / "v1") == ""
    assert (
        '    "lmmc_internals",\n    "logs_explorer",\n    "loki",\n    "my_shop",\n' in after["dashboards/__init__.py"]
    )
    assert scaffold.lacking(wanted, "my-shop") == []
    system = yaml.safe_load(wanted["stacks/env/Pulumi.my-shop.yaml"])["config"]["watchstack:systems"]
    assert system["my-shop"]["targets"]["my-shop"].startswith("127.0.0.1:")


def test_the_profile_is_one(serve: Serve, clone: Path) -> None:
    wanted = scaffold.files("shop", serve(_exposed("fastapi")), clone)
    made = load(Profile, yaml.safe_load(wanted["apps/shop.yaml"]), "shop.yaml: ")
    assert [objective.slo for objective in made.objectives] == ["shop-availability"]
    assert {"http_requests_total", "process_open_fds"} <= {metric.name for metric in made.metrics}


def test_what_an_application_does_not_expose_is_left_out_and_said(serve: Serve, clone: Path) -> None:
    wanted = scaffold.files("jobs", serve(_exposed("least")), clone)
    assert {path for path in wanted if path.startswith("rules/")} == {
        "rules/jobs/v1/availability.yml",
        "rules/jobs/v1/availability.test.yml",
        "rules/jobs/v1/pack.yaml",
    }
    assert len(scaffold.lacking(wanted, "jobs")) == 3
    assert yaml.safe_load(wanted["apps/jobs.yaml"])["metrics"] == [
        {"name": "jobs_total", "type": "counter", "unit": "1", "meaning": "Jobs that ended", "labels": {"kind": None}}
    ]


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("page", "text/plain", "answers with a web page, not with metrics"),
        ("json", "application/json", "not Prometheus' text format"),
        ("empty", "text/plain", "exposes no metric with a sample"),
        ("no-samples", "text/plain", "exposes no metric with a sample"),
        ("untyped", "text/plain", "nothing in it has a `# TYPE`"),
    ],
)
def test_metrics_that_are_none_are_refused(serve: Serve, clone: Path, name: str, kind: str, problem: str) -> None:
    url = serve((HERE / "bad" / f"{name}.txt").read_text(), kind=kind)
    before = _tree(clone)
    with pytest.raises(Refused) as refused:
        scaffold.files("shop", url, clone)
    assert str(refused.value).startswith(f"--from-metrics {url}: ")
    assert problem in str(refused.value)
    assert _tree(clone) == before


def test_a_page_that_is_not_there_is_refused_with_its_status(serve: Serve, clone: Path) -> None:
    with pytest.raises(Refused, match=r": it answers with 404 Not Found$"):
        scaffold.files("shop", serve("no such page", status=404), clone)


def test_nobody_answers(clone: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Refused, match=r": no answer: .*; does it run\?$"):
            scaffold.files("shop", f"http://127.0.0.1:{bound.getsockname()[1]}/metrics", clone)


def test_who_says_nothing_is_not_waited_for(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Refused, match=": no answer: timed out"):
            scaffold.files("shop", f"http://127.0.0.1:{silent.getsockname()[1]}/metrics", clone)


@pytest.mark.parametrize("url", ["shop:8000", "ftp://shop/metrics", "http://a:b@shop/metrics", "http://shop/m?x=1"])
def test_an_address_that_is_not_scraped_is_refused(clone: Path, url: str) -> None:
    with pytest.raises(Refused, match="give http://HOST:PORT/PATH"):
        scaffold.files("shop", url, clone)


@pytest.mark.parametrize("name", ["Shop", "my--shop", "-shop", "../shop", "platform", "shop_1", ""])
def test_what_is_no_name_is_refused(clone: Path, name: str) -> None:
    with pytest.raises(Refused, match="is no name of a system"):
        scaffold.files(name, "http://127.0.0.1:1/metrics", clone)


@pytest.mark.parametrize("name", ["lmmc", "loki", "kubernetes", "dev"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"'{name}' is taken: there is "):
        scaffold.files(name, "http://127.0.0.1:1/metrics", ROOT)


def _refused_by_a_check(wanted: dict[str, str], clone: Path) -> None:
    with scaffold.written("shop", wanted, clone):
        assert (clone / "apps" / "shop.yaml").exists()
        raise Refused("refused by a check")


def test_nothing_is_left_where_a_check_refuses(serve: Serve, clone: Path) -> None:
    before = _tree(clone)
    wanted = scaffold.files("shop", serve(_exposed("fastapi")), clone)
    with pytest.raises(Refused, match=r"^refused by a check$"):
        _refused_by_a_check(wanted, clone)
    assert _tree(clone) == before
    assert not (clone / "rules" / "shop").exists()


def test_an_environment_gets_ports_of_its_own() -> None:
    taken = {
        yaml.safe_load(file.read_text())["config"].get("watchstack:port_offset", 0)
        for file in (ROOT / "stacks" / "env").iterdir()
    }
    assert profile.free_offset(ROOT / "stacks" / "env") not in taken
