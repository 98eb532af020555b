"""What is made of what an engine says: whose names and ports are taken, what failed, where services are."""

import gc
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MakePlan

from stacks.plan import Plan
from stacks.strict import Refused
from stacks.targets import engine
from stacks.targets.containers import PART, RETRY

OURS = {"watchstack.environment": "test"}


def _container(name: str, status: str = "running", code: int = 0, **more: Any) -> SimpleNamespace:
    attrs = {
        "Name": f"/{name}",
        "Names": [f"/{name}"],
        "Labels": more.get("labels", OURS),
        "State": {"Status": status, "ExitCode": code},
        "HostConfig": {"PortBindings": more.get("ports") or {}},
        "NetworkSettings": {"Networks": {net: {"IPAddress": at} for net, at in more.get("networks", {}).items()}},
    }
    own = {"name": name, "id": name, "short_id": f"id-{name[-4:]}", "labels": attrs["Labels"], "attrs": attrs}
    return SimpleNamespace(**own, reload=lambda: None)


def _named(name: str, labels: dict[str, str] | None) -> SimpleNamespace:
    return SimpleNamespace(name=name, attrs={"Labels": labels, "IPAM": {"Config": [{"Gateway": "10.9.2.1"}]}})


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan(target="docker")


@pytest.fixture
def of_two(make_plan: MakePlan) -> Plan:
    web = {"engine": "ssh://ops@web-1", "address": "10.0.0.5"}
    return make_plan(target="docker", docker={"agents_at": "10.0.0.2", "hosts": {"web-1": web}})


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the engine of a machine has. None but these answer."""
    clients: dict[str, Any] = {}

    def listed(things: Sequence[Any]) -> Any:
        find = {one.name: one for one in things}
        return SimpleNamespace(list=lambda **_filters: things, get=find.__getitem__)

    def say(
        containers: Sequence[Any], volumes: Sequence[Any] = (), networks: Sequence[Any] = (), machine: str = ""
    ) -> None:
        there = {"containers": listed(containers), "volumes": listed(volumes), "networks": listed(networks)}
        clients[machine] = SimpleNamespace(**there)

    def connect(_settings: Any, machine: str = "", _seconds: int = 0) -> Any:
        if machine not in clients:
            raise Refused(f"{machine} does not answer")
        return clients[machine]

    monkeypatch.setattr(engine, "connect", connect)
    return say


# The SDK leaves the socket that it tried to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_engine_that_does_not_answer_is_refused_by_its_address(make_plan: MakePlan) -> None:
    settings = make_plan(target="docker", docker={"engine": "unix:///nowhere.sock"}).settings
    with pytest.raises(
        Refused, match=r"watchstack:docker\.engine: unix:///nowhere\.sock does not answer: .*; start it"
    ):
        engine.connect(settings)
    gc.collect()


def test_what_is_our_own_or_nobodys_name_is_no_problem(plan: Plan, say: Any) -> None:
    say(
        [_container("watchstack-test-loki"), _container("shop", labels={})],
        [_named("watchstack-test-loki-data", OURS), _named("watchstack-test-else", None)],
        [_named("bridge", {})],
    )
    engine.demand(plan)


def test_names_and_ports_of_others_are_named(plan: Plan, say: Any) -> None:
    other = {"watchstack.environment": "prod"}
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "13000"}], "81/tcp": None}  # noqa: S104 - of another's
    say(
        [_container("shop", labels={}, ports=ports), _container("watchstack-test-loki", labels={})],
        [_named("watchstack-test-loki-data", other)],
        [],
    )
    with pytest.raises(Refused) as refused:
        engine.demand(plan)
    another = "end it, or set another watchstack:port_offset (now 10000)"
    remedy = "and environment test needs the name; remove it with `docker {}`, or rename this environment".format
    assert str(refused.value).splitlines() == [
        "container watchstack-test-loki is without the label watchstack.environment, "
        + remedy("container rm watchstack-test-loki"),
        f"port 13000 (grafana) is published by container shop; {another}",
        "volume watchstack-test-loki-data is of environment prod, " + remedy("volume rm watchstack-test-loki-data"),
    ]


def test_what_failed_or_never_started_is_made_anew_and_stays_as_it_is_then(plan: Plan, say: Any) -> None:
    part = OURS | {PART: "loader"}
    say(
        [
            _container("well", "exited", 0, labels=part),
            _container("made-anew", "exited", 0, labels=part | {RETRY: "before"}),
            _container("failed", "exited", 1, labels=part),
            _container("half", "created", 0, labels=part),
            _container("runs", "running"),
            _container("runs-anew", "running", labels=OURS | {RETRY: "earlier"}),
            _container("never", "created"),
            _container("stopped", "exited", 0),
        ]
    )
    assert engine.retries(plan) == {
        "made-anew": "before",
        "failed": "id-iled",
        "half": "id-half",
        "runs-anew": "earlier",
        "never": "id-ever",
        "stopped": "id-pped",
    }


def test_services_are_reached_by_their_addresses(plan: Plan, say: Any) -> None:
    back = {"watchstack-test-back": "10.9.1.7", "watchstack-test-front": "10.9.2.7"}
    say(
        [_container("watchstack-test-prometheus", networks=back), _container("watchstack-test-node-exporter")],
        networks=[_named("watchstack-test-front", OURS)],
    )
    reached = engine.reached(plan)
    found = {service.name: reached.url(service, service.ready) for service in reached.services}
    assert found["prometheus"] == "http://10.9.1.7:9090/-/ready"
    assert found["node-exporter"] == "http://10.9.2.1:9100/", "what has the machine's network is at its address"
    assert found["loki"] == "http://loki:3100/ready", "what does not run has only its name"
    assert reached.settings == plan.settings


def test_another_engine_that_does_not_answer_is_refused_by_its_key(make_plan: MakePlan) -> None:
    web = {"engine": "unix:///elsewhere.sock", "address": "10.0.0.5"}
    settings = make_plan(target="docker", docker={"agents_at": "10.0.0.2", "hosts": {"web-1": web}}).settings
    said = r"watchstack:docker\.hosts\.web-1\.engine: unix:///elsewhere\.sock does not answer: .* take the machine out"
    with pytest.raises(Refused, match=said):
        engine.connect(settings, "web-1")
    gc.collect()


def test_names_and_ports_of_others_are_named_with_the_machine_that_they_are_on(of_two: Plan, say: Any) -> None:
    say([_container("watchstack-test-node-exporter-web-1", labels={})])
    held = {"80/tcp": [{"HostIp": "10.0.0.5", "HostPort": "19100"}]}
    elsewhere = [_container("shop", labels={}, ports=held), _container("watchstack-test-loki", labels={})]
    say(elsewhere, networks=[_named("watchstack-test-front-web-1", {})], machine="web-1")
    with pytest.raises(Refused) as refused:
        engine.demand(of_two)
    network = "network watchstack-test-front-web-1 is without the label watchstack.environment"
    assert [line.partition(";")[0] for line in str(refused.value).splitlines()] == [
        f"host web-1: {network}, and environment test needs the name",
        "host web-1: port 19100 (node-exporter-web-1) is published by container shop",
    ]


def test_what_is_there_is_asked_of_every_engine(of_two: Plan, say: Any) -> None:
    say([_container("watchstack-test-loki")], networks=[_named("watchstack-test-front", OURS)])
    say([_container("watchstack-test-node-exporter-web-1", "exited", 1)], machine="web-1")
    assert {*engine.running(of_two)} == {"loki", "node-exporter-web-1"}
    assert engine.retries(of_two) == {"watchstack-test-node-exporter-web-1": "id-eb-1"}


def test_a_machine_that_is_away_does_not_hide_what_runs_on_the_others(of_two: Plan, say: Any) -> None:
    networks = {"watchstack-test-back": "10.9.1.7"}
    say([_container("watchstack-test-prometheus", networks=networks)], networks=[_named("watchstack-test-front", OURS)])
    assert {*engine.running(of_two)} == {"prometheus"}
    reached = engine.reached(of_two)
    found = {service.name: reached.url(service, service.ready) for service in reached.services}
    assert found["prometheus"] == "http://10.9.1.7:9090/-/ready"
    assert found["node-exporter-web-1"] == "http://10.0.0.5:19100/"
    with pytest.raises(Refused, match="web-1 does not answer"):
        engine.demand(of_two)
    with pytest.raises(Refused, match="web-1 does not answer"):
        engine.left(of_two.settings)


def test_an_engine_that_is_away_does_not_hide_what_fails_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    restarting = _container("watchstack-test-loki", "restarting")
    restarting.attrs["RestartCount"] = 3
    restarting.status, restarting.logs = "restarting", lambda **_lines: b"no room"

    def client(host: str | None) -> Any:
        if host:
            raise Refused(f"{host} does not answer")
        return SimpleNamespace(containers=SimpleNamespace(list=lambda **_filters: [restarting]))

    monkeypatch.setattr(engine, "_client", client)
    assert engine.failing("test", ("ssh://ops@web-1", None)) == [
        "ssh://ops@web-1 does not answer",
        "watchstack-test-loki is restarting after 3 restarts:\nno room",
    ]
