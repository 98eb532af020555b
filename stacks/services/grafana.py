"""Grafana: data sources and dashboards, all from files."""

import configparser
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stacks.service import Endpoint, File, Ground, Limits, Port, SecretFile, Service, Volume, to_yaml

NAME = "grafana"
PORT = 3000
PASSWORD = "grafana-admin"  # noqa: S105 - the secret's name
DASHBOARDS = "etc/dashboards"

# From a log line to the metrics of the service that wrote it, and to its trace. Grafana expands ${} in these files;
# $$ keeps it out.
_TO_METRICS = {
    "name": "metrics",
    "matcherType": "label",
    "matcherRegex": "service_name",
    "datasourceUid": "prometheus",
    "url": 'up{job="$${__value.raw}"}',
    "urlDisplayLabel": "Is it up?",
}
_TO_TRACE = {
    "name": "trace",
    "matcherType": "label",
    "matcherRegex": "trace_id",
    "datasourceUid": "jaeger",
    "url": "$${__value.raw}",
    "urlDisplayLabel": "Trace",
}
# From a trace to the lines that were written under it, and to the requests of the service it passed through.
_TO_LOGS = {
    "datasourceUid": "loki",
    "spanStartTimeShift": "-5m",
    "spanEndTimeShift": "5m",
    "customQuery": True,
    "query": '{service_name="$${__span.tags["service.name"]}"} | trace_id="$${__span.traceId}"',
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The URLs of the data sources."""

    prometheus: str
    thanos: str | None
    alertmanager: str
    loki: str | None
    jaeger: str | None


def service(ground: Ground, sources: Sources, dashboards: Sequence[File]) -> Service:
    """`dashboards` are files below `etc/dashboards`."""
    return Service(
        name=NAME,
        product="grafana",
        program="grafana",
        args=("server", "--homepath={home}", "--config=etc/grafana.ini"),
        ports=(Port(name="http", number=PORT),),
        files=(
            File(path="etc/grafana.ini", text=_ini(ground), on_change="restart"),
            File(
                path="etc/provisioning/datasources/watchstack.yml",
                text=to_yaml({"apiVersion": 1, "prune": True, "datasources": _sources(sources)}),
                on_change="restart",
            ),
            File(
                path="etc/provisioning/dashboards/watchstack.yml",
                text=to_yaml(_provider()),
                on_change="restart",
            ),
            *dashboards,
        ),
        secrets=(SecretFile(path=f"secrets/{PASSWORD}", secret=PASSWORD, generated=True),),
        volumes=(Volume(path="data", size=256 * 2**20),),
        ready=Endpoint(port="http", path="/api/health"),
        metrics=Endpoint(port="http", path="/metrics"),
        page=Endpoint(port="http", path="/"),
        limits=Limits(memory=512 * 2**20),
    )


def _ini(ground: Ground) -> str:
    host, _, port = ground.listen(PORT).rpartition(":")
    sections = {
        "paths": {
            "data": "data",
            "logs": "log",
            "plugins": "data/plugins",
            "provisioning": "etc/provisioning",
        },
        "server": {"http_addr": host, "http_port": port, "root_url": ground.page(NAME, PORT, "/")},
        "security": {"admin_user": "admin", "admin_password": f"$__file{{secrets/{PASSWORD}}}"},
        "users": {"allow_sign_up": "false"},
        "auth.anonymous": {"enabled": "false"},
        # Nothing is fetched or reported at start, so that it starts without a network.
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
        },
        "plugins": {"preinstall_disabled": "true"},
        # Alert lists show what Prometheus says; Grafana evaluates nothing itself.
        "unified_alerting": {"enabled": "true", "execute_alerts": "false"},
        "log": {"mode": "console"},
        "log.console": {"format": "json"},
    }
    ini = configparser.RawConfigParser()
    ini.read_dict({section: dict(sorted(keys.items())) for section, keys in sorted(sections.items())})
    text = io.StringIO()
    ini.write(text)
    return text.getvalue().strip() + "\n"


def _provider() -> dict[str, object]:
    options = {"path": DASHBOARDS, "foldersFromFilesStructure": True}
    provider = {
        "name": "watchstack",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 5,
        "options": options,
    }
    return {"apiVersion": 1, "providers": [provider]}


def _sources(sources: Sources) -> list[dict[str, object]]:
    metrics: dict[str, object] = {
        "httpMethod": "POST",
        "timeInterval": "15s",
        "manageAlerts": True,
        "alertmanagerUid": "alertmanager",
    }
    alerts = {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
    found = [_source("Alertmanager", sources.alertmanager, alerts)]
    if sources.loki:
        fields = [_TO_METRICS, _TO_TRACE] if sources.jaeger else [_TO_METRICS]
        lines = {"maxLines": 1000, "manageAlerts": False, "derivedFields": fields}
        found.append(_source("Loki", sources.loki, lines))
    if sources.jaeger:
        metrics["exemplarTraceIdDestinations"] = [{"name": "trace_id", "datasourceUid": "jaeger"}]
        found.append(_source("Jaeger", sources.jaeger, {"tracesToLogsV2": _TO_LOGS} if sources.loki else {}))
    return [*_metrics(sources, metrics), *found]


def _metrics(sources: Sources, options: Mapping[str, object]) -> list[dict[str, object]]:
    """What panels ask is called `prometheus`. Rules and alerts are Prometheus's own: Thanos here evaluates none."""
    own = _source("Prometheus", sources.prometheus, options)
    if sources.thanos is None:
        return [own | {"isDefault": True}]
    asked = {**options, "manageAlerts": False, "prometheusType": "Thanos"}
    everything = _source("Thanos", sources.thanos, asked) | {"uid": own["uid"], "type": "prometheus"}
    return [everything | {"isDefault": True}, own | {"uid": "prometheus-rules"}]


def _source(name: str, url: str, more: Mapping[str, object]) -> dict[str, object]:
    kind = name.lower()
    return {"access": "proxy", "editable": False, "name": name, "uid": kind, "type": kind, "url": url, "jsonData": more}
