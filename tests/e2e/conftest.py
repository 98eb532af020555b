"""One scratch clone a run, and one environment in it that is up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import seen
from standins.rehearse import ClusterGround, Ground, cluster_ground, ground

from e2e import cluster_faults
from e2e.environments import Environment, clone

# Durations that a test can wait for; the shipped ones are proven by the promtool tests.
WAITS = {
    "boss-workflow/HighErrorRate": "4s",
    "boss-workflow/SlowAPIResponses": "4s",
    "logs/LogErrorsHigh": "4s",
    "logs/LogSourceSilent": "0s",
}
SHORT = {
    address: {"for": wait, "because": "a test has no five minutes", "seen": seen(address)}
    for address, wait in WAITS.items()
}


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = clone(tmp_path_factory.mktemp("e2e"))
    profile = copy / "apps" / "boss-workflow.yaml"
    text = profile.read_text()
    assert "group_interval: 5m" in text
    profile.write_text(text.replace("group_interval: 5m", "group_interval: 5s"))
    return copy


@pytest.fixture(scope="session")
def one(scratch: Path) -> Iterator[Environment]:
    environment = Environment("one", scratch)
    environment.write(override=SHORT)
    try:
        environment.up()
        yield environment
    finally:
        processes = environment.supervisor.pids()
        environment.down()
    # No process, no file and no state is left of the last environment of a clone.
    assert not [pid for pid in processes if psutil.pid_exists(pid)]
    assert not (scratch / ".watchstack").exists()


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A Docker Engine with all it needs, and nothing on it at the end."""
    with ground(tmp_path_factory.mktemp("ground") / "own") as found:
        yield found
        assert found.client.containers.list(all=True) == []


@pytest.fixture(scope="session")
def small_disk() -> Iterator[Path]:
    """A small one, which is there before the cluster is: what runs on a node sees the disks that it started with."""
    with cluster_faults.small() as place:
        yield place


@pytest.fixture(scope="session")
def on_cluster(small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGround]:
    """A Kubernetes cluster with all it needs."""
    assert small_disk.is_dir()
    with cluster_ground(tmp_path_factory.mktemp("cluster") / "own") as found:
        yield found


@pytest.fixture
def edit(scratch: Path) -> Iterator[Callable[[str, str, str], None]]:
    """Replace a piece of a file in the clone; afterwards the file is what it was."""
    before: dict[Path, str] = {}

    def replace(path: str, old: str, new: str) -> None:
        file = scratch / path
        before.setdefault(file, file.read_text())
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    yield replace
    for file, text in before.items():
        file.write_text(text)
