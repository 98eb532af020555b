"""The Plan: pure, deterministic, and whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import MakePlan, seen

from stacks import plan, render, settings
from stacks.plan import Plan
from stacks.services import prometheus

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "local"


def test_the_local_environment_is_rendered_as_committed() -> None:
    """Made anew by `make generate`. Dashboards have golden files of their own."""
    wanted = settings.from_stack_file(ROOT / "stacks" / "env" / "Pulumi.local.yaml", "local")
    files = {path: text for path, text in render.tree(plan.make(wanted, {})).items() if "/dashboards/" not in path}
    committed = {str(p.relative_to(GOLDEN)): p.read_text() for p in sorted(GOLDEN.rglob("*")) if p.is_file()}
    assert files == committed


def test_the_same_settings_give_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from pathlib import Path; from stacks import plan, render, settings;"
        "s = settings.from_stack_file(Path('stacks/env/Pulumi.local.yaml'), 'local');"
        "print(hashlib.sha256(repr(render.tree(plan.make(s, {}))).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_plan_needs_no_pulumi() -> None:
    code = "import sys; import stacks.plan, checks, cli.app; sys.exit('pulumi' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True)


def test_only_targets_import_a_provider() -> None:
    importing = [
        str(path.relative_to(ROOT))
        for top in (
            "apps",
            "catalogue",
            "checks",
            "cli",
            "dashboards",
            "instrument",
            "rules",
            "stacks",
            "toolchain",
            "workloads",
        )
        for path in (ROOT / top).rglob("*.py")
        if any(line.startswith(("import pulumi", "from pulumi")) for line in path.read_text().splitlines())
    ]
    assert sorted(importing) == [
        "stacks/targets/docker.py",
        "stacks/targets/kubernetes.py",
        "stacks/targets/local.py",
        "stacks/targets/local_provider.py",
    ]


def test_every_service_that_has_metrics_is_scraped_under_the_same_names_everywhere(make_plan: MakePlan) -> None:
    made = make_plan()
    assert [(job.job, target.instance, job.system) for job in made.jobs for target in job.targets] == [
        ("alertmanager", "alertmanager:9093", "platform"),
        ("boss-workflow", "boss-workflow:8000", "boss-workflow"),
        ("capture", "capture:9099", "platform"),
        ("grafana", "grafana:3000", "platform"),
        ("jaeger", "jaeger:8889", "platform"),
        ("loki", "loki:3100", "platform"),
        ("node-exporter", "node-exporter:9100", "platform"),
        ("otel-collector", "otel-collector:8888", "platform"),
        ("prometheus", "prometheus:9090", "platform"),
    ]


def test_every_scrape_job_is_limited(make_plan: MakePlan) -> None:
    server = make_plan().find("prometheus")
    assert server is not None
    for job in yaml.safe_load(server.files[0].text)["scrape_configs"]:
        assert {*prometheus.LIMITS} <= {*job}


def test_everything_listens_on_loopback(make_plan: MakePlan) -> None:
    tree = render.tree(make_plan())
    commands = [argument for service in make_plan().services for argument in service.args]
    everywhere = "0.0.0.0"  # noqa: S104
    assert not [line for text in (*tree.values(), *commands) for line in text.splitlines() if everywhere in line]


def test_a_product_that_cannot_be_had_is_left_out_with_its_rules_and_said_so(make_plan: MakePlan) -> None:
    made = make_plan(missing={"grafana": "not installed"})
    assert made.find("grafana") is None
    assert [service.name for service in made.absent] == ["grafana"]
    assert not [alert for alert in made.alerts if alert.name.startswith("Grafana")]
    reasons = {left_out.what: left_out.because for left_out in made.left_out}
    assert reasons["service grafana"] == "not installed; `./watchstack picture -e test` draws its dashboards"
    assert "needs grafana" in next(because for what, because in reasons.items() if "platform/v1/grafana.yml" in what)


def test_a_component_that_is_switched_off_takes_its_rules_and_panels_along(make_plan: MakePlan) -> None:
    made = make_plan(loki={"enabled": False}, jaeger={"enabled": False})
    assert "dashboards/loki" in _left_out(made)
    assert not [alert for alert in made.alerts if alert.name.startswith(("Log", "Loki", "Collector"))]
    assert '"uid": "loki"' not in render.tree(made)["grafana/etc/dashboards/platform/stack-health.json"]


def _left_out(made: Plan) -> dict[str, str]:
    return {left_out.what: left_out.because for left_out in made.left_out}


def test_panels_and_links_that_are_left_out_are_named_with_the_reason(make_plan: MakePlan) -> None:
    reasons = _left_out(make_plan(loki={"enabled": False}))
    because = "needs loki, which this environment does not run"
    assert reasons["dashboards/stack-health (Log lines received by Loki, Log bytes received by Loki)"] == because
    assert reasons["dashboards/boss-workflow (Error Logs, link Logs, link Error logs)"] == because
    assert [what for what in _left_out(make_plan()) if what.startswith("dashboards/")] == [
        "dashboards/containers",
        "dashboards/kubernetes-workloads",
        "dashboards/prometheus (Age of the last sample sent, Samples refused, Samples sent)",
        "dashboards/thanos",
    ]
    without = make_plan(loki={"enabled": False}, grafana={"enabled": False})
    assert not [what for what in _left_out(without) if what.startswith("dashboards/")]


def test_a_rule_file_whose_metrics_nobody_exposes_is_left_out_and_named(make_plan: MakePlan) -> None:
    simulated = make_plan(systems={"phase5": {"workload": True}}, secrets={"slack-webhook": {"capture": "slack"}})
    [because] = [because for what, because in _left_out(simulated).items() if "kubernetes/v1/nodes.yml" in what]
    assert because == "needs kube_node_spec_taint and 4 more, which no scrape job of this environment brings"
    assert "KubeNodeNotReady" not in {alert.name for alert in simulated.alerts}
    assert "kubernetes/v1/nodes.yml" in {file.path for file in simulated.pruned}
    # The real one exposes them all.
    targets = {"phase5-backend": "10.0.0.1:80", "kube-state-metrics": "10.0.0.1:81"}
    real = make_plan(systems={"phase5": {"targets": targets}}, secrets={"slack-webhook": {"capture": "slack"}})
    assert "KubeNodeNotReady" in {alert.name for alert in real.alerts}


def test_an_override_changes_only_its_alert_and_keeps_the_other_files_as_they_are(make_plan: MakePlan) -> None:
    shipped = render.tree(make_plan())
    address = "boss-workflow/HighErrorRate"
    override = {address: {"for": "10s", "because": "a test has no five minutes", "seen": seen(address)}}
    changed = render.tree(make_plan(override=override))
    path = "prometheus/etc/rules/boss-workflow/v1/alerts.yml"
    assert [name for name in shipped if shipped[name] != changed[name]] == [path]

    def alerts(text: str) -> dict[str, str]:
        return {rule["alert"]: rule["for"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]}

    assert alerts(changed[path]) == {**alerts(shipped[path]), "HighErrorRate": "10s"}


def test_rules_on_logs_go_to_loki_alone_and_an_override_changes_only_its_file(make_plan: MakePlan) -> None:
    path, address = "loki/etc/rules/fake/logs-v1-errors.yml", "logs/LogErrorsHigh"
    shipped = render.tree(make_plan())
    assert [name for name in shipped if "alert: LogErrorsHigh" in shipped[name]] == [path]
    override = {"threshold": 2.5, "severity": "critical", "because": "it speaks too much", "seen": seen(address)}
    changed = render.tree(make_plan(override={address: override}))
    assert [name for name in shipped if shipped[name] != changed[name]] == [path]
    [rule, _] = yaml.safe_load(changed[path])["groups"][0]["rules"]
    assert rule["expr"].endswith(") > 2.5\n")
    assert rule["labels"] == {"component": "logs", "severity": "critical"}


def test_loki_takes_an_edit_of_its_rules_without_a_restart(make_plan: MakePlan) -> None:
    server = make_plan().find("loki")
    assert server is not None
    kinds = {file.path.rpartition("/")[0]: file.on_change for file in server.files}
    assert kinds == {"etc": "restart", "etc/rules/fake": "watched"}


@pytest.mark.parametrize("address", ["platform/NodeClockSkew", "logs/LogFatal"])
def test_a_disabled_alert_is_gone(make_plan: MakePlan, address: str) -> None:
    override = {address: {"disabled": True, "because": "no clock of its own", "seen": seen(address)}}
    made = make_plan(override=override)
    assert address not in {alert.address for alert in made.alerts}
    name = address.rpartition("/")[2]
    assert not [path for path, text in render.tree(made).items() if f"alert: {name}\n" in text]


def test_the_real_application_is_scraped_where_the_settings_say(make_plan: MakePlan) -> None:
    made = make_plan(systems={"boss-workflow": {"targets": {"boss-workflow": "10.1.2.3:8000"}}})
    assert made.find("boss-workflow") is None
    [job] = [job for job in made.jobs if job.job == "boss-workflow"]
    assert [target.address for target in job.targets] == ["10.1.2.3:8000"]


def test_an_application_on_the_internet_is_scraped_over_https_with_its_token(make_plan: MakePlan) -> None:
    system = {"targets": {"boss-workflow": "https://boss.example.org"}, "token": "scrape-token"}
    secrets = {"discord-webhook": {"capture": "discord"}, "scrape-token": {"file": "/dev/null"}}
    server = make_plan(systems={"boss-workflow": system}, secrets=secrets).find("prometheus")
    assert server is not None
    assert "secrets/scrape-token" in [secret.path for secret in server.secrets]
    jobs = yaml.safe_load(server.files[0].text)["scrape_configs"]
    [job] = [job for job in jobs if job["job_name"] == "boss-workflow"]
    assert (job["scheme"], job["static_configs"][0]["targets"]) == ("https", ["boss.example.org"])
    # Prometheus resolves it from the directory of its configuration file.
    assert job["authorization"] == {"credentials_file": "../secrets/scrape-token"}


def test_a_job_that_is_off_by_default_is_scraped_where_the_settings_name_it(make_plan: MakePlan) -> None:
    def jobs(**more: object) -> set[str]:
        return {job.job for job in make_plan(systems={"boss-workflow": {"workload": True, **more}}).jobs}

    assert jobs(jobs=["boss-workflow-default"]) - jobs() == {"boss-workflow-default"}


def test_a_simulated_service_and_its_callers_agree_on_a_secret_that_nobody_gave(make_plan: MakePlan) -> None:
    made = make_plan(systems={"graphmemory": {"workload": True}}, secrets={"graphmemory-direct": {"capture": "x"}})
    holders = {
        service.name: secret.generated
        for service in made.services
        for secret in service.secrets
        if secret.path == "secrets/graphmemory-bridge"
    }
    assert holders == {"alertmanager": True, "graphmemory-bridge": True}


def test_a_real_exporter_takes_the_place_of_the_simulated_one(make_plan: MakePlan) -> None:
    servers = {"postgres": {"address": "127.0.0.1:5432", "password": "pg"}, "redis": {"address": "127.0.0.1:6379"}}
    made = make_plan(
        systems={"graphmemory": {"workload": True, "exporters": servers}},
        secrets={"graphmemory-direct": {"capture": "x"}, "pg": {"file": "/dev/null"}},
    )
    api = made.find("graphmemory-api")
    assert api is not None
    assert api.aliases == ()
    assert [port.name for port in api.ports] == ["http"]
    assert {"postgres-exporter", "redis-exporter"} <= {service.name for service in made.services}


def test_on_docker_services_are_reached_by_name_on_their_own_ports(make_plan: MakePlan) -> None:
    made = make_plan(target="docker")
    assert {target.address for job in made.jobs for target in job.targets} >= {"loki:3100", "boss-workflow:8000"}


def test_a_trace_has_a_way_into_jaeger_and_links_both_ways(make_plan: MakePlan) -> None:
    tree = render.tree(make_plan())
    pipelines = yaml.safe_load(tree["otel-collector/etc/collector.yml"])["service"]["pipelines"]
    assert pipelines["traces"]["exporters"] == ["otlp_grpc/jaeger"]
    sources = yaml.safe_load(tree["grafana/etc/provisioning/datasources/watchstack.yml"])["datasources"]
    linked = {source["name"]: source["jsonData"] for source in sources}
    assert linked["Prometheus"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "jaeger"
    assert "jaeger" in [field["datasourceUid"] for field in linked["Loki"]["derivedFields"]]
    assert linked["Jaeger"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    without = render.tree(make_plan(jaeger={"enabled": False}))
    assert "jaeger" not in without["grafana/etc/provisioning/datasources/watchstack.yml"]
    assert "traces" not in yaml.safe_load(without["otel-collector/etc/collector.yml"])["service"]["pipelines"]


def test_rendered_secrets_are_references(make_plan: MakePlan) -> None:
    tree = render.tree(make_plan())
    assert tree["alertmanager/secrets/discord-webhook"] == "secret:discord-webhook (capture receiver at /discord)\n"
    assert tree["grafana/secrets/grafana-admin"] == "secret:grafana-admin (generated)\n"
