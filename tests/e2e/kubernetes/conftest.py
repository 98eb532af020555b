"""One Kubernetes cluster for all that is asked of a cluster here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.rehearse import ClusterGround, cluster_ground

from e2e.kubernetes import cluster_faults


@pytest.fixture(scope="package")
def small_disk() -> Iterator[Path]:
    """A small one, which is there before the cluster is: what runs on a node sees the disks that it started with."""
    with cluster_faults.small() as place:
        yield place


@pytest.fixture(scope="package")
def on_cluster(small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGround]:
    """A cluster with all it needs."""
    assert small_disk.is_dir()
    with cluster_ground(tmp_path_factory.mktemp("cluster") / "own", long_term=True) as found:
        yield found
