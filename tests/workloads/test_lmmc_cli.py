"""Commands of the command line program are counted, timed, and served while it runs."""

import random

import httpx
import pytest
from exposition import differences

from instrument.metrics import Metrics
from instrument.tracing import Tracing
from workloads.lmmc.cli import MOST_OPEN, NAMES, Cli


class Server:
    """Answers as the LMMC server does, or with the status that it is given."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        if not self.status:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(self.status, json={"task_id": "TASK-1"})


class Run:
    def __init__(self) -> None:
        self.server = Server()
        self.metrics = Metrics("lmmc_")
        client = httpx.Client(transport=httpx.MockTransport(self.server), base_url="http://lmmc-server")
        self.cli = Cli(self.metrics, client, random.Random(1), Tracing("lmmc-cli", None))

    def text(self) -> str:
        return self.metrics.exposition()[0].decode()

    def count(self, command: str, status: str) -> float | None:
        assert self.metrics.registry
        return self.metrics.registry.get_sample_value("lmmc_cli_commands_total", {"command": command, "status": status})


@pytest.fixture(name="run")
def _run() -> Run:
    return Run()


def test_exposition_is_that_of_the_catalogue(run: Run) -> None:
    assert differences("lmmc", "lmmc-cli", run.text()) == []
    for name in ("add", *NAMES):
        assert run.cli.run(name)
    assert differences("lmmc", "lmmc-cli", run.text()) == []


def test_each_command_asks_the_server_and_is_counted(run: Run) -> None:
    for name in ("add", "list", "search", "status", "done"):
        assert run.cli.run(name)
        assert run.count(name, "success") == 1
        assert f'lmmc_cli_command_duration_seconds_count{{command="{name}"}} 1.0' in run.text()
        assert f'lmmc_cli_last_run_timestamp_seconds{{command="{name}"}} 0.0' not in run.text()
    assert run.server.asked == [
        ("POST", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks"),
        ("POST", "/api/v1/search"),
        ("GET", "/health"),
        ("PATCH", "/api/v1/tasks/TASK-1"),
    ]


@pytest.mark.parametrize("status", [500, 404, 0])
def test_command_that_the_server_refuses_or_does_not_hear_is_a_failure(run: Run, status: int) -> None:
    run.server.status = status
    assert not run.cli.run("list")
    assert run.count("list", "failure") == 1
    assert run.count("list", "success") == 0


def test_commands_that_come_next_leave_no_growing_pile_of_tasks(run: Run) -> None:
    names = []
    for _ in range(500):
        names.append(run.cli.next())
        assert run.cli.run(names[-1])
    assert set(names) == set(NAMES)
    assert 0 <= names.count("add") - names.count("done") <= MOST_OPEN
