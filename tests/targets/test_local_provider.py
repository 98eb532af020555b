"""What the local target's resources do, with a real supervisor and a small service that can be made to fail."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from stacks.targets import probe
from stacks.targets.local_provider import HomeProvider, ServiceProvider
from stacks.targets.supervisor import Supervisor, wait

pytestmark = pytest.mark.e2e

SERVICE = Path(__file__).with_name("fake_service.py")
Props = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "home"
    HomeProvider().create({"path": str(place), "environment": {}, "kept": []})
    yield place
    processes = Supervisor(place).pids()
    HomeProvider().delete(str(place), {})
    assert not [pid for pid in processes if psutil.pid_exists(pid)]


@pytest.fixture
def port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        number: int = server.getsockname()[1]
    return number


@pytest.fixture
def props(home: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Props:
    monkeypatch.setattr(probe, "READY_SECONDS", 2)
    url = f"http://127.0.0.1:{port}"
    return {
        "name": "service",
        "home": str(home),
        "command": [sys.executable, str(SERVICE), str(port)],
        "files": {"etc/main.conf": "first"},
        "on_change": {"etc/main.conf": "reload"},
        "secrets": {"secrets/token": "open sesame"},
        "generated": {},
        "volumes": ["data"],
        "kept": [],
        "ready_url": f"{url}/",
        "reload": {"url": f"{url}/metrics", "proof": "reload_time", "success": "reload_success"},
    }


def _create(props: Props) -> Props:
    outs = ServiceProvider().create(props).outs
    assert outs is not None
    return outs


def _read(outs: Props) -> Props:
    found = ServiceProvider().read("service", outs).outs
    assert found is not None
    return found


def _text(props: Props) -> str:
    return httpx.get(props["ready_url"], trust_env=False).text


def _pid(props: Props) -> int | None:
    return Supervisor(Path(props["home"])).pid("service")


def test_a_service_is_made_and_then_nothing_differs(props: Props) -> None:
    outs = _create(props)
    assert _text(props) == "first"
    assert not ServiceProvider().diff("service", outs, props).changes
    assert "open sesame" not in str(outs)


def test_an_edit_is_reloaded_in_the_same_process(props: Props) -> None:
    outs = _create(props)
    before = _pid(props)
    edited = {**props, "files": {"etc/main.conf": "second"}}
    assert ServiceProvider().diff("service", outs, edited).changes
    ServiceProvider().update("service", outs, edited)
    assert (_text(props), _pid(props)) == ("second", before)


def test_a_file_that_needs_a_restart_gets_one(props: Props) -> None:
    outs = _create(props)
    before = _pid(props)
    edited = {**props, "files": {"etc/main.conf": "second"}, "on_change": {"etc/main.conf": "restart"}}
    ServiceProvider().update("service", outs, edited)
    assert _text(props) == "second"
    assert _pid(props) != before


def test_a_file_that_is_watched_leaves_the_process_alone(props: Props) -> None:
    watched = {**props, "on_change": {"etc/main.conf": "watched"}}
    outs = _create(watched)
    before = _pid(props)
    ServiceProvider().update("service", outs, {**watched, "files": {"etc/main.conf": "second"}})
    assert (_text(props), _pid(props)) == ("first", before)


def test_a_configuration_that_the_service_refuses_is_taken_back(props: Props, home: Path) -> None:
    outs = _create(props)
    before = _pid(props)
    with pytest.raises(RuntimeError, match="service: reload_success is 0"):
        ServiceProvider().update("service", outs, {**props, "files": {"etc/main.conf": "bad"}})
    assert (home / "service" / "etc" / "main.conf").read_text() == "first"
    assert (_text(props), _pid(props)) == ("first", before)
    _settles(outs, props)


def test_an_update_cut_short_after_writing_is_finished_by_the_next(props: Props, home: Path) -> None:
    outs = _create(props)
    edited = {**props, "files": {"etc/main.conf": "second"}}
    (home / "service" / "settled").unlink()
    (home / "service" / "etc" / "main.conf").write_text("second")
    assert _text(props) == "first"
    assert ServiceProvider().diff("service", outs, edited).changes
    ServiceProvider().update("service", outs, edited)
    assert _text(props) == "second"


def test_a_service_that_cannot_start_leaves_nothing_and_says_why(props: Props, home: Path) -> None:
    with pytest.raises(RuntimeError, match="deadly argument: cannot start"):
        ServiceProvider().create({**props, "command": [*props["command"], "deadly"]})
    assert Supervisor(home).programs() == {}
    assert not (home / "service" / "etc" / "main.conf").exists()


def test_a_command_that_cannot_start_gives_way_to_the_one_that_ran(props: Props) -> None:
    outs = _create(props)
    with pytest.raises(RuntimeError, match="deadly argument: cannot start"):
        ServiceProvider().update("service", outs, {**props, "command": [*props["command"], "deadly"]})
    assert wait(lambda: _pid(props), 5)
    assert wait(lambda: _answers(props), 5)
    _settles(outs, props)


def _settles(outs: Props, props: Props) -> None:
    """After a failure the next update makes sure of what is running, and then nothing differs."""
    ServiceProvider().update("service", outs, props)
    assert not ServiceProvider().diff("service", outs, props).changes


def _answers(props: Props) -> bool:
    try:
        return _text(props) == "first"
    except httpx.HTTPError:
        return False


def test_read_tells_of_a_dead_supervisor_and_of_an_edited_file(props: Props, home: Path) -> None:
    outs = _create(props)
    (home / "service" / "etc" / "main.conf").write_text("by hand")
    assert _read(outs)["edited"] == ["etc/main.conf"]
    os.kill(int((home / "supervisord.pid").read_text()), signal.SIGKILL)
    assert wait(lambda: not Supervisor(home).running(), 5)
    assert _read(outs)["process"] == "dead"
    assert HomeProvider().diff(str(home), {"kept": []}, {"path": str(home), "kept": []}).changes


def test_an_environment_that_becomes_durable_is_a_change_of_every_service(props: Props) -> None:
    outs = _create(props)
    durable = {**props, "kept": ["data"]}
    assert ServiceProvider().diff("service", outs, durable).changes
    now = ServiceProvider().update("service", outs, durable).outs
    assert now is not None
    assert now["kept"] == ["data"]


def test_delete_takes_everything_but_what_a_durable_environment_keeps(props: Props, home: Path) -> None:
    outs = _create({**props, "kept": ["data"]})
    (home / "service" / "data" / "block").write_text("samples")
    ServiceProvider().delete("service", outs)
    assert [str(path.relative_to(home / "service")) for path in (home / "service").rglob("*")] == ["data", "data/block"]
    ServiceProvider().delete("service", _create(props))
    assert not (home / "service").exists()
