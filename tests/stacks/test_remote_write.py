"""Other backends that get every sample: what Prometheus is told of them, and which rules and panels come with them."""

from typing import Any

import pytest
import yaml
from conftest import MakePlan

from stacks import render
from stacks.plan import Plan

ALERTS = {"PrometheusRemoteWriteBehind", "PrometheusRemoteWriteFailing"}
SECRETS = {name: {"file": "/dev/null"} for name in ("discord-webhook", "mimir-token", "vm-password")}
BACKENDS: dict[str, Any] = {
    "victoria": {"url": "http://10.0.0.11:8428/api/v1/write", "username": "watch", "password": "vm-password"},
    "mimir": {
        "url": "https://mimir.example.org/api/v1/push",
        "bearer": "mimir-token",
        "headers": {"X-Scope-OrgID": "payments"},
        "queue": {"max_samples_per_send": 5000},
    },
}


@pytest.fixture(scope="module")
def sending(make_plan: MakePlan) -> Plan:
    return make_plan(prometheus={"replicas": 2, "remote_write": BACKENDS}, secrets=SECRETS)


def test_every_replica_sends_to_every_backend_with_its_own_login(sending: Plan) -> None:
    for name in ("prometheus", "prometheus-2"):
        mimir, victoria = yaml.safe_load(render.tree(sending)[f"{name}/etc/prometheus.yml"])["remote_write"]
        # Prometheus resolves files from the directory of its configuration file.
        assert mimir == {
            "name": "mimir",
            "url": "https://mimir.example.org/api/v1/push",
            "authorization": {"credentials_file": "../secrets/mimir-token"},
            "headers": {"X-Scope-OrgID": "payments"},
            "queue_config": {"max_shards": 50, "max_samples_per_send": 5000, "capacity": 25000},
        }
        assert victoria == {
            "name": "victoria",
            "url": "http://10.0.0.11:8428/api/v1/write",
            "basic_auth": {"username": "watch", "password_file": "../secrets/vm-password"},
            "queue_config": {"max_shards": 50, "max_samples_per_send": 2000, "capacity": 10000},
        }


def test_credentials_are_secret_files_of_every_replica(sending: Plan) -> None:
    for service in sending.replicas("prometheus"):
        assert [secret.path for secret in service.secrets] == ["secrets/mimir-token", "secrets/vm-password"]


def test_its_alerts_and_panels_come_with_the_first_backend(sending: Plan, make_plan: MakePlan) -> None:
    alone = make_plan()
    assert {alert.name for alert in sending.alerts} >= ALERTS
    assert not {alert.name for alert in alone.alerts} & ALERTS
    boards = [render.tree(made)["grafana/etc/dashboards/platform/prometheus.json"] for made in (sending, alone)]
    assert ["Remote write" in board for board in boards] == [True, False]


def test_without_a_backend_prometheus_is_told_nothing_of_it(make_plan: MakePlan) -> None:
    assert "remote_write" not in render.tree(make_plan())["prometheus/etc/prometheus.yml"]
