import gzip
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import zstandard

from toolchain.interrupted import find, holder, known, stacks

ENGINE = {"type": "pulumi:providers:docker", "id": "p", "inputs": {"host": "unix:///run/engine.sock"}}
BEGUN = datetime(2026, 11, 28, 16, 31, 59, tzinfo=UTC)


FORMS = ("json", "json.gz", "json.zst")
forms = pytest.mark.parametrize("form", FORMS)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content).encode()
    compress = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_content_size=False).compress}
    path.write_bytes(compress.get(path.suffix, bytes)(text))


def lock(state: Path, *, pid: int, hostname: str = socket.gethostname(), at: datetime = BEGUN) -> None:
    content = {"pid": pid, "username": "ops", "hostname": hostname, "timestamp": at.isoformat()}
    write(state / ".pulumi" / "locks" / "organization" / "watchstack" / "dev" / "one.json", content)


def history(state: Path, *results: str, form: str = "json") -> None:
    """One run a minute."""
    for number, result in enumerate(results):
        start = int((BEGUN + timedelta(minutes=number)).timestamp())
        run = {"kind": "update", "startTime": start, "result": result}
        write(state / ".pulumi" / "history" / "watchstack" / "dev" / f"dev-{start}.history.{form}", run)


def gone() -> int:
    """A process id that nobody has."""
    return next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": f"docker:index/{kind}", "inputs": {"name": name}, **more}


def test_a_state_that_ended_well_was_not_interrupted(tmp_path: Path) -> None:
    write(tmp_path / ".pulumi" / "stacks" / "watchstack" / "dev.json", {"checkpoint": {"latest": {"resources": []}}})
    history(tmp_path, "failed", "succeeded")
    assert find(f"file://{tmp_path}", "watchstack", "dev") is None
    assert find(f"file://{tmp_path}", "watchstack", "new") is None
    assert find("s3://bucket", "watchstack", "dev") is None


def test_the_lock_of_a_process_that_is_no_more(tmp_path: Path) -> None:
    lock(tmp_path, pid=gone())
    found = find(f"file://{tmp_path}", "watchstack", "dev")
    assert found is not None
    assert found.since == BEGUN
    assert [file.name for file in found.locks] == ["one.json"]


def test_another_process_may_have_got_the_id_since(tmp_path: Path) -> None:
    lock(tmp_path, pid=os.getpid(), at=BEGUN.replace(year=2000))
    assert find(f"file://{tmp_path}", "watchstack", "dev") is not None


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path, host: str) -> None:
    """On another machine nobody can tell whether a process lives."""
    now = datetime.now(UTC)
    lock(tmp_path, pid=os.getpid() if host == socket.gethostname() else gone(), hostname=host, at=now)
    history(tmp_path, "failed")
    pending = {"pending_operations": [{"type": "creating", "resource": {}}]}
    write(tmp_path / ".pulumi" / "stacks" / "watchstack" / "dev.json", {"checkpoint": {"latest": pending}})
    assert find(f"file://{tmp_path}", "watchstack", "dev") is None


@forms
def test_runs_that_failed_count_from_the_first_after_one_that_succeeded(tmp_path: Path, form: str) -> None:
    history(tmp_path, "failed", "succeeded", "failed", "failed", form=form)
    found = find(f"file://{tmp_path}", "watchstack", "dev")
    assert found is not None
    assert found.since == BEGUN + timedelta(minutes=2)


@forms
def test_operations_that_were_begun_are_enough(tmp_path: Path, form: str) -> None:
    pending = {"pending_operations": [{"type": "creating", "resource": {}}]}
    write(tmp_path / ".pulumi" / "stacks" / "watchstack" / f"dev.{form}", {"checkpoint": {"latest": pending}})
    found = find(f"file://{tmp_path}", "watchstack", "dev")
    assert found is not None
    assert (found.since, found.locks, found.torn) == (None, (), ())


def test_files_that_were_being_written_are_found(tmp_path: Path) -> None:
    lock(tmp_path, pid=gone())
    stacks = tmp_path / ".pulumi" / "stacks" / "watchstack"
    write(stacks / "dev.json", {"checkpoint": {"latest": None}})
    write(stacks / "dev.json.bak.attrs", {})
    for name in ("dev.json.attrs", "dev.json.18ec.tmp", "other.json.attrs"):
        (stacks / name).touch()
    found = find(f"file://{tmp_path}", "watchstack", "dev")
    assert found is not None
    assert sorted(file.name for file in found.torn) == ["dev.json.18ec.tmp", "dev.json.attrs"]


def test_what_a_state_knows_of_its_engines() -> None:
    whole, failed = resource("container:Container", "a", id="1"), resource("container:Container", "b", id="2")
    ending = resource("volume:Volume", "v", id="v")
    begun = resource("network:Network", "back")
    other = {**ENGINE, "id": "q", "inputs": {"host": "ssh://ops@web-1"}}
    found = known(
        {
            "resources": [ENGINE, other, whole, {**failed, "initErrors": ["no port"]}, ending],
            "pending_operations": [
                {"type": "creating", "resource": begun},
                {"type": "deleting", "resource": ending},
                {"type": "updating", "resource": whole},
                {"type": "creating", "resource": {"type": "watchstack:local:Service", "inputs": {"name": "x"}}},
            ],
        }
    )
    assert found is not None
    assert found.hosts == ("unix:///run/engine.sock", "ssh://ops@web-1")
    assert found.ids == {"1", "2", "v"}
    assert found.begun == {"back"}
    assert found.unfinished == {"2", "v"}


def test_a_state_without_an_engine_knows_of_none() -> None:
    assert known({}) is None
    assert known({"resources": [{"type": "pulumi:pulumi:Stack"}]}) is None


def test_who_is_at_a_stack_is_read_from_its_lock(tmp_path: Path) -> None:
    assert holder(f"file://{tmp_path}", "watchstack", "dev") is None
    lock(tmp_path, pid=os.getpid(), at=datetime(2126, 1, 31, 12, tzinfo=UTC))
    held = holder(f"file://{tmp_path}", "watchstack", "dev")
    assert str(held) == f"ops on {socket.gethostname()}, process {os.getpid()}, since 2126-01-31 12:00:00 UTC"
    assert holder("s3://bucket", "watchstack", "dev") is None


def test_nobody_is_at_a_stack_whose_lock_is_of_a_process_that_is_no_more(tmp_path: Path) -> None:
    lock(tmp_path, pid=gone())
    assert holder(f"file://{tmp_path}", "watchstack", "dev") is None


def test_stacks_are_known_by_their_states_however_those_are_compressed(tmp_path: Path) -> None:
    place = tmp_path / ".pulumi" / "stacks" / "watchstack"
    for name in ("one.json", "two.json.gz", "pr-3.json.zst", "one.json.zst"):
        write(place / name, {})
    for name in ("gone.json.bak", "gone.json.zst.bak", "gone.json.zst.attrs"):
        (place / name).touch()
    assert stacks(tmp_path) == ["one", "pr-3", "two"]
