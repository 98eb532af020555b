"""What the Docker target asks of its provider: hardened containers, secrets in files alone, little made anew."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker
import pytest
from conftest import MakePlan, seen

from stacks.plan import Plan
from stacks.strict import Refused
from stacks.targets import containers, docker, engine

SECRET = "s3cr3t-that-is-nowhere-else-0123"  # noqa: S105 - of this test
ADDRESS = "boss-workflow/RedisErrors"
GATEWAY = "10.1.2.1"
CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
NETWORK = "docker:index/network:Network"


@dataclass
class Engine(pulumi.runtime.Mocks):
    """Takes what is registered; what a provider would compute is made up."""

    made: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    provided: dict[str, str] = field(default_factory=dict)
    ended_with: Mapping[str, int] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        assert (args.typ, args.name) not in self.made, "no two have one name"
        self.made[args.typ, args.name] = _plain(args.inputs)
        self.provided[args.name] = str(args.provider).rpartition("::")[0].rpartition("::")[2]
        computed: dict[str, dict[str, Any]] = {
            NETWORK: {"ipamConfigs": [{"gateway": GATEWAY}]},
            CONTAINER: {"exitCode": self.ended_with.get(args.name, 0), "containerLogs": "what it said"},
            "docker:index/remoteImage:RemoteImage": {"imageId": f"sha256:{args.name}"},
        }
        return f"{args.name}-id", {**args.inputs, **computed.get(args.typ, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"nothing is asked of a provider, and this was: {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type, by name."""
        return {name: inputs for (typ, name), inputs in self.made.items() if typ == kind}


def _plain(value: Any) -> Any:
    """Without the wrappings of secrets."""
    if isinstance(value, dict):
        return _plain(value["value"]) if pulumi.runtime.rpc._special_sig_key in value else _each(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _each(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(item) for key, item in value.items()}


Deployed = Callable[..., Engine]

TWO = {
    "agents_at": "10.0.0.2",
    "hosts": {
        "web-1": {"engine": "ssh://ops@web-1", "address": "10.0.0.5", "socket": "/run/own.sock", "data_root": "/data"},
        "web-2": {"engine": "ssh://ops@web-2", "address": "fd00::6"},
    },
}


def _registered(plan: Plan, mocks: Engine, *, preview: bool) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.set_mocks(mocks, preview=preview)
        pulumi.runtime.test(lambda: docker.deploy(plan))()  # type: ignore[no-untyped-call]
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """What is registered for a Plan. `retries` are the labels of one-shot containers that failed."""

    def deploy(
        plan: Plan, retries: Mapping[str, str] | None = None, *, preview: bool = False, **ended_with: int
    ) -> Engine:
        monkeypatch.setattr(engine, "demand", lambda _plan: None)
        monkeypatch.setattr(engine, "retries", lambda _plan: retries or {})
        mocks = Engine(ended_with=ended_with)
        # In a thread: Pulumi takes the loop of the one that it finds itself in, and leaves tasks in it.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_registered, plan, mocks, preview=preview).result()
        return mocks

    return deploy


@pytest.fixture
def on_docker(make_plan: MakePlan) -> MakePlan:
    def make(**settings: Any) -> Plan:
        return make_plan(target="docker", **settings)

    return make


def _running(mocks: Engine) -> dict[str, dict[str, Any]]:
    """The containers that stay."""
    return {name: one for name, one in mocks.of(CONTAINER).items() if one.get("mustRun", True)}


def test_every_container_is_hardened(on_docker: MakePlan, deployed: Deployed) -> None:
    plan = on_docker(docker={"container_metrics": True})
    mocks = deployed(plan)
    assert {*_running(mocks)} == {service.name for service in plan.services}
    for name, one in mocks.of(CONTAINER).items():
        assert one["securityOpts"] == ["no-new-privileges:true"], name
        assert one["capabilities"]["drops"] == ["ALL"], name
        assert one["memory"] == one["memorySwap"] > 0, name
        assert float(one["cpus"]) > 0, name
        assert not one.get("privileged"), name
        assert one["logDriver"] == "json-file", name
        assert one["logOpts"]["max-size"] == "10m", name
        assert all(one["command"]), f"the provider takes no empty argument: {name}"
        # A loader's uploads cannot go into a read-only root, though they land in volumes.
        assert one.get("readOnly") is True or name.endswith(("-loader", "-secrets")), name
    with_capabilities = {name: one["capabilities"]["adds"] for name, one in _running(mocks).items()}
    assert {name: added for name, added in with_capabilities.items() if added} == {
        "cadvisor": ["CAP_DAC_READ_SEARCH", "CAP_SYSLOG", "CAP_SYS_PTRACE"],
        "otel-collector": ["CAP_DAC_READ_SEARCH"],
    }
    root = {name for name, one in _running(mocks).items() if one["user"].startswith("0:")}
    assert root == {"cadvisor", "otel-collector"}


def test_the_engines_socket_is_mounted_only_where_container_metrics_are_asked_for(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    assert "docker.sock" not in json.dumps(deployed(on_docker()).of(CONTAINER))
    with_metrics = deployed(on_docker(docker={"container_metrics": True})).of(CONTAINER)
    holders = [name for name, one in with_metrics.items() if "docker.sock" in json.dumps(one.get("volumes", []))]
    assert holders == ["cadvisor"]
    mounts = [volume for volume in with_metrics["cadvisor"]["volumes"] if "hostPath" in volume]
    assert all(mount["readOnly"] for mount in mounts)


def test_only_what_is_published_has_a_port_and_on_loopback(on_docker: MakePlan, deployed: Deployed) -> None:
    ports = {name: one["ports"] for name, one in _running(deployed(on_docker())).items() if one.get("ports")}
    assert ports == {"grafana": [{"internal": 3000, "external": 13000, "ip": "127.0.0.1", "protocol": "tcp"}]}
    asked = on_docker(docker={"publish": ["prometheus"], "address": "10.0.0.4"})
    ports = {name: one["ports"] for name, one in _running(deployed(asked)).items() if one.get("ports")}
    assert ports == {"prometheus": [{"internal": 9090, "external": 19090, "ip": "10.0.0.4", "protocol": "tcp"}]}


def test_what_is_behind_the_door_is_published_by_it_alone(on_docker: MakePlan, deployed: Deployed) -> None:
    door = {"domain": "watch.example.org", "users": "door"}
    told = {"discord-webhook": {"capture": "discord"}, "door": {"secure": "watcher hash"}}
    plan = on_docker(docker={"door": door}, secrets=told)
    assert plan.pages == {"door": "https://watch.example.org/"}
    running = _running(deployed(plan))
    ports = {name: one["ports"] for name, one in running.items() if one.get("ports")}
    assert ports == {"door": [{"internal": 8443, "external": 443, "ip": "127.0.0.1", "protocol": "tcp"}]}
    assert running["door"]["user"] == "65534:65534"


def test_a_door_before_no_page_is_refused(on_docker: MakePlan) -> None:
    door = {"domain": "watch.example.org", "before": "lokii", "users": "door"}
    with pytest.raises(Refused, match=r"watchstack:docker\.door\.before: 'lokii' has no page in this environment"):
        on_docker(docker={"door": door})


def test_only_who_needs_it_has_a_way_outside(on_docker: MakePlan, deployed: Deployed) -> None:
    mocks = deployed(on_docker())
    assert mocks.of(NETWORK)["back"]["internal"] is True
    front = {
        name
        for name, one in _running(mocks).items()
        if any(network["name"].endswith("-front") for network in one.get("networksAdvanced") or [])
    }
    assert front == {"alertmanager", "grafana", "prometheus"}


def test_a_secret_is_in_an_upload_that_nobody_else_may_read_and_nowhere_else(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    mocks = deployed(on_docker(secrets={"discord-webhook": {"secure": SECRET}}))
    places = {name for name, one in mocks.of(CONTAINER).items() if SECRET in json.dumps(one)}
    assert places == {"alertmanager-secrets"}
    loader = mocks.of(CONTAINER)["alertmanager-secrets"]
    (upload,) = loader["uploads"]
    assert (upload["permissions"], upload["file"]) == ("0400", "/watchstack/alertmanager/secrets/.bundle")
    assert f"discord-webhook\n{SECRET}\n" in upload["content"]
    assert loader["command"] == ["65534:65534"]


def test_a_secret_that_this_machine_does_not_have_is_unknown_in_a_preview(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    plan = on_docker(secrets={"discord-webhook": {"file": "/nowhere/webhook"}})
    (upload,) = deployed(plan, preview=True).of(CONTAINER)["alertmanager-secrets"]["uploads"]
    assert pulumi.contains_unknowns(upload["content"])
    assert upload["permissions"] == "0400"


def test_the_key_of_a_bucket_is_a_file_of_who_asks_it_and_they_alone_reach_it(
    on_docker: MakePlan, deployed: Deployed, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(SECRET)
    mocks = deployed(
        on_docker(
            thanos={},
            object_storage={"endpoint": "s3.example.org", "bucket": "metrics", "credentials": "bucket"},
            loki={"bucket": {"name": "logs", "since": "2026-01-01"}},
            secrets={"discord-webhook": {"capture": "discord"}, "bucket": {"file": str(tmp_path / "key")}},
        )
    )
    asking = {"loki", "thanos-receive", "thanos-store", "thanos-compact"}
    assert {name for name, one in mocks.of(CONTAINER).items() if SECRET in json.dumps(one)} == {
        f"{name}-secrets" for name in asking
    }
    running = _running(mocks)
    front = {name for name, one in running.items() if "watchstack-test-front" in json.dumps(one)}
    assert asking <= front
    assert "thanos-query" in running.keys() - front


def test_a_generated_secret_is_made_on_the_engine_and_is_in_no_state(on_docker: MakePlan, deployed: Deployed) -> None:
    made = deployed(on_docker()).of(CONTAINER)
    assert made["grafana-secrets"]["command"] == ["472:0", "grafana-admin=secrets/grafana-admin"]
    assert made["grafana-secrets"]["uploads"] == []
    assert made["grafana-loader"]["command"] == ["472:0", "data"]
    (upload,) = made["grafana-loader"]["uploads"]
    assert upload["file"] == "/watchstack/grafana/etc/.bundle"


def _edited(before: Plan, after: Plan, deployed: Deployed) -> set[str]:
    """The resources whose inputs an edit changes."""
    old, new = deployed(before).made, deployed(after).made
    return {name for kind, name in {*old, *new} if old.get((kind, name)) != new.get((kind, name))}


def test_an_edit_of_a_rule_touches_no_running_service(on_docker: MakePlan, deployed: Deployed) -> None:
    less = {ADDRESS: {"disabled": True, "because": "not today", "seen": seen(ADDRESS)}}
    assert _edited(on_docker(), on_docker(override=less), deployed) == {"prometheus-loader", "prometheus-settle"}


def test_what_cannot_be_reloaded_makes_a_new_container(on_docker: MakePlan, deployed: Deployed) -> None:
    edited = _edited(on_docker(), on_docker(loki={"retention": "48h"}), deployed)
    assert edited == {"loki", "loki-loader"}


def test_a_new_image_shows_by_its_name(on_docker: MakePlan, deployed: Deployed) -> None:
    mirrored = on_docker(registry={"address": "registry.example.org/mirror"})
    one = deployed(mirrored).of(CONTAINER)["prometheus"]
    labels = {label["label"]: label["value"] for label in one["labels"]}
    assert labels["watchstack.image"].startswith("registry.example.org/mirror/prom/prometheus:v")
    assert {"watchstack.environment": "test", "watchstack.service": "prometheus"}.items() <= labels.items()
    assert one["image"] == "sha256:prometheus"


def test_what_watches_the_machine_listens_where_containers_reach_it(on_docker: MakePlan, deployed: Deployed) -> None:
    mocks = deployed(on_docker())
    exporter = mocks.of(CONTAINER)["node-exporter"]
    assert exporter["networkMode"] == "host"
    assert f"--web.listen-address={GATEWAY}:9100" in exporter["command"]
    assert exporter["healthcheck"]["tests"][-1] == f"http://{GATEWAY}:9100/"
    assert {"host": "node-exporter", "ip": GATEWAY} in mocks.of(CONTAINER)["prometheus"]["hosts"]
    assert mocks.of(CONTAINER)["node-exporter-settle"]["command"][-1] == f"http://{GATEWAY}:9100/"


def test_the_data_of_a_durable_environment_is_protected_until_it_is_unlocked(
    on_docker: MakePlan, monkeypatch: pytest.MonkeyPatch, deployed: Deployed
) -> None:
    protected: set[str] = set()
    real = pulumi_docker.Volume

    def volume(resource: str, /, **props: Any) -> Any:
        if props["opts"].protect:
            protected.add(resource)
        return real(resource, **props)

    monkeypatch.setattr(pulumi_docker, "Volume", volume)
    deployed(on_docker())
    told = {name: {"secure": SECRET} for name in ("discord-webhook", "heartbeat")}
    deployed(on_docker(lifecycle="durable", unlocked=True, secrets=told))
    assert protected == set()
    deployed(on_docker(lifecycle="durable", secrets=told))
    assert {"generated", "prometheus-data", "loki-data", "grafana-data"} <= protected
    assert not {name for name in protected if name.endswith(("-etc", "-secrets"))}


def test_a_one_shot_container_that_failed_fails_the_update_with_its_words(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    with pytest.raises(pulumi.RunError, match="watchstack-test-prometheus-settle ended with 1: what it said"):
        deployed(on_docker(), **{"prometheus-settle": 1})


def test_what_failed_before_is_made_anew(on_docker: MakePlan, deployed: Deployed) -> None:
    plan = on_docker()
    before = deployed(plan).made
    after = deployed(plan, {containers.name("test", "prometheus-settle"): "0123abcd"}).made
    assert [name for key, name in before if before[key, name] != after[key, name]] == ["prometheus-settle"]


def test_volumes_that_two_services_use_are_mounted_where_both_look(on_docker: MakePlan, deployed: Deployed) -> None:
    plan = on_docker(systems={"tdd-project": {"workload": True}}, secrets={})
    mounts = deployed(plan).of(CONTAINER)["sqlite-exporter"]["volumes"]
    assert {"containerPath": "/watchstack/tdd-app/data", "volumeName": "watchstack-test-tdd-app-data"} in mounts


def test_the_state_tells_where_a_resource_is_named_and_little_else_of_this_machine(
    on_docker: MakePlan, monkeypatch: pytest.MonkeyPatch, deployed: Deployed
) -> None:
    real, traces = pulumi.runtime.resource._get_stack_trace, []

    def trace() -> Any:
        traces.append(real())
        return traces[-1]

    monkeypatch.setattr(pulumi.runtime.resource, "_get_stack_trace", trace)
    deployed(on_docker())
    frames = [[frame.pc.uri.rpartition("/stacks/")[2] for frame in trace.frames] for trace in traces]
    named = [uris for uris in frames if uris[:1] == ["targets/docker.py"]]
    assert len(named) > len(on_docker().services)
    assert max(map(len, named)) <= 3
    assert not hasattr(sys, "tracebacklimit"), "an error has its whole stack"


def test_scripts_go_without_their_comments(on_docker: MakePlan, deployed: Deployed) -> None:
    made = deployed(on_docker()).of(CONTAINER)
    for script in (made["prometheus-settle"]["entrypoints"][2], made["prometheus-loader"]["entrypoints"][2]):
        assert script.startswith("set -eu\n")
        assert not [line for line in script.splitlines() if not line.strip() or line.lstrip().startswith("#")]


def _agents(mocks: Engine, machine: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in _running(mocks).items() if name.endswith(f"-{machine}")}


def test_each_machine_has_agents_on_an_engine_and_networks_of_its_own(on_docker: MakePlan, deployed: Deployed) -> None:
    mocks = deployed(on_docker(docker={**TWO, "container_metrics": True}))
    hosts = {name: inputs.get("host") for name, inputs in mocks.of("pulumi:providers:docker").items()}
    assert hosts == {"engine": None, "engine-web-1": "ssh://ops@web-1", "engine-web-2": "ssh://ops@web-2"}
    agents = _agents(mocks, "web-1")
    assert {*agents} == {"cadvisor-web-1", "node-exporter-web-1", "otel-collector-web-1"}
    assert {mocks.provided[name] for name in agents} == {"engine-web-1"}
    own = {name for name, by in mocks.provided.items() if by == "engine-web-1"}
    assert own >= {
        "back-web-1",
        "front-web-1",
        "busybox-web-1",
        "otel-collector-web-1-data",
        "otel-collector-web-1-settle",
    }
    assert not [name for name in own if "web-1" not in name]
    assert "generated-web-1" not in own, "agents have no secrets"
    networks = {one["name"] for agent in agents.values() for one in agent.get("networksAdvanced") or []}
    assert networks == {"watchstack-test-back-web-1", "watchstack-test-front-web-1"}


def test_agents_are_hardened_as_the_services_of_the_first_machine(on_docker: MakePlan, deployed: Deployed) -> None:
    mocks = deployed(on_docker(docker={**TWO, "container_metrics": True}))
    made = mocks.of(CONTAINER)
    for name in ("cadvisor", "node-exporter", "otel-collector"):
        first, other = made[name], made[f"{name}-web-1"]
        for key in ("user", "capabilities", "securityOpts", "readOnly", "memory", "memorySwap", "cpus", "logDriver"):
            assert first[key] == other[key], (name, key)
        assert {label["label"] for label in first["labels"]} == {label["label"] for label in other["labels"]}
    mounted = {one["containerPath"]: one["hostPath"] for one in made["cadvisor-web-1"]["volumes"] if "hostPath" in one}
    assert mounted["/var/run/docker.sock"] == "/run/own.sock"
    assert mounted["/data"] == "/data"
    assert {"containerPath": "/containers", "hostPath": "/data/containers", "readOnly": True} in made[
        "otel-collector-web-1"
    ]["volumes"]


def test_agents_are_published_in_the_private_network_alone(on_docker: MakePlan, deployed: Deployed) -> None:
    mocks = deployed(on_docker(docker={**TWO, "container_metrics": True, "publish": []}))
    ports = {name: one["ports"] for name, one in _running(mocks).items() if one.get("ports")}
    assert {name: [(one["ip"], one["external"], one["internal"]) for one in each] for name, each in ports.items()} == {
        "otel-collector": [("10.0.0.2", 14318, 4318)],
        "cadvisor-web-1": [("10.0.0.5", 18080, 18080)],
        "otel-collector-web-1": [("10.0.0.5", 18888, 18888)],
        "cadvisor-web-2": [("fd00::6", 18080, 18080)],
        "otel-collector-web-2": [("fd00::6", 18888, 18888)],
    }
    for machine, address in (("web-1", "10.0.0.5"), ("web-2", "[fd00::6]")):
        exporter = mocks.of(CONTAINER)[f"node-exporter-{machine}"]
        assert exporter["networkMode"] == "host"
        assert f"--web.listen-address={address}:19100" in exporter["command"]
        assert exporter["healthcheck"]["tests"][-1] == f"http://{address}:19100/"
    front = {"name": "watchstack-test-front"}
    assert front in mocks.of(CONTAINER)["otel-collector"]["networksAdvanced"], "what is published has a way outside"


def test_without_logs_nothing_of_the_first_machine_is_published_for_agents(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    mocks = deployed(on_docker(docker={**TWO, "publish": []}, loki={"enabled": False}))
    assert not [name for name, one in _running(mocks).items() if one.get("ports")]
    assert {*_agents(mocks, "web-1")} == {"node-exporter-web-1"}


def test_another_machine_changes_nothing_of_the_services_of_the_first_but_who_is_told_of_it(
    on_docker: MakePlan, deployed: Deployed
) -> None:
    one = {**TWO, "hosts": {"web-1": TWO["hosts"]["web-1"]}}  # type: ignore[index]
    changed = _edited(on_docker(docker=one), on_docker(docker=TWO), deployed)
    # With more targets, Prometheus may take more memory.
    told = {"prometheus", "prometheus-loader", "prometheus-settle"}
    assert {name for name in changed if "web-2" not in name} == told
