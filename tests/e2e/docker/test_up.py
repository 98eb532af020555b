"""The Docker target, end to end, on a real engine: up, selftest, edits, hardening, secrets, and nothing left."""

import io
import json
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from docker.models.containers import Container
from docker.types import LogConfig
from standins import cis, leaks
from standins.rehearse import Ground

from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e

SECRET = "n0b0dy-reads-this-0123456789abcd"  # noqa: S105 - what is looked for everywhere
PASSWORD = "hello"  # noqa: S105 - of this test, and what `caddy hash-password` makes of it
HASH = "$2a$14$AcPVfYPD7b77cwrlPSD3GO5Qv5KdgUznkqCW5QyPVBnEYc0usRE6O"
CONDITION = 'increase(redis_connection_errors_total{job="boss-workflow"}[5m]) > 0'
ALERTS = "rules/boss-workflow/v1/alerts.yml"
NAME = "contained"
# An application that nobody declared.
_SHOP = """
import http.server

class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"# TYPE sold counter\\nsold_total 7\\n")

print("shop is open", flush=True)
http.server.HTTPServer(("", 8000), Shop).serve_forever()
"""


@pytest.fixture(scope="module")
def contained(there: Ground, scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(NAME, scratch, variables=tuple(there.variables.items()))
    given = tmp_path_factory.mktemp("secrets") / "discord"
    given.write_text(f"http://127.0.0.1:9/{SECRET}")
    settings = {
        "docker": {"container_metrics": True},
        "secrets": {"discord-webhook": {"file": str(given)}, "heartbeat": {"capture": "heartbeat"}},
        "target": "docker",
    }
    environment.write(**{**settings, **there.settings(settings)})
    with environment.running():
        yield environment
    left = environment.watchstack("audit")["left"]
    assert left == []


def _containers(there: Ground) -> dict[str, Container]:
    prefix = f"watchstack-{NAME}-"
    return {str(one.name).removeprefix(prefix): one for one in there.client.containers.list(all=True)}


def _started(there: Ground) -> dict[str, tuple[str, str]]:
    """Id and start of the containers that stay."""
    return {
        name: (str(one.id), one.attrs["State"]["StartedAt"])
        for name, one in _containers(there).items()
        if "watchstack.part" not in one.labels
    }


def _query(contained: Environment, alert: str) -> str:
    answer = httpx.get(f"{contained.urls()['prometheus']}/api/v1/rules", trust_env=False).json()
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    return next(str(rule["query"]) for rule in rules if rule["name"] == alert)


def test_selftest_is_green_after_up(contained: Environment) -> None:
    answer = contained.watchstack("selftest", "--timeout", "120", check=False)
    assert [step for step in answer["steps"] if not step["passed"]] == []


def test_a_second_up_changes_nothing(contained: Environment) -> None:
    assert "unchanged" in contained.up("--expect-no-changes", preview=True)
    contained.pulumi("refresh", "--yes", "--expect-no-changes")


def test_a_rule_edit_is_live_and_no_service_was_touched(
    contained: Environment, there: Ground, edit: Callable[[str, str, str], None]
) -> None:
    contained.up()
    before = _started(there)
    edit(ALERTS, CONDITION, CONDITION.replace("> 0", "> 3"))
    output = contained.up("--diff", preview=True)
    assert _query(contained, "RedisErrors").endswith("> 3")
    assert _started(there) == before
    assert re.search(r"- +increase\(redis_connection_errors_total", output), "the preview shows the text that changes"
    assert re.search(r"\+ ==> \d+ [0-9a-f]{8} rules/boss-workflow/v1/alerts.yml", output), "and the file that it is in"
    assert "+-2 replaced" in output
    assert "++ docker:index:Container prometheus " not in output


def test_a_dashboard_is_a_file_of_grafanas_alone(contained: Environment) -> None:
    """There is no image of Grafana here: what would be deployed shows in a preview."""
    settings = contained.settings
    try:
        contained.set({**settings, "grafana": {"enabled": True}})
        output = contained.pulumi("preview", "--diff")
    finally:
        contained.set(settings)
    assert "grafana-loader" in output
    assert " dashboards/boss-workflow/boss-workflow.json" in output


def test_containers_of_others_are_scraped_and_their_lines_kept_by_their_labels(
    contained: Environment, there: Ground
) -> None:
    settings = contained.settings
    shop = None
    try:
        contained.set({**settings, "docker": {**settings["docker"], "discover": True}})
        contained.up()
        labels = {"environment": NAME, "service": "shop", "system": "shop", "scrape": "true", "port": "8000"}
        shop = there.client.containers.run(
            f"{there.registry}/library/python:3.11-slim-bookworm",
            ["python3", "-c", _SHOP],
            name="shop",
            detach=True,
            network=f"watchstack-{NAME}-back",
            labels={f"watchstack.{name}": value for name, value in labels.items()},
            log_config=LogConfig(type="json-file", config={"labels": "watchstack.environment,watchstack.service"}),
        )
        query = {"query": 'sold_total{job="shop", instance="shop:8000", system="shop"}'}
        lines = {"query": '{service_name="shop"} |= "shop is open"'}
        for attempt in eventually(60):
            with attempt:
                urls = contained.urls()
                found = httpx.get(f"{urls['prometheus']}/api/v1/query", params=query, trust_env=False).json()
                assert [one["value"][1] for one in found["data"]["result"]] == ["7"]
                found = httpx.get(f"{urls['loki']}/loki/api/v1/query_range", params=lines, trust_env=False).json()
                assert len(found["data"]["result"]) == 1
    finally:
        if shop:
            shop.remove(force=True)
        contained.set(settings)
        contained.up()


def test_a_page_behind_the_door_asks_for_a_password(contained: Environment, there: Ground, tmp_path: Path) -> None:
    settings = contained.settings
    (tmp_path / "users").write_text(f"watcher {HASH}\n")
    door = {"domain": "localhost", "before": "prometheus", "users": "door", "port": 18743}
    try:
        contained.set(
            {
                **settings,
                "docker": {**settings["docker"], "door": door},
                "secrets": {**settings["secrets"], "door": {"file": str(tmp_path / "users")}},
            }
        )
        assert "https://localhost:18743" in contained.up()
        url = "https://localhost:18743/-/ready"
        with httpx.Client(verify=False, trust_env=False) as client:  # noqa: S501 - a certificate of its own
            assert client.get(url).status_code == 401
            assert client.get(url, auth=("watcher", "wrong")).status_code == 401
            assert client.get(url, auth=("watcher", PASSWORD)).status_code == 200
        published = {name for name, one in _containers(there).items() if one.attrs["HostConfig"]["PortBindings"]}
        assert published == {"door"}
        assert contained.up("--expect-no-changes")
    finally:
        contained.set(settings)
        contained.up()


def test_a_killed_process_is_back_by_itself(contained: Environment, there: Ground) -> None:
    contained.up()
    before = _containers(there)["alertmanager"].attrs["State"]
    os.kill(before["Pid"], signal.SIGKILL)
    for attempt in eventually(30):
        with attempt:
            state = _containers(there)["alertmanager"].attrs["State"]
            assert state["Running"]
            assert state["Pid"] != before["Pid"]
    assert "unchanged" in contained.up("--expect-no-changes")


def test_a_container_that_was_removed_is_made_anew(contained: Environment, there: Ground) -> None:
    _containers(there)["capture"].remove(force=True)
    contained.up("--refresh")
    states = {one["service"]: one["ready"] for one in contained.watchstack("status", check=False)["services"]}
    assert states["capture"]


def test_no_finding_of_the_cis_benchmark_but_the_exceptions(there: Ground, contained: Environment) -> None:
    del contained
    everything, running = there.client.containers.list(all=True), there.client.containers.list()
    report = cis.inspected([one.attrs for one in everything], there.client.info())
    inside = [finding for one in running for finding in cis.inside(one)]
    assert cis.problems([*report.findings, *inside], cis.exceptions()) == []


def test_a_secret_is_nowhere_but_in_its_file(there: Ground, contained: Environment) -> None:
    everything = _containers(there)
    places: dict[str, str | bytes] = {f"inspect {name}": json.dumps(one.attrs) for name, one in everything.items()}
    places |= {f"logs {name}": one.logs() for name, one in everything.items()}
    places |= {f"image of {name}": json.dumps(one.image.history()) for name, one in everything.items() if one.image}
    places |= {
        "state": contained.pulumi("stack", "export"),
        "preview": contained.pulumi("preview", "--diff"),
        "preview in JSON": contained.pulumi("preview", "--json"),
        "outputs": contained.pulumi("stack", "output", "--json"),
        "status": json.dumps(contained.watchstack("status", check=False)),
    }
    places |= {f"{page} of {name}": httpx.get(url, trust_env=False).content for name, page, url in _pages(contained)}
    places |= {str(path): path.read_bytes() for path in (contained.clone / ".watchstack").rglob("*") if path.is_file()}
    assert leaks.leaks(SECRET, places) == []
    files = _secret_files(everything["alertmanager"])
    assert [name for name, (text, _mode, _uid) in files.items() if SECRET in text] == ["discord-webhook"]
    assert {(mode & 0o777, uid) for _text, mode, uid in files.values()} == {(0o400, 65534)}


def _pages(contained: Environment) -> Iterator[tuple[str, str, str]]:
    urls = contained.urls()
    for path in ("api/v1/status/config", "api/v1/status/flags", "metrics"):
        yield "prometheus", path, f"{urls['prometheus']}/{path}"
    for path in ("api/v2/status", "metrics"):
        yield "alertmanager", path, f"{urls['alertmanager']}/{path}"


def _secret_files(one: Container) -> dict[str, tuple[str, int, int]]:
    """Text, mode and owner of each."""
    chunks, _ = one.get_archive("/watchstack/alertmanager/secrets")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        return {
            Path(member.name).name: (archive.extractfile(member).read().decode(), member.mode, member.uid)  # type: ignore[union-attr]
            for member in archive.getmembers()
            if member.isfile() and not member.name.endswith(".loaded")
        }


def test_a_durable_environment_is_not_destroyed_until_it_is_unlocked(contained: Environment) -> None:
    settings = contained.settings
    heartbeat = {"file": settings["secrets"]["discord-webhook"]["file"]}
    durable = {**settings, "lifecycle": "durable", "secrets": {**settings["secrets"], "heartbeat": heartbeat}}
    try:
        contained.set(durable)
        contained.up()
        assert "protected" in contained.pulumi("destroy", "--yes", check=False)
        contained.set({**durable, "unlocked": True})
        assert "unlocked" in contained.pulumi("preview")
        contained.up()
    finally:
        contained.set(settings)
        contained.up()


def test_images_are_pulled_by_the_digests_of_the_lock_file(contained: Environment, there: Ground) -> None:
    lock = contained.clone / "stacks" / "images.lock.yaml"
    before = lock.read_text() if lock.exists() else None
    try:
        pinned = contained.watchstack("pin")["images"]
        assert set(pinned) == set(yaml.safe_load(lock.read_text()))
        assert contained.watchstack("pin", "--check")["changed"] == []
        output = contained.up("--diff", preview=True)
        labels = _containers(there)["prometheus"].labels
        name = f"{there.registry}/prom/prometheus:v3.15.0"
        assert labels["watchstack.image"] == f"{name}@{pinned[name]}"
        assert pinned[name] in output, "another image shows in the preview"
        lock.write_text(lock.read_text().replace(pinned[name], f"sha256:{'0' * 64}"))
        assert contained.watchstack("pin", "--check", check=False)["changed"] == [name]
    finally:
        lock.unlink(missing_ok=True)
        if before is not None:
            lock.write_text(before)
