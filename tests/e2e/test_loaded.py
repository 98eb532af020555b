"""What the real Prometheus and Alertmanager say that they have loaded, against the files of every shipped environment.

They run alone, on ports that nobody else has: what they would scrape or tell is not there, and need not be.
"""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli import differences
from cli.differences import Drift
from e2e.environments import eventually
from stacks import plan, render, settings
from stacks.plan import Plan
from stacks.service import Service
from toolchain.programs import program

pytestmark = pytest.mark.e2e

ENVIRONMENTS = sorted(file.name.split(".")[1] for file in settings.STACK_FILES.glob("Pulumi.*.yaml"))


@dataclass(frozen=True)
class Pair:
    """A Prometheus and an Alertmanager that run with the files below `directory`."""

    plan: Plan
    directory: Path
    processes: dict[str, subprocess.Popen[bytes]]

    def drift(self, name: str) -> list[Drift]:
        service = self.service(name)
        look = differences._prometheus if name == "prometheus" else differences._alertmanager
        return look(self.plan, service)

    def service(self, name: str) -> Service:
        found = self.plan.find(name)
        assert found is not None
        return found

    def ready(self, name: str) -> bool:
        service = self.service(name)
        return httpx.get(self.plan.url(service, service.ready), trust_env=False).is_success


@contextmanager
def _running(environment: str, directory: Path) -> Iterator[Pair]:
    # Below the ports that connections go out from.
    changes = {"target": "local", "port_offset": str(random.randrange(20300, 22700, 100))}
    made = plan.make(settings.from_stack_file(settings.stack_file(environment), environment, changes), {})
    render.write(render.tree(made), directory)
    pair = Pair(made, directory, {})
    try:
        for name in ("prometheus", "alertmanager"):
            _start(pair, name)
        for name in pair.processes:
            for attempt in eventually(30):
                with attempt:
                    assert pair.ready(name)
        yield pair
    finally:
        for process in pair.processes.values():
            process.terminate()
            process.wait()


def _start(pair: Pair, name: str) -> None:
    service = pair.service(name)
    place = pair.directory / name
    for volume in service.volumes:
        (place / volume.path).mkdir(parents=True)
    with (place / "log").open("w") as log:
        command = [str(program(service.program)), *service.args]
        pair.processes[name] = subprocess.Popen(command, cwd=place, stdout=log, stderr=log)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_loaded_as_it_is_written_has_not_drifted(environment: str, tmp_path: Path) -> None:
    with _running(environment, tmp_path) as pair:
        assert pair.drift("prometheus") == []
        assert pair.drift("alertmanager") == []


@pytest.mark.parametrize(
    ("file", "old", "new", "what", "detail"),
    [
        (
            "prometheus/etc/rules/boss-workflow/v1/alerts.yml",
            "severity: critical",
            "severity: warning",
            "prometheus: rule boss-workflow/v1/alerts.yml: ",
            "is loaded in another form",
        ),
        (
            "prometheus/etc/prometheus.yml",
            "scrape_interval: 5s",
            "scrape_interval: 6s",
            "prometheus: global.scrape_interval",
            "the file says '5s', loaded is '6s'",
        ),
        (
            "alertmanager/etc/alertmanager.yml",
            "repeat_interval: 4h",
            "repeat_interval: 5h",
            "alertmanager: route.",
            "the file says '4h', loaded is '5h'",
        ),
    ],
    ids=["rule", "interval", "route"],
)
def test_what_was_changed_at_run_time_alone_is_named(
    tmp_path: Path, file: str, old: str, new: str, what: str, detail: str
) -> None:
    with _running("local", tmp_path) as pair:
        name = file.partition("/")[0]
        text = (tmp_path / file).read_text()
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new, 1))
        pair.processes[name].send_signal(signal.SIGHUP)
        for attempt in eventually(20):
            with attempt:
                drifted = pair.drift(name)
                assert drifted
        [found] = drifted
        assert found.part == name
        assert found.what.startswith(what)
        assert found.detail == detail
