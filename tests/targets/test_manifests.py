"""The objects of a cluster: admitted under `restricted`, allowed what the Plan needs and no more, edited in place."""

from typing import Any

import pytest
from conftest import MakePlan

from stacks.plan import Plan
from stacks.targets import manifests, pods
from stacks.targets.pods import Object

WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")


@pytest.fixture
def on_a_cluster(make_plan: MakePlan) -> MakePlan:
    def make(**settings: Any) -> Plan:
        wanted = {"target": "kubernetes", "registry": {"address": "mirror.example.org"}, **settings}
        return make_plan(**wanted)

    return make


def _of(plan: Plan, *kinds: str) -> dict[tuple[str, str], Object]:
    """The objects of these kinds, by namespace and name."""
    return {
        (one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in manifests.objects(plan)
        if one["kind"] in kinds
    }


def _pods(plan: Plan) -> dict[tuple[str, str], Any]:
    return {key: one["spec"]["template"]["spec"] for key, one in _of(plan, *WORKLOADS).items()}


def test_no_two_objects_have_one_address(on_a_cluster: MakePlan) -> None:
    found = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in manifests.objects(on_a_cluster(prometheus={"replicas": 2}, alertmanager={"replicas": 3}))
    ]
    assert len(found) == len({*found})


def test_all_say_whose_they_are(on_a_cluster: MakePlan) -> None:
    for one in manifests.objects(on_a_cluster()):
        assert one["metadata"]["labels"]["watchstack.environment"] == "test", one["metadata"]


def test_only_what_sees_machines_is_where_it_may(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster()
    levels = {
        name: one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for (_, name), one in _of(plan, "Namespace").items()
    }
    assert levels == {
        "boss-workflow": "restricted",
        "monitoring": "restricted",
        "monitoring-host": "privileged",
        "tracing": "restricted",
    }
    assert {name for place, name in _of(plan, *WORKLOADS) if place == "monitoring-host"} == {
        "log-collector",
        "node-exporter",
    }


def test_every_container_elsewhere_is_restricted(on_a_cluster: MakePlan) -> None:
    for (place, _), spec in _pods(on_a_cluster()).items():
        if place == "monitoring-host":
            continue
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert {*container["resources"]["limits"]} == {"cpu", "ephemeral-storage", "memory"}


def test_only_who_asks_the_cluster_has_a_token(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster()
    with_token = {name for (_, name), spec in _pods(plan).items() if spec["automountServiceAccountToken"]}
    assert with_token == {"kube-state-metrics", "log-collector", "prometheus"}
    roles = _of(plan, "ClusterRole", "Role").values()
    for rule in (rule for role in roles for rule in role["rules"]):
        assert {*rule["verbs"]} <= {"get", "list", "watch"}
        assert "secrets" not in rule["resources"]


def test_secrets_are_files_of_the_service_alone(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster()
    for service in plan.services:
        spec = _pods(plan)[plan.ground.namespace_of(service.name), service.name]
        mounted = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
        assert mounted == ([{"secretName": service.name, "defaultMode": 0o400}] if service.secrets else [])
        assert not [env for one in spec["containers"] for env in one.get("env", ()) if "secretKeyRef" in str(env)]
    keys = {name: sorted(one["stringData"]) for (_, name), one in _of(plan, "Secret").items()}
    assert keys == {
        "alertmanager": ["discord-webhook"],
        "boss-workflow": ["boss-admin-token"],
        "grafana": ["grafana-admin"],
    }


def test_who_talks_to_whom_is_what_the_plan_says(on_a_cluster: MakePlan) -> None:
    policies = _of(on_a_cluster(), "NetworkPolicy")
    let_in = {
        (
            source["podSelector"]["matchLabels"]["watchstack.service"],
            source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        ): [port["port"] for port in rule["ports"]]
        for rule in policies["monitoring", "loki"]["spec"]["ingress"]
        for source in rule["from"]
    }
    assert let_in == {
        ("grafana", "monitoring"): [3100],
        ("log-collector", "monitoring-host"): [3100],
        ("otel-collector", "monitoring"): [3100],
        ("prometheus", "monitoring"): [3100],
    }
    to_the_api = {name for (_, name), one in policies.items() if {"port": 6443, "protocol": "TCP"} in _out(one)}
    assert to_the_api == {"kube-state-metrics", "log-collector", "prometheus"}
    outside = {name for (_, name), one in policies.items() if "0.0.0.0/0" in str(one)}
    assert outside == {"alertmanager", "prometheus"}


def _out(policy: Object) -> list[Object]:
    return [port for rule in policy["spec"].get("egress", ()) for port in rule.get("ports", ())]


def test_what_no_policy_allows_is_closed(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster()
    policies = _of(plan, "NetworkPolicy")
    assert {place for place, name in policies if name == "closed"} == {place for _, place in _of(plan, "Namespace")}
    for (_, name), policy in policies.items():
        if name == "closed":
            assert policy["spec"] == {
                "podSelector": {"matchLabels": {"watchstack.environment": "test"}},
                "policyTypes": ["Ingress", "Egress"],
            }


def test_a_gossip_goes_over_both_protocols(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster(alertmanager={"replicas": 2})
    policy = _of(plan, "NetworkPolicy")["monitoring", "alertmanager-2"]
    peer = next(rule for rule in policy["spec"]["ingress"] if "alertmanager" in str(rule["from"]))
    assert [(port["port"], port["protocol"]) for port in peer["ports"]] == [(9094, "TCP"), (9094, "UDP")]
    service = _of(plan, "Service")["monitoring", "alertmanager"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert [port["name"] for port in service["spec"]["ports"]] == ["http", "gossip", "gossip-udp"]


def test_a_rule_is_in_one_object_whatever_the_number_of_replicas(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster(prometheus={"replicas": 2})
    with_rules = [
        name
        for (_, name), one in _of(plan, "ConfigMap").items()
        if any(key.startswith("rules..platform") for key in one["data"])
    ]
    assert with_rules == ["prometheus"]
    own = {name for _, name in _of(plan, "ConfigMap") if name.startswith("prometheus-")}
    assert own == {"prometheus-own", "prometheus-2-own"}
    first, second = (plan.find(name) for name in ("prometheus", "prometheus-2"))
    assert first
    assert second
    assert pods.digest(plan, first) != pods.digest(plan, second)


def test_no_configmap_is_larger_than_a_cluster_takes(on_a_cluster: MakePlan) -> None:
    for one in _of(on_a_cluster(), "ConfigMap").values():
        assert sum(len(key) + len(text.encode()) for key, text in one["data"].items()) < 2**20


def test_an_edit_of_files_that_are_reloaded_changes_no_pod(on_a_cluster: MakePlan) -> None:
    before, after = (_of(on_a_cluster(prometheus={"scrape_interval": at}), *WORKLOADS) for at in ("15s", "30s"))
    assert before == after


def test_an_edit_of_a_file_that_takes_a_restart_changes_its_pod_alone(on_a_cluster: MakePlan) -> None:
    before, after = (_of(on_a_cluster(loki={"retention": kept}), *WORKLOADS) for kept in ("7d", "8d"))
    assert [name for key, one in after.items() for _, name in [key] if one != before[key]] == ["loki"]


def test_replicas_are_apart_and_leave_one_after_the_other(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster(alertmanager={"replicas": 3})
    budget = _of(plan, "PodDisruptionBudget")["monitoring", "alertmanager"]
    assert budget["spec"]["maxUnavailable"] == 1
    labels = {"watchstack.environment": "test", "watchstack.kind": "alertmanager"}
    assert budget["spec"]["selector"]["matchLabels"] == labels
    for name in ("alertmanager", "alertmanager-2", "alertmanager-3"):
        affinity = _pods(plan)["monitoring", name]["affinity"]["podAntiAffinity"]
        [term] = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == labels


def test_volumes_are_claims_that_can_grow(on_a_cluster: MakePlan) -> None:
    small, large = (on_a_cluster(prometheus={"volume": size}) for size in ("10GB", "20GB"))
    claims = [_of(plan, "PersistentVolumeClaim")["monitoring", "prometheus-data"]["spec"] for plan in (small, large)]
    assert [claim["resources"]["requests"]["storage"] for claim in claims] == ["10Gi", "20Gi"]
    assert "volumeClaimTemplates" not in str(_of(large, "StatefulSet"))


def test_only_claims_that_are_taken_over_are_not_waited_for(on_a_cluster: MakePlan) -> None:
    for adopt, expected in ((False, {}), (True, {"pulumi.com/skipAwait": "true"})):
        claims = _of(on_a_cluster(kubernetes={"adopt": adopt}), "PersistentVolumeClaim").values()
        assert claims
        for claim in claims:
            assert claim["metadata"].get("annotations", {}) == expected


def test_a_way_in_leads_to_one_page(on_a_cluster: MakePlan) -> None:
    way_in = {"domain": "grafana.example.org", "tls": "grafana-tls", "class": "nginx"}
    plan = on_a_cluster(kubernetes={"ingress": way_in})
    [spec] = [one["spec"] for one in _of(plan, "Ingress").values()]
    assert spec["tls"] == [{"hosts": ["grafana.example.org"], "secretName": "grafana-tls"}]
    assert plan.pages["grafana"] == "https://grafana.example.org/"
    assert "grafana" not in manifests.port_forwards(plan)
    rule = _of(plan, "NetworkPolicy")["monitoring", "grafana"]["spec"]["ingress"][-1]
    assert "ingress-nginx" in str(rule["from"])


def test_pages_are_reached_by_commands_that_are_printed(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster()
    assert manifests.port_forwards(plan)["jaeger"] == "kubectl -n tracing port-forward service/jaeger 26686:16686"
    assert plan.pages["jaeger"] == "http://127.0.0.1:26686/"


def test_a_word_that_looks_like_a_variable_stays_as_it_is(on_a_cluster: MakePlan) -> None:
    keeper = _pods(on_a_cluster())["monitoring", "prometheus"]["initContainers"][0]
    assert "$" not in keeper["command"][2].replace("$$", "")


def test_simulated_services_ask_to_be_scraped(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster(
        systems={"phase5": {"workload": True}}, secrets={name: {"capture": "x"} for name in ("slack-webhook",)}
    )
    backend = _of(plan, "StatefulSet")["phase5-production", "phase5-backend"]["spec"]["template"]["metadata"]
    assert backend["annotations"]["prometheus.io/port"] == "3001"
    assert backend["labels"]["app"] == "phase5-backend"
    # The real ones are there.
    names = {name for place, name in _of(plan, "Service") if place == "phase5-production"}
    assert names == {
        "kafka-exporter",
        "phase5-backend",
        "phase5-frontend",
        "phase5-reminder-agent",
        "postgres-exporter",
        "redis-exporter",
    }


LONG = {
    "thanos": {},
    "object_storage": {"endpoint": "s3.example.org", "bucket": "metrics", "credentials": "bucket"},
    "loki": {"bucket": {"name": "logs", "since": "2026-01-01"}},
    "secrets": {name: {"file": "/nowhere"} for name in ("discord-webhook", "bucket")},
}


def test_what_is_kept_for_long_is_stateful_and_only_it_reaches_the_bucket_with_the_key(on_a_cluster: MakePlan) -> None:
    plan = on_a_cluster(**LONG)
    asking = {"loki", "thanos-receive", "thanos-store", "thanos-compact"}
    assert asking <= {name for _, name in _of(plan, "StatefulSet")}
    assert "thanos-query" in {name for _, name in _of(plan, "Deployment")}
    holding = {name for (_, name), one in _of(plan, "Secret").items() if "object-storage" in one["stringData"]}
    assert holding == asking
    outside = {name for (_, name), one in _of(plan, "NetworkPolicy").items() if "0.0.0.0/0" in str(one)}
    assert outside == asking | {"alertmanager", "prometheus"}
