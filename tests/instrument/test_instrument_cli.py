"""Short programs: runs are counted, and their metrics survive them as a file or show on a port."""

import logging
import os
import socket
import stat
import sys
import time
from pathlib import Path

import pytest
import typer

from instrument import Metrics
from instrument.cli import Commands, serve, write_textfile


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    assert metrics.registry
    value = metrics.registry.get_sample_value(name, labels)
    assert value is not None
    return value


def _runs(metrics: Metrics, command: str) -> tuple[float, float]:
    """Runs that succeeded, and that failed."""
    return (
        _value(metrics, "lmmc_cli_commands_total", command=command, status="success"),
        _value(metrics, "lmmc_cli_commands_total", command=command, status="failure"),
    )


def test_runs_are_counted_timed_and_dated() -> None:
    metrics = Metrics("lmmc_")
    commands = Commands(metrics, ("import", "export"))
    before = time.time()
    with commands.run("import"):
        time.sleep(0.02)
    with pytest.raises(OSError, match="disk full"), commands.run("import"):
        raise OSError("disk full")
    assert _runs(metrics, "import") == (1, 1)
    assert _runs(metrics, "export") == (0, 0)
    assert 0.02 <= _value(metrics, "lmmc_cli_command_duration_seconds_sum", command="import") < 1
    assert before <= _value(metrics, "lmmc_cli_last_run_timestamp_seconds", command="import") <= time.time()
    assert _value(metrics, "lmmc_cli_last_run_timestamp_seconds", command="export") == 0


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (SystemExit(), (1, 0)),
        (SystemExit(0), (1, 0)),
        (typer.Exit(), (1, 0)),
        (SystemExit(2), (0, 1)),
        (SystemExit("no such file"), (0, 1)),
        (typer.Exit(1), (0, 1)),
        (KeyboardInterrupt(), (0, 1)),
    ],
    ids=repr,
)
def test_leaving_with_status_0_is_success(way: BaseException, expected: tuple[float, float]) -> None:
    metrics = Metrics("lmmc_")
    commands = Commands(metrics, ("import",))
    with pytest.raises(type(way)) as raised, commands.run("import"):
        raise way
    assert raised.value is way
    assert _runs(metrics, "import") == expected


def test_outcomes_may_have_other_names() -> None:
    metrics = Metrics()
    with Commands(metrics, ("sync",), statuses=("ok", "error"), total="runs_total").run("sync"):
        pass
    assert _value(metrics, "runs_total", command="sync", status="ok") == 1


def test_file_is_whole_readable_by_all_and_replaced(tmp_path: Path) -> None:
    metrics = Metrics("lmmc_")
    commands = Commands(metrics, ("import",))
    path = tmp_path / "lmmc.prom"
    path.write_text("old\n")
    before = os.umask(0o077)
    try:
        with commands.run("import"):
            pass
        write_textfile(metrics, path)
    finally:
        os.umask(before)
    assert 'lmmc_cli_commands_total{command="import",status="success"} 1.0\n' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["lmmc.prom"]


@pytest.mark.parametrize("blocked", ["directory", "target"])
def test_a_file_that_cannot_be_written_is_a_fault(
    tmp_path: Path, blocked: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    path = tmp_path / "lmmc.prom"
    if blocked == "target":
        (path / "inside").mkdir(parents=True)
    write_textfile(metrics, path if blocked == "target" else tmp_path / "missing" / "lmmc.prom")
    assert _value(metrics, "instrument_faults_total", part="exposition") == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".tmp"]


def test_metrics_are_served_while_the_program_runs() -> None:
    import httpx

    metrics = Metrics("lmmc_")
    commands = Commands(metrics, ("import",))
    metrics.read("queue", "Waiting.", lambda: 3)
    server = serve(metrics, port=0)
    assert server
    url = f"http://127.0.0.1:{server.port}"
    with commands.run("import"):
        pass
    plain = httpx.get(f"{url}/metrics")
    assert 'command="import",status="success"} 1.0' in plain.text
    assert "lmmc_queue 3.0" in plain.text
    opened = httpx.get(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    assert httpx.get(f"{url}/health/live").json() == {"status": "healthy"}
    assert httpx.get(f"{url}/elsewhere").status_code == 404
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/metrics")


def test_a_port_that_is_taken_is_a_fault() -> None:
    metrics = Metrics()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert serve(metrics, port=taken.getsockname()[1]) is None
    assert _value(metrics, "instrument_faults_total", part="exposition") == 1


def test_with_metrics_off_the_program_does_the_same(tmp_path: Path) -> None:
    metrics = Metrics(enabled=False)
    with pytest.raises(SystemExit), Commands(metrics, ("import",)).run("import"):
        sys.exit(3)
    write_textfile(metrics, tmp_path / "lmmc.prom")
    assert list(tmp_path.iterdir()) == []
    assert serve(metrics, port=0) is None
