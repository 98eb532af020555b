"""Long-term storage of metrics: who is told of whom, and where the key to the bucket stands."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakePlan

from checks import references
from stacks import flows, render, sizing
from stacks.plan import Plan
from stacks.services import thanos

STORAGE = {"endpoint": "10.0.0.12:9000", "bucket": "metrics", "credentials": "bucket", "insecure": True}
PARTS = thanos.NAMES
SECRETS = {name: {"file": "/dev/null"} for name in ("discord-webhook", "bucket")}


@pytest.fixture(scope="module")
def kept(make_plan: MakePlan) -> Plan:
    wanted: dict[str, Any] = {"retention": {"raw": "30d", "5m": "180d", "1h": "2y"}}
    return make_plan(thanos=wanted, object_storage=STORAGE, prometheus={"replicas": 2}, secrets=SECRETS)


def _arguments(made: Plan, name: str) -> list[str]:
    service = made.find(name)
    assert service is not None
    return list(service.args)


def _read(made: Plan, path: str) -> Any:
    return yaml.safe_load(render.tree(made)[path])


def test_without_it_nothing_of_it_is_there(make_plan: MakePlan) -> None:
    assert not [path for path in render.tree(make_plan()) if path.startswith("thanos")]


def test_every_prometheus_sends_to_the_receiver_and_has_its_alerts(kept: Plan) -> None:
    for name in ("prometheus", "prometheus-2"):
        [backend] = _read(kept, f"{name}/etc/prometheus.yml")["remote_write"]
        assert (backend["name"], backend["url"]) == ("thanos", "http://127.0.0.1:20908/api/v1/receive")
        assert backend["send_exemplars"] is True
    assert "PrometheusRemoteWriteBehind" in {alert.name for alert in kept.alerts}
    assert "--remote-write.address=127.0.0.1:20908" in _arguments(kept, thanos.RECEIVE)


def test_the_querier_asks_receiver_and_store_and_takes_the_replicas_for_one(kept: Plan) -> None:
    asked = [argument for argument in _arguments(kept, thanos.QUERY) if argument.startswith("--endpoint")]
    assert asked == ["--endpoint=127.0.0.1:20901", "--endpoint=127.0.0.1:20905"]
    assert "--query.replica-label=replica" in _arguments(kept, thanos.QUERY)
    for name, port in ((thanos.RECEIVE, 20901), (thanos.STORE, 20905)):
        assert f"--grpc-address=127.0.0.1:{port}" in _arguments(kept, name)


def test_panels_ask_the_querier_and_alerts_come_from_prometheus(kept: Plan) -> None:
    sources = _read(kept, "grafana/etc/provisioning/datasources/watchstack.yml")["datasources"]
    by_uid = {source["uid"]: source for source in sources}
    assert (by_uid["prometheus"]["url"], by_uid["prometheus"]["name"]) == ("http://127.0.0.1:20904", "Thanos")
    assert [source["uid"] for source in sources if source.get("isDefault")] == ["prometheus"]
    # Lists of alerts name it.
    assert by_uid["prometheus-rules"]["name"] == "Prometheus"
    assert by_uid["prometheus-rules"]["url"] == "http://127.0.0.1:19090"
    managing = [uid for uid, source in by_uid.items() if source["jsonData"].get("manageAlerts")]
    assert managing == ["prometheus-rules"]
    assert {source["type"] for source in sources if source["name"] in ("Thanos", "Prometheus")} == {"prometheus"}


def test_the_bucket_is_the_same_for_all_and_the_key_is_in_the_secret_alone(kept: Plan) -> None:
    for name in (thanos.RECEIVE, thanos.STORE, thanos.COMPACT):
        service = kept.find(name)
        assert service is not None
        assert "--objstore.config-file=etc/bucket.yml" in service.args
        assert dict(service.environment) == {"AWS_SHARED_CREDENTIALS_FILE": "secrets/object-storage"}
        assert [(secret.path, secret.secret) for secret in service.secrets] == [("secrets/object-storage", "bucket")]
        assert _read(kept, f"{name}/etc/bucket.yml") == {
            "type": "S3",
            "prefix": "test/metrics",
            "config": {"bucket": "metrics", "endpoint": "10.0.0.12:9000", "insecure": True},
        }
        assert service.outbound
    querier = kept.find(thanos.QUERY)
    assert querier is not None
    assert (querier.secrets, querier.outbound) == ((), False)


def test_samples_are_kept_at_each_resolution_as_long_as_asked(kept: Plan) -> None:
    found = [argument for argument in _arguments(kept, thanos.COMPACT) if argument.startswith("--retention")]
    assert found == [
        "--retention.resolution-raw=30d",
        "--retention.resolution-5m=180d",
        "--retention.resolution-1h=2y",
    ]


def test_all_four_are_scraped(kept: Plan) -> None:
    jobs = {job.job: [target.instance for target in job.targets] for job in kept.jobs}
    for name in thanos.NAMES:
        assert jobs[name] == [f"{name}:{thanos.HTTP[name]}"]


def test_the_receiver_is_limited_by_the_series_of_both_replicas(kept: Plan) -> None:
    service, load = kept.find(thanos.RECEIVE), sizing.of_jobs(kept.settings, kept.jobs)
    assert service is not None
    assert service.limits.memory == sizing.BASE_BYTES + 2 * load.series * sizing.SERIES_BYTES


def test_its_alerts_and_dashboard_are_over_metrics_that_it_has(kept: Plan) -> None:
    assert "ThanosUploadFailing" in {alert.name for alert in kept.alerts}
    assert "thanos" in {board.uid for board in kept.dashboards}
    assert references.check(kept, Path()) == []


@pytest.mark.parametrize(("target", "place"), [("docker", ""), ("kubernetes", ".monitoring")])
def test_in_containers_its_parts_find_each_other_by_their_names(make_plan: MakePlan, target: str, place: str) -> None:
    registry = {"address": "mirror.example.org"}
    made = make_plan(
        target=target,
        registry=registry,
        thanos={},
        object_storage=STORAGE,
        prometheus={"replicas": 2},
        loki={"bucket": {"name": "logs", "since": "2026-01-01"}},
        secrets=SECRETS,
    )
    for name in ("prometheus", "prometheus-2"):
        [backend] = _read(made, f"{name}/etc/prometheus.yml")["remote_write"]
        assert backend["url"] == f"http://thanos-receive{place}:10908/api/v1/receive"
    sources = _read(made, "grafana/etc/provisioning/datasources/watchstack.yml")["datasources"]
    assert (
        next(source["url"] for source in sources if source["name"] == "Thanos") == f"http://thanos-query{place}:10904"
    )
    found = {(flow.source, flow.target, flow.port) for flow in flows.of(made) if {flow.source, flow.target} & {*PARTS}}
    scrapes = {(f"prometheus{number}", name, thanos.HTTP[name]) for number in ("", "-2") for name in PARTS}
    assert found == scrapes | {
        ("grafana", "thanos-query", 10904),
        ("prometheus", "thanos-receive", 10908),
        ("prometheus-2", "thanos-receive", 10908),
        ("thanos-query", "thanos-receive", 10901),
        ("thanos-query", "thanos-store", 10905),
    }
