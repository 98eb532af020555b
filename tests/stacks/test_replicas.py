"""Several of one service: each with a name, ports and files of its own, all known to whoever needs them."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakePlan
from e2e.environments import OFFSETS

from checks import ports
from stacks import plan, render, settings
from stacks.plan import Plan
from stacks.service import Service

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "stacks" / "env"
SEVERAL: dict[str, Any] = {"prometheus": {"replicas": 2}, "alertmanager": {"replicas": 3}}


@pytest.fixture(scope="module")
def several(make_plan: MakePlan) -> Plan:
    return make_plan(**SEVERAL)


def _bound(made: Plan, service: Service) -> set[int]:
    return {made.ground.replica(service.replica).bind(port.number) for port in service.ports}


def _config(made: Plan, name: str) -> Any:
    return yaml.safe_load(render.tree(made)[f"{name}/etc/prometheus.yml"])


def _arguments(made: Plan, name: str) -> list[str]:
    service = made.find(name)
    assert service is not None
    return [argument for argument in service.args if argument.startswith("--cluster")]


def test_the_first_keeps_its_name_and_the_others_are_counted(several: Plan) -> None:
    assert [service.name for service in several.replicas("prometheus")] == ["prometheus", "prometheus-2"]
    names = [service.name for service in several.replicas("alertmanager")]
    assert names == ["alertmanager", "alertmanager-2", "alertmanager-3"]


def test_on_this_machine_each_has_ports_of_its_own(several: Plan) -> None:
    urls = [several.url(service, service.ready) for service in several.replicas("alertmanager")]
    assert urls == [f"http://127.0.0.1:{port}/-/ready" for port in (19093, 19193, 19293)]
    assert [problem for problem in ports.check(several, Path()) if "asked for by" in problem] == []


def test_elsewhere_each_has_a_name_and_all_the_same_ports(make_plan: MakePlan) -> None:
    made = make_plan(target="docker", **SEVERAL)
    urls = [made.url(service, service.ready) for service in made.replicas("alertmanager")]
    assert urls == [f"http://alertmanager{n}:9093/-/ready" for n in ("", "-2", "-3")]
    assert _arguments(made, "alertmanager-2")[:3] == [
        "--cluster.listen-address=0.0.0.0:9094",
        "--cluster.peer=alertmanager:9094",
        "--cluster.peer=alertmanager-3:9094",
    ]


def test_all_are_targets_of_one_job_and_are_called_the_same_on_every_target(make_plan: MakePlan) -> None:
    for target in ("local", "docker"):
        jobs = {job.job: [each.instance for each in job.targets] for job in make_plan(target=target, **SEVERAL).jobs}
        assert jobs["prometheus"] == ["prometheus:9090", "prometheus-2:9090"]
        assert jobs["alertmanager"] == ["alertmanager:9093", "alertmanager-2:9093", "alertmanager-3:9093"]
        assert not [job for job in jobs if job.endswith(("-2", "-3"))]


def test_prometheus_differ_in_a_label_that_their_alerts_do_not_have(several: Plan) -> None:
    first, second = _config(several, "prometheus"), _config(several, "prometheus-2")
    labels = [config["global"]["external_labels"].pop("replica") for config in (first, second)]
    assert labels == ["prometheus", "prometheus-2"]
    assert first == second
    assert first["alerting"]["alert_relabel_configs"] == [{"action": "labeldrop", "regex": "replica"}]
    [static] = first["alerting"]["alertmanagers"][0]["static_configs"]
    assert static["targets"] == ["127.0.0.1:19093", "127.0.0.1:19193", "127.0.0.1:19293"]


def test_every_replica_has_the_same_rules_and_secrets_and_a_volume(several: Plan) -> None:
    for kind in ("prometheus", "alertmanager"):
        first, *others = several.replicas(kind)
        for other in others:
            assert (other.files[1:], other.secrets, other.volumes) == (first.files[1:], first.secrets, first.volumes)


def test_an_alertmanager_gossips_with_all_the_others_and_alone_with_nobody(several: Plan, make_plan: MakePlan) -> None:
    assert _arguments(several, "alertmanager-2")[:3] == [
        "--cluster.listen-address=127.0.0.1:19194",
        "--cluster.peer=127.0.0.1:19094",
        "--cluster.peer=127.0.0.1:19294",
    ]
    assert _arguments(make_plan(), "alertmanager") == ["--cluster.listen-address="]


@pytest.mark.parametrize(("replicas", "patience"), [(2, "15s"), (3, "10s"), (5, "6s")])
def test_the_last_to_notify_has_its_turn_before_the_group_is_looked_at_again(
    make_plan: MakePlan, replicas: int, patience: str
) -> None:
    arguments = _arguments(make_plan(alertmanager={"replicas": replicas}), "alertmanager")
    assert f"--cluster.peer-timeout={patience}" in arguments
    assert int(patience[:-1]) * (replicas - 1) < 30


def test_rules_on_the_agreement_of_alertmanagers_come_with_the_second(several: Plan, make_plan: MakePlan) -> None:
    pairs = {"AlertmanagerConfigDiffers", "AlertmanagerMembersMissing"}
    assert pairs <= {alert.name for alert in several.alerts}
    assert not pairs & {alert.name for alert in make_plan().alerts}


def test_a_log_line_of_a_replica_is_one_of_its_service(several: Plan) -> None:
    receivers = yaml.safe_load(render.tree(several)["otel-collector/etc/collector.yml"])["receivers"]
    second = receivers["file_log/alertmanager-2"]
    assert second["include"] == ["../alertmanager-2/log/*.log"]
    assert second["resource"]["service.name"] == "alertmanager"
    assert second["resource"]["service.instance.id"] == "alertmanager-2"


def test_loki_tells_every_alertmanager(several: Plan) -> None:
    ruler = yaml.safe_load(render.tree(several)["loki/etc/loki.yml"])["ruler"]
    assert ruler["alertmanager_url"].split(",") == [f"http://127.0.0.1:{port}" for port in (19093, 19193, 19293)]


def test_environments_run_side_by_side_on_this_machine(make_plan: MakePlan) -> None:
    """No port of a shipped environment, or of one of the tests, is another's."""
    plans = {name: make_plan(port_offset=offset, **SEVERAL) for name, offset in OFFSETS.items()}
    for path in ENVIRONMENTS.glob("Pulumi.*.yaml"):
        name = path.stem.removeprefix("Pulumi.")
        plans[name] = plan.make(settings.from_stack_file(path, name, {"target": "local"}), {})
    users = defaultdict(list)
    for name, made in plans.items():
        for service in made.services:
            for port in _bound(made, service):
                users[port].append(f"{name} {service.name}")
    assert {port: names for port, names in users.items() if len(names) > 1} == {}
