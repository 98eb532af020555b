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
    own = {"name": name, "short_id": f"id-{name[-4:]}", "labels": attrs["Labels"], "attrs": attrs}
    return SimpleNamespace(**own, reload=lambda: None)


def _named(name: str, labels: dict[str, str] | None) -> SimpleNamespace:
    return SimpleNamespace(name=name, attrs={"Labels": labels, "IPAM": {"Config": [{"Gateway": "10.9.2.1"}]}})


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan(target="docker")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the engine has."""

    def say(containers: Sequence[Any], volumes: Sequence[Any] = (), networks: Sequence[Any] = ()) -> None:
        def listed(things: Sequence[Any]) -> Any:
            find = {one.name: one for one in things}
            return SimpleNamespace(list=lambda **_filters: things, get=find.__getitem__)

        client = SimpleNamespace(containers=listed(containers), volumes=listed(volumes), networks=listed(networks))
        monkeypatch.setattr(engine, "connect", lambda _settings: client)

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
