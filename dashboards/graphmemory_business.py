"""GraphMemory Business Metrics: users, onboarding, collaboration, knowledge and the graph."""

from dashboards import promql
from dashboards.board import Board, Panel, Query
from dashboards.links import dashboard, runbook, runbooks, system_logs, traces
from dashboards.panels import bargauge, not_a_number, stat, timeseries
from dashboards.variables import FILTER

SYSTEM = "graphmemory"
API = "graphmemory-api"


def board() -> Board:
    """What people do with it. Counts and windows, never people."""
    return Board(
        uid="graphmemory-business",
        title="GraphMemory Business Metrics",
        description="Active users, onboarding, collaboration, extracted knowledge and the size of the graph.",
        tags=(SYSTEM, "system", "watchstack"),
        links=(dashboard("graphmemory-overview", "Overview"), system_logs(SYSTEM), traces(API), runbooks()),
        variables=(FILTER,),
        panels=(*_users(), *_work()),
    )


def _users() -> tuple[Panel, ...]:
    return (
        stat(
            "Active users",
            Query(expr="max by (window) (graphmemory_active_users)", legend="{{window}}"),
            unit="short",
            description="Distinct users in the last 5 minutes, hour and day.",
            width=8,
            height=8,
        ),
        timeseries(
            "User actions",
            Query(expr=promql.rate("graphmemory_user_actions_total", "", ("action",)), legend="{{action}}"),
            unit="cps",
            description="Actions a second by kind.",
            width=16,
        ),
        bargauge(
            "Onboarding funnel, 24h",
            Query(
                expr=promql.increase("graphmemory_onboarding_steps_total", 'outcome="completed"', ("step",), "24h"),
                legend="{{step}}",
                instant=True,
            ),
            unit="short",
            description="How often each step was completed in a day.",
            width=16,
        ),
        stat(
            "Onboarding time p50",
            Query(
                expr=promql.quantile(0.5, "graphmemory_onboarding_duration_seconds", window="1h"),
                legend="median",
            ),
            unit="s",
            description="Half of the onboardings of the last hour took less than this.",
            mappings=(not_a_number("nobody"),),
            width=8,
            height=8,
        ),
    )


def _work() -> tuple[Panel, ...]:
    return (
        timeseries(
            "Collaboration events",
            Query(expr=promql.rate("graphmemory_collaboration_events_total", "", ("event",)), legend="{{event}}"),
            unit="cps",
            description="Events a second by kind.",
            width=8,
        ),
        timeseries(
            "Knowledge extracted",
            Query(
                expr=promql.rate("graphmemory_knowledge_entities_extracted_total", "", ("kind",), "15m"),
                legend="{{kind}}",
            ),
            unit="cps",
            description="Entities found a second, by kind, over 15 minutes.",
            width=8,
            links=(runbook("GraphMemoryExtractionFailures"),),
        ),
        timeseries(
            "Graph size",
            Query(expr=promql.total("graphmemory_graph_nodes"), legend="nodes"),
            Query(expr=promql.total("graphmemory_graph_edges"), legend="edges"),
            unit="short",
            description="Nodes and edges of the graph.",
            width=8,
        ),
    )
