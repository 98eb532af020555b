"""The SQLite exporter tells a database that works from one that is missing, unreadable or damaged."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from instrument import Metrics
from instrument.sqlite import Database

HEALTHY = {"sqlite_up": 1.0, "sqlite_integrity_ok": 1.0, "sqlite_wal_size_bytes": 0.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of a few pages, with an awkward name."""
    path = tmp_path / "tdd project?mode=rw#1%20.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE phases (name TEXT, note TEXT)")
        connection.executemany("INSERT INTO phases VALUES (?, ?)", [("red", "x" * 500)] * 200)
        connection.execute("CREATE INDEX by_note ON phases (note)")
        connection.commit()
    return path


def _metrics(path: Path, keep: float = 0, timeout: float = 5) -> Metrics:
    metrics = Metrics(keep=0)
    Database(metrics, path, keep=keep, timeout=timeout)
    return metrics


def _scrape(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("sqlite_") or sample.value
    }


def _damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 8192)


def test_a_database_that_works(path: Path) -> None:
    assert _scrape(_metrics(path)) == HEALTHY | {"sqlite_database_size_bytes": float(path.stat().st_size)}


def test_size_of_the_write_ahead_log(path: Path) -> None:
    metrics = _metrics(path)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO phases VALUES ('green', '')")
        writer.commit()
        size = path.with_name(f"{path.name}-wal").stat().st_size
        assert size > 0
        assert _scrape(metrics)["sqlite_wal_size_bytes"] == size


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_reading_changes_nothing(path: Path, journal: str) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute(f"PRAGMA journal_mode={journal}")
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert _scrape(_metrics(path)).items() >= HEALTHY.items()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_comes_during_the_examination_is_no_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
    database = Database(Metrics(keep=0), path, keep=0)
    opened = database._opened

    @contextmanager
    def meanwhile() -> Iterator[sqlite3.Connection]:
        with opened() as connection:
            path.with_name(f"{path.name}-wal").touch()
            _damage(path)
            yield connection

    database._opened = meanwhile  # type: ignore[method-assign]
    assert database._examine() == {}


@pytest.mark.parametrize("kind", ["missing", "directory", "locked"])
def test_a_database_that_cannot_be_read_has_no_other_values(
    path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("instrument.sqlite.BUSY", 0.05)
    with closing(sqlite3.connect(path)) as writer:
        if kind == "locked":
            writer.execute("BEGIN EXCLUSIVE")
        else:
            path.unlink()
        if kind == "directory":
            path.mkdir()
        metrics = _metrics(path)
        assert _scrape(metrics) == {"sqlite_up": 0.0}
        assert _scrape(metrics) == {"sqlite_up": 0.0}
    assert len(caplog.records) == 1
    assert path.exists() == (kind != "missing")


def test_it_comes_back_at_the_next_scrape(path: Path) -> None:
    away = path.with_suffix(".away")
    path.rename(away)
    metrics = _metrics(path, keep=3600)
    assert _scrape(metrics) == {"sqlite_up": 0.0}
    away.rename(path)
    assert _scrape(metrics).items() >= HEALTHY.items()


def test_damage_is_seen(path: Path) -> None:
    _damage(path)
    values = _scrape(_metrics(path))
    assert (values["sqlite_up"], values["sqlite_integrity_ok"]) == (1, 0)
    assert values["sqlite_database_size_bytes"] == path.stat().st_size


def test_what_is_no_database_is_damaged(path: Path) -> None:
    path.write_text("not a database at all, but long enough to be taken for one by its size" * 20)
    values = _scrape(_metrics(path))
    assert (values["sqlite_up"], values["sqlite_integrity_ok"]) == (1, 0)


def test_integrity_is_examined_only_now_and_then(path: Path) -> None:
    kept, fresh = _metrics(path, keep=3600), _metrics(path)
    assert _scrape(kept)["sqlite_integrity_ok"] == _scrape(fresh)["sqlite_integrity_ok"] == 1
    _damage(path)
    assert _scrape(kept)["sqlite_integrity_ok"] == 1
    assert _scrape(fresh)["sqlite_integrity_ok"] == 0


def test_an_examination_without_an_end_is_no_verdict(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO phases VALUES (?, ?)", [("red", str(each)) for each in range(20_000)])
        connection.commit()
    values = _scrape(_metrics(path, timeout=-1))
    assert values["sqlite_up"] == 1
    assert "sqlite_integrity_ok" not in values
    assert "integrity" in caplog.text


@contextmanager
def _exporter(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    # As on a machine with prometheus-client alone.
    program = (
        "import sys, runpy\n"
        "for name in ('starlette', 'httpx', 'yaml', 'opentelemetry', 'pydantic'): sys.modules[name] = None\n"
        "runpy.run_module('instrument.sqlite', run_name='__main__', alter_sys=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_program_serves_until_it_is_told_to_stop(path: Path, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{_port()}"
    log = tmp_path / "log" / "exporter.log"
    with _exporter("--listen", listen, "--database", str(path), "--log-file", str(log)) as process:
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport, base_url=f"http://{listen}") as client:
            assert client.get("/health/live").status_code == 200
            assert "sqlite_up 1.0" in client.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert listen in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "8503"], "'8503' is not host:port"),
        (["--listen", "127.0.0.1:99999"], "is not host:port"),
        ([], "--database"),
        (["--keep", "soon"], "invalid float value"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], says: str) -> None:
    database = [] if not arguments else ["--database", "x.db"]
    with _exporter(*arguments, *database) as process:
        assert process.wait(10) == 2
        assert process.stderr
        assert says in process.stderr.read()


def test_a_port_that_is_taken_is_named(path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with _exporter("--listen", listen, "--database", str(path)) as process:
            assert process.wait(10) == 1
            assert process.stderr
            assert f"cannot listen on {listen}: Address already in use" in process.stderr.read()
