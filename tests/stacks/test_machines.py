"""Other machines that an environment watches: the same services, by names, addresses and ports of their own."""

from typing import Any

import pytest
import yaml
from conftest import MakePlan

from stacks import flows
from stacks.flows import Flow
from stacks.plan import Plan
from stacks.strict import Refused
from stacks.targets.containers import LOADER, LOCKSMITH, SETTLER

WEB = {"engine": "ssh://ops@web-1", "address": "10.0.0.5"}
DOCKER: dict[str, Any] = {"agents_at": "10.0.0.2", "hosts": {"web-1": WEB}, "container_metrics": True}


@pytest.fixture(scope="module")
def watched(make_plan: MakePlan) -> Plan:
    return make_plan(target="docker", docker=DOCKER)


def _targets(plan: Plan) -> dict[str, dict[str, str]]:
    return {job.job: {target.instance: target.address for target in job.targets} for job in plan.jobs}


def test_agents_are_targets_of_the_jobs_of_what_they_are(watched: Plan) -> None:
    targets = _targets(watched)
    assert targets["node-exporter"] == {"node-exporter:9100": "node-exporter:9100", "web-1:19100": "10.0.0.5:19100"}
    assert targets["cadvisor"] == {"cadvisor:8080": "cadvisor:8080", "web-1:18080": "10.0.0.5:18080"}
    assert targets["otel-collector"] == {
        "otel-collector:8888": "otel-collector:8888",
        "web-1:18888": "10.0.0.5:18888",
    }


def test_there_are_only_the_agents_that_the_environment_asks_for(make_plan: MakePlan) -> None:
    def agents(**more: Any) -> set[str]:
        made = make_plan(target="docker", docker={**DOCKER, "container_metrics": False}, **more)
        return {service.name for service in made.services if service.machine == "web-1"}

    assert agents() == {"node-exporter-web-1", "otel-collector-web-1"}
    assert agents(node_exporter={"enabled": False}) == {"otel-collector-web-1"}
    assert agents(loki={"enabled": False}) == {"node-exporter-web-1"}


def test_on_another_target_there_are_none(make_plan: MakePlan) -> None:
    assert not [service for service in make_plan(docker=DOCKER).services if service.machine or service.exposed]


def test_an_agent_is_of_the_kind_of_the_one_on_the_first_machine(watched: Plan) -> None:
    kinds = {service.name: service.kind for service in watched.services if service.machine}
    assert kinds == {
        "cadvisor-web-1": "cadvisor",
        "node-exporter-web-1": "node-exporter",
        "otel-collector-web-1": "otel-collector",
    }
    assert watched.absent == ()


def _collector(plan: Plan, name: str) -> Any:
    service = plan.find(name)
    assert service is not None
    return yaml.safe_load(service.files[0].text)


def test_a_collector_of_another_machine_reads_the_same_containers_and_names_the_machine(watched: Plan) -> None:
    first, other = _collector(watched, "otel-collector"), _collector(watched, "otel-collector-web-1")
    read = {
        name: config["receivers"]["file_log/containers"]["operators"] for name, config in (("1", first), ("2", other))
    }
    added = {"type": "add", "field": 'resource["host.name"]', "value": 'EXPR("web-1")'}
    assert [operator for operator in read["2"] if operator not in read["1"]] == [added]
    assert [operator for operator in read["1"] if operator not in read["2"]] == []
    assert [*other["receivers"]] == ["file_log/containers"], "it takes in nothing from others"
    assert other["exporters"]["otlp_http/first"]["endpoint"] == "http://10.0.0.2:14318"
    assert other["exporters"]["otlp_http/first"]["sending_queue"]["storage"] == "file_storage"


def test_who_talks_to_whom_over_the_private_network(watched: Plan) -> None:
    found = {flow for flow in flows.of(watched) if "web-1" in flow.source + flow.target}
    assert found == {
        Flow(source="otel-collector-web-1", target="otel-collector", port=4318),
        Flow(source="prometheus", target="cadvisor-web-1", port=18080),
        Flow(source="prometheus", target="node-exporter-web-1", port=19100),
        Flow(source="prometheus", target="otel-collector-web-1", port=18888),
    }


def test_an_address_of_ipv6_is_in_brackets_before_a_port(make_plan: MakePlan) -> None:
    docker = {"agents_at": "fd00::2", "hosts": {"web-1": {**WEB, "address": "fd00::5"}}}
    made = make_plan(target="docker", docker=docker)
    assert _targets(made)["node-exporter"]["web-1:19100"] == "[fd00::5]:19100"
    assert (
        _collector(made, "otel-collector-web-1")["exporters"]["otlp_http/first"]["endpoint"] == "http://[fd00::2]:14318"
    )
    assert Flow(source="otel-collector-web-1", target="otel-collector", port=4318) in flows.of(made)
    assert Flow(source="prometheus", target="node-exporter-web-1", port=19100) in flows.of(made)


def test_without_other_machines_nothing_is_published_for_them(make_plan: MakePlan) -> None:
    assert not [service for service in make_plan(target="docker").services if service.exposed]


@pytest.mark.parametrize("part", [LOADER, LOCKSMITH, SETTLER])
def test_no_machine_is_called_as_a_part_of_a_service(make_plan: MakePlan, part: str) -> None:
    with pytest.raises(Refused, match=f"'web-{part}' ends as a part of a service does"):
        make_plan(target="docker", docker={"agents_at": "10.0.0.2", "hosts": {f"web-{part}": WEB}})
