"""What selftest asks of a running environment. Each probe returns what it saw, or raises Pending."""

import math
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import dashboards
from cli.ask import Pending, address, get, post
from dashboards import PanelQuery
from rules import Engine
from stacks import routes
from stacks.plan import Plan
from stacks.service import Endpoint, Service
from stacks.services import alertmanager, capture, collector, jaeger, loki, prometheus
from stacks.units import seconds

_RANGE_SECONDS = 900
_SELDOM_SECONDS = 60


def services(plan: Plan) -> str:
    """Every service answers on its ready endpoint."""
    for service in plan.services:
        get(plan.url(service, service.ready))
    return f"{len(plan.services)} services"


def targets(plan: Plan) -> str:
    """Every declared job has targets, and all of them are up, for each Prometheus."""
    return "; ".join(_targets(plan, server) for server in plan.replicas(prometheus.NAME))


def _targets(plan: Plan, server: Service) -> str:
    active = get(_api(plan, server, "/api/v1/targets"), state="active").json()["data"]["activeTargets"]
    health: dict[str, list[Any]] = {}
    for target in active:
        health.setdefault(target["labels"]["job"], []).append(target)
    if missing := [job.job for job in plan.jobs if job.job not in health]:
        raise Pending(f"{server.name} has no target for {', '.join(missing)}")
    declared = [target for job in plan.jobs for target in health[job.job]]
    if down := [target for target in declared if target["health"] != "up"]:
        reasons = (f"{target['labels']['instance']}: {target['lastError'] or 'not scraped yet'}" for target in down)
        raise Pending("; ".join(reasons))
    return f"{server.name} has {len(active)} targets of {len(plan.jobs)} jobs"


def rules(plan: Plan) -> str:
    """Every rule of the Plan is loaded where it belongs, and was evaluated without an error."""
    seen = [_rules(plan, server, "/api/v1/rules", "prometheus") for server in plan.replicas(prometheus.NAME)]
    seen += [_rules(plan, server, "/prometheus/api/v1/rules", "loki") for server in plan.replicas(loki.NAME)]
    return "; ".join(seen)


def _rules(plan: Plan, server: Service, path: str, engine: Engine) -> str:
    groups = get(_api(plan, server, path)).json()["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    names = {rule["name"] for rule in loaded}
    if missing := sorted({alert.name for alert in plan.alerts if alert.engine == engine} - names):
        raise Pending(f"{server.name} has not loaded {', '.join(missing)}")
    # A group that is looked at seldom has its first turn later than anybody would wait for it here.
    seldom = [rule for group in groups if group["interval"] >= _SELDOM_SECONDS for rule in group["rules"]]
    due_later = [rule for rule in seldom if rule["health"] == "unknown"]
    if ill := [rule for rule in loaded if rule["health"] != "ok" and rule not in due_later]:
        first = f"{ill[0]['name']} {ill[0]['health']} {ill[0].get('lastError', '')}"
        raise Pending(f"{len(ill)} of {len(loaded)} rules of {server.name} are not healthy: {first}")
    later = f", {len(due_later)} due later" if due_later else ""
    return f"{server.name} has {len(loaded)} rules in {len(groups)} groups{later}"


def panels(plan: Plan) -> str:
    """Every query of every panel returns data, but those that are empty by nature."""
    asked = [query for dashboard in plan.dashboards for query in dashboard.queries]
    empty = [query for query in asked if not _has_data(plan, query)]
    if silent := [f"{query.dashboard}: {query.panel} ({query.ref})" for query in empty if not query.empty_when]:
        raise Pending(f"no data in {len(silent)} of {len(asked)} queries: {silent[0]}")
    by_nature = f", {len(empty)} empty by nature" if empty else ""
    return f"{len(asked)} queries of {len(plan.dashboards)} dashboards{by_nature}"


def log_line(plan: Plan) -> str:
    """A line handed to the collector now is found in Loki."""
    if plan.find(loki.NAME) is None:
        return "no logs in this environment"
    sent = _line_sent(address(plan, collector.NAME, "otlp-http", "/v1/logs"))
    if not _loki_result(plan, f'{{service_name="selftest"}} |= "{sent.text}"'):
        raise Pending(f"not in Loki: {sent.text}")
    return f"found {time.monotonic() - sent.at:.1f} s after it was written"


def trace(plan: Plan) -> str:
    """A span handed to the collector now is found in Jaeger."""
    if plan.find(jaeger.NAME) is None:
        return "no traces in this environment"
    sent = _span_sent(address(plan, collector.NAME, "otlp-http", "/v1/traces"))
    get(address(plan, jaeger.NAME, "ui", f"/api/traces/{sent.text}"))
    return f"found {time.monotonic() - sent.at:.1f} s after it ended"


def alert(plan: Plan) -> str:
    """A synthetic alert reaches the capture receiver, one through each Alertmanager."""
    if plan.find(capture.NAME) is None:
        raise Pending("this environment runs no capture receiver; set watchstack:capture.enabled")
    servers = plan.replicas(alertmanager.NAME)
    # All of them, before the first is waited for: the second to notify waits for its turn.
    sent = {server.name: _alert_sent(_api(plan, server, "/api/v2/alerts")) for server in servers}
    for name, each in sent.items():
        if not get(address(plan, capture.NAME, "http", "/notifications"), path="/webhook", contains=each.text).json():
            raise Pending(f"the alert has not arrived through {name}")
    return f"arrived {time.monotonic() - min(each.at for each in sent.values()):.1f} s after it was raised"


@dataclass(frozen=True)
class _Sent:
    """Something unmistakable, sent once a run."""

    text: str
    at: float


@cache
def _line_sent(url: str) -> _Sent:
    text = f"watchstack selftest {uuid.uuid4()}"
    resource = {"service.name": "selftest", "app": "selftest", "system": "platform"}
    record = {"timeUnixNano": str(time.time_ns()), "severityText": "INFO", "body": {"stringValue": text}}
    logs = {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [{"logRecords": [record]}]}
    at = time.monotonic()
    post(url, {"resourceLogs": [logs]})
    return _Sent(text, at)


@cache
def _span_sent(url: str) -> _Sent:
    trace_id, now = uuid.uuid4().hex, time.time_ns()
    resource = {"service.name": "selftest", "system": "platform"}
    span = {
        "traceId": trace_id,
        "spanId": uuid.uuid4().hex[:16],
        "name": "watchstack selftest",
        "kind": 1,
        "startTimeUnixNano": str(now - 10**6),
        "endTimeUnixNano": str(now),
    }
    spans = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"spans": [span]}]}
    at = time.monotonic()
    post(url, {"resourceSpans": [spans]})
    return _Sent(trace_id, at)


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    """Attributes as OTLP writes them in JSON."""
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


@cache
def _alert_sent(url: str) -> _Sent:
    text = str(uuid.uuid4())
    now = datetime.now(UTC)
    labels = {"alertname": "WatchstackSelftest", "severity": "none", routes.SELFTEST_LABEL: text}
    annotations = {"summary": "A synthetic alert of ./watchstack selftest; it ends by itself."}
    ends = (now + timedelta(minutes=2)).isoformat()
    at = time.monotonic()
    post(url, [{"labels": labels, "annotations": annotations, "startsAt": now.isoformat(), "endsAt": ends}])
    return _Sent(text, at)


def _has_data(plan: Plan, query: PanelQuery) -> bool:
    step = math.ceil(seconds(plan.settings.prometheus.scrape_interval))
    expr = dashboards.runnable(query.expr, step, _RANGE_SECONDS)
    if query.datasource == loki.NAME:
        return bool(_loki_result(plan, expr))
    now = time.time()
    if query.instant:
        answer = get(_prometheus(plan, "/api/v1/query"), query=expr, time=str(now))
    else:
        span = {"start": str(now - _RANGE_SECONDS), "end": str(now), "step": str(step)}
        answer = get(_prometheus(plan, "/api/v1/query_range"), query=expr, **span)
    result = answer.json()["data"]["result"]
    # A quantile without traffic is NaN, which a panel shows as a gap.
    samples = (sample for series in result for sample in series.get("values") or [series["value"]])
    return any(sample[1] != "NaN" for sample in samples)


def _loki_result(plan: Plan, expr: str) -> list[Any]:
    start = str(time.time_ns() - _RANGE_SECONDS * 10**9)
    answer = get(address(plan, loki.NAME, "http", "/loki/api/v1/query_range"), query=expr, start=start, limit="5")
    result: list[Any] = answer.json()["data"]["result"]
    return result


def _api(plan: Plan, server: Service, path: str) -> str:
    return plan.url(server, Endpoint(port="http", path=path))


def _prometheus(plan: Plan, path: str) -> str:
    return address(plan, prometheus.NAME, "http", path)
