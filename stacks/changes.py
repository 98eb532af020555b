"""Changes that an environment makes to what is shipped: to alerts, and to panels."""

from typing import Literal

from pydantic import Field, model_validator

from stacks.names import Label, Severity
from stacks.strict import Strict
from stacks.units import Wait


class Override(Strict):
    """A change to a shipped alert, addressed as `<pack>/<alert>`."""

    threshold: float | None = Field(
        default=None, description="The number in the condition, for alerts whose pack declares one."
    )
    wait: Wait | None = Field(default=None, alias="for", description="How long the condition must hold.")
    severity: Severity | None = Field(default=None, description="Another severity, and so other receivers.")
    labels: dict[Label, str] = Field({}, description="Labels in addition, or in place of its own.")
    disabled: bool = Field(default=False, description="Leave the alert out.")
    because: str = Field(description="The reason, shown with the alert.", min_length=8)
    seen: str | None = Field(
        default=None,
        description="The alert that it was written for, as eight characters of docs/alerts.md. Another one is refused.",
    )


class NewPanel(Strict):
    """A panel in place of a shipped one, of the same size."""

    kind: Literal["timeseries", "stat", "gauge", "bargauge", "piechart", "logs"] = Field(
        description="What it looks like."
    )
    title: str = Field(
        description="Its heading. The address stays the one of the panel that it replaces.", min_length=1
    )
    description: str = Field(description="What it shows, in words.", min_length=1)
    unit: str = Field("short", description="Grafana's id of the unit, or `suffix:` and a unit of your own.")
    queries: dict[str, str] = Field(
        description="Queries by legend: PromQL, or LogQL if `logs` is true or the kind is `logs`.",
        examples=[{"{{endpoint}}": "sum by (endpoint) (rate(http_requests_total[5m]))"}],
    )
    logs: bool = Field(default=False, description="The queries are for Loki.")
    warning: float | None = Field(default=None, description="Where a value turns yellow.")
    critical: float | None = Field(default=None, description="Where a value turns red.")
    below: bool = Field(default=False, description="Small values are the bad ones.")
    minimum: float | None = Field(default=None, description="Where a gauge or an axis begins.")
    maximum: float | None = Field(default=None, description="Where a gauge or an axis ends.")
    empty_when: str | None = Field(default=None, description="Why no data is no fault, if it may be empty.")

    @model_validator(mode="after")
    def _asking(self) -> "NewPanel":
        if not self.queries:
            raise ValueError("give at least one query")
        return self


class PanelChange(Strict):
    """A change to a shipped panel, addressed as `<dashboard>/<panel>`."""

    drop: bool = Field(default=False, description="Leave the panel out.")
    replace: NewPanel | None = Field(default=None, description="Show another one in its place.")
    because: str = Field(description="The reason.", min_length=8)
    seen: str | None = Field(
        default=None,
        description="The panel that it was written for, as eight characters of docs/dashboards.md. Another one is "
        "refused.",
    )

    @model_validator(mode="after")
    def _one_change(self) -> "PanelChange":
        if self.drop == (self.replace is not None):
            raise ValueError("give either `drop: true` or `replace`")
        return self
