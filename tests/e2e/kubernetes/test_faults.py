"""What is in the way of an environment in a cluster is told in time and by name, and the next `up` heals it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.rehearse import ClusterGround

from e2e.environments import Environment, eventually

pytestmark = pytest.mark.e2e

PLACES = {"monitoring": "faulty", "host": "faulty-host", "tracing": "faulty-tracing"}
# Nothing but Prometheus, Alertmanager and what sees the cluster.
OFF: dict[str, Any] = {name: {"enabled": False} for name in ("capture", "grafana", "jaeger", "loki", "node_exporter")}


@pytest.fixture
def faulty(on_cluster: ClusterGround, scratch: Path, tmp_path: Path) -> Iterator[Environment]:
    """A small environment that is not up, and of which nothing is left afterwards."""
    environment = Environment("faulty", scratch, variables=tuple(on_cluster.variables.items()))
    hook = tmp_path / "hook"
    hook.write_text("http://127.0.0.1:9/hook")
    settings = on_cluster.settings({"kubernetes": {"namespaces": PLACES, "storage_class": "fixed"}})
    environment.write(
        **OFF,
        **{key: value for key, value in settings.items() if key not in OFF},
        target="kubernetes",
        systems={"boss-workflow": {"targets": {"boss-workflow": "127.0.0.1:9"}}},
        secrets={name: {"file": str(hook)} for name in ("discord-webhook", "heartbeat")},
    )
    yield environment
    environment.down()
    assert environment.watchstack("audit")["left"] == []


def _with(environment: Environment, **changes: Any) -> None:
    own = environment.settings
    environment.set({**own, **{key: {**own.get(key, {}), **value} for key, value in changes.items()}})


def _refused(environment: Environment, *words: str, seconds: float = 60) -> None:
    start = time.monotonic()
    said = environment.up(check=False)
    assert time.monotonic() - start < seconds
    for word in words:
        assert word in said, said
    assert "Traceback" not in said


def _apart(environment: Environment, **variables: str) -> Environment:
    """The same environment, for who has other variables."""
    return Environment(
        environment.name, environment.clone, variables=tuple({**dict(environment.variables), **variables}.items())
    )


def test_a_cluster_that_does_not_answer_is_told(faulty: Environment, on_cluster: ClusterGround, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    text = on_cluster.cluster.kubeconfig.read_text()
    nowhere.write_text(text.replace(on_cluster.cluster.server, "https://127.0.0.1:9"))
    _refused(_apart(faulty, KUBECONFIG=str(nowhere)), "does not answer", "watchstack:kubernetes.context")
    absent = str(tmp_path / "absent")
    _refused(_apart(faulty, KUBECONFIG=absent), "kubeconfig cannot be used", "target=local")


def test_a_namespace_of_somebody_else_is_told(faulty: Environment, on_cluster: ClusterGround) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "faulty"}}
    on_cluster.cluster.apply(namespace)
    try:
        _refused(faulty, "namespace faulty is there already, without the label watchstack.environment")
    finally:
        on_cluster.cluster.ask("DELETE", on_cluster.cluster.path("v1", "Namespace", "", "faulty"))
    _gone(on_cluster, "faulty")
    faulty.up()


def _gone(there: ClusterGround, name: str) -> None:
    for attempt in eventually(60):
        with attempt:
            names = [one["metadata"]["name"] for one in there.cluster.ask("GET", "/api/v1/namespaces")["items"]]
            assert name not in names


def test_who_has_no_secrets_previews_all_of_it_and_is_refused_before_anything_is_made(
    faulty: Environment, on_cluster: ClusterGround, tmp_path: Path
) -> None:
    (tmp_path / "hook").unlink()
    said = faulty.pulumi("preview", "--diff")
    assert "Secret/faulty/alertmanager" in said
    assert f"heartbeat.file: {tmp_path / 'hook'}: no such file" in said
    _refused(faulty, f"secrets: watchstack:secrets.discord-webhook.file: {tmp_path / 'hook'}: no such file")
    _gone(on_cluster, "faulty")


def test_what_is_not_allowed_is_told(faulty: Environment, on_cluster: ClusterGround) -> None:
    stranger = on_cluster.cluster.user("stranger")
    _refused(_apart(faulty, KUBECONFIG=str(stranger)), 'User "stranger" cannot list', "docs/kubernetes.md")


def test_a_volume_that_cannot_become_what_is_asked_is_told(faulty: Environment) -> None:
    faulty.up()
    _with(faulty, prometheus={"volume": "1GB"})
    _refused(
        faulty, "volume prometheus-data of prometheus has 512MB", "storage class fixed does not let it grow to 1GB"
    )
    _with(faulty, prometheus={"volume": "256MB"})
    _refused(faulty, "volume prometheus-data of prometheus has 512MB and cannot shrink to 256MB")
    _with(faulty, prometheus={"volume": "512MB"})
    assert "unchanged" in faulty.up("--expect-no-changes")


def test_an_image_that_cannot_be_pulled_is_told_in_time_and_healed(faulty: Environment) -> None:
    there = faulty.settings["registry"]
    _with(faulty, kubernetes={"patience": "20s"}, registry={"address": "127.0.0.1:9"})
    _refused(faulty, "faulty/prometheus-0 does not run: keeper", "127.0.0.1:9/library/busybox", seconds=150)
    _with(faulty, kubernetes={"patience": "5m"}, registry=there)
    faulty.up()
    assert "unchanged" in faulty.up("--expect-no-changes")


def test_a_killed_run_is_healed_by_the_next(faulty: Environment) -> None:
    command = [sys.executable, "-m", "toolchain.pulumi", faulty.name, "--", "up", "--yes", "--skip-preview"]
    variables = {**os.environ, **dict(faulty.variables), "PYTHONPATH": str(faulty.clone)}
    variables["PULUMI_HOME"] = str(faulty.clone / ".pulumi-home")
    with subprocess.Popen(
        command,
        cwd=faulty.clone,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        assert run.stdout
        for line in run.stdout:
            if b"StatefulSet" in line and b"creating" in line:
                break
        os.killpg(run.pid, signal.SIGKILL)
    faulty.up()
    assert "unchanged" in faulty.up("--expect-no-changes")


def test_a_lost_state_is_told_and_the_environment_taken_over(faulty: Environment, on_cluster: ClusterGround) -> None:
    faulty.up()
    before = _claims(on_cluster)
    faulty.pulumi("stack", "rm", "--yes", "--force")
    _refused(faulty, "already exists", seconds=120)
    _with(faulty, kubernetes={"adopt": True})
    faulty.up()
    _with(faulty, kubernetes={"adopt": False})
    faulty.up()
    assert "unchanged" in faulty.up("--expect-no-changes")
    assert _claims(on_cluster) == before


def _claims(there: ClusterGround) -> dict[str, str]:
    """The volumes of the environment, by name: another id is another volume."""
    path = "/api/v1/persistentvolumeclaims?labelSelector=watchstack.environment%3Dfaulty"
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in there.cluster.ask("GET", path)["items"]}
