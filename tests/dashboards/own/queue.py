"""A user's own dashboard, made of house panels."""

from dashboards.board import Board, Query, Thresholds
from dashboards.panels import stat, timeseries


def board() -> Board:
    return Board(
        uid="queue",
        title="Queue",
        description="Work that waits.",
        tags=("queue",),
        links=(),
        panels=(
            timeseries(
                "Tasks that wait",
                Query(expr='sum(tasks_by_status{status="pending"})', legend="waiting"),
                unit="short",
                description="Tasks that nobody works on.",
                thresholds=Thresholds(warning=50),
            ),
            stat(
                "Containers that wait",
                Query(expr="sum(kube_pod_container_status_waiting_reason)", legend="waiting"),
                unit="short",
                description="Containers that cannot start.",
                needs=frozenset({"kube-state-metrics"}),
            ),
        ),
    )
