"""What is in a cluster, asked from this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from standins.rehearse import ClusterGround

from cli.common import make_plan
from e2e.environments import Environment
from stacks.plan import Plan
from stacks.service import Endpoint
from stacks.targets import live


@contextmanager
def reached(environment: Environment, there: ClusterGround) -> Iterator[Plan]:
    """The Plan of an environment that is up, with every service where this machine reaches it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(there.cluster.kubeconfig))
        yield live.reached(make_plan(environment.name, stack_file=environment.stack_file))


def ask(plan: Plan, service: str, path: str, /, **parameters: str) -> Any:
    """The JSON answer of a service on its port `http`."""
    found = plan.find(service)
    assert found is not None
    url = plan.url(found, Endpoint(port="http", path=path))
    return httpx.get(url, params=parameters, trust_env=False, timeout=10).raise_for_status().json()
