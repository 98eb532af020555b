"""Drill-down links: runbook pages, and Grafana's Explore on logs and traces for the time that is shown."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from dashboards import logql
from dashboards.datasources import JAEGER, LOKI, Datasource

RUNBOOKS = "https://watchstack.dev/runbooks/"


@dataclass(frozen=True, kw_only=True)
class Link:
    """`needs`: components without which the link leads nowhere, and is left out."""

    title: str
    url: str
    keeps_time: bool = False
    needs: frozenset[str] = field(default=frozenset(), repr=False)


def runbook(alert: str) -> Link:
    """The page on what to do when `alert` fires."""
    return Link(title=f"Runbook: {alert}", url=f"{RUNBOOKS}{alert}")


def runbooks() -> Link:
    """The list of all runbook pages."""
    return Link(title="Runbooks", url=RUNBOOKS)


def logs(title: str, expr: str) -> Link:
    """Log lines that `expr` (LogQL) finds."""
    query = {"expr": expr, "queryType": "range"}
    return Link(title=title, url=_explore(LOKI, query), needs=frozenset({"loki"}))


def system_logs(system: str) -> Link:
    """All log lines of a system."""
    return logs("Logs", logql.lines(system))


def traces(service: str) -> Link:
    """Traces that passed through `service`."""
    query = {"queryType": "search", "service": service}
    return Link(title="Traces", url=_explore(JAEGER, query), needs=frozenset({"jaeger"}))


def dashboard(uid: str, title: str) -> Link:
    """Another dashboard, for the time that is shown."""
    return Link(title=title, url=f"/d/{uid}", keeps_time=True, needs=frozenset({f"dashboard/{uid}"}))


def _explore(datasource: Datasource, query: dict[str, Any]) -> str:
    pane = {
        "datasource": datasource.uid,
        "queries": [{"refId": "A", "datasource": datasource.reference(), **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    panes = quote(json.dumps({"main": pane}, separators=(",", ":"), sort_keys=True), safe="")
    # Grafana fills in a variable only where it is not percent-encoded.
    for variable in ("${__from}", "${__to}"):
        panes = panes.replace(quote(variable), variable)
    return f"/explore?schemaVersion=1&orgId=1&panes={panes}"
