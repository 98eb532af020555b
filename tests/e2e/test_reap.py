"""An environment whose time is over is taken down though its stack file is gone, and one whose time is not stays."""

import json
from pathlib import Path

import psutil
import pytest

from e2e.environments import Environment, clone, eventually

pytestmark = pytest.mark.e2e


def test_an_environment_of_a_pull_request_goes_when_its_time_is_over(tmp_path: Path) -> None:
    environment = Environment("two", clone(tmp_path))
    environment.write(ttl="8h", loki={"enabled": False}, jaeger={"enabled": False}, grafana={"enabled": False})
    try:
        environment.up()
        assert _reaped(environment) == {"two": "alive"}
        environment.write(ttl="1s", loki={"enabled": False}, jaeger={"enabled": False}, grafana={"enabled": False})
        environment.up()
        processes = environment.supervisor.pids()
        environment.stack_file.unlink()
        for attempt in eventually(10):
            with attempt:
                assert _reaped(environment, "--dry-run") == {"two": "over"}
        assert environment.home.exists()
        assert _reaped(environment) == {"two": "removed"}
        assert not [pid for pid in processes if psutil.pid_exists(pid)]
        assert not environment.home.exists()
        assert _reaped(environment) == {}
    finally:
        if environment.home.exists():
            environment.write()
            environment.down()


def _reaped(environment: Environment, *arguments: str) -> dict[str, str]:
    said = environment._run("-m", "cli.app", "reap", "--json", *arguments, check=True)
    return {life["environment"]: life["state"] for life in json.loads(said)["environments"]}
