"""Reading Grafana's classic dashboard model, whoever wrote it."""

import re
from collections.abc import Iterator
from typing import Any

from dashboards.variables import ALL

Json = dict[str, Any]


def panels(model: Json) -> Iterator[Json]:
    """All panels, those of collapsed rows too; rows themselves are among them."""
    for panel in own_panels(model):
        yield panel
        yield from own_panels(panel)


def own_panels(holder: Json) -> list[Json]:
    """The panels that stand in a dashboard, or in a collapsed row."""
    return _objects(holder.get("panels"))


def targets(panel: Json) -> list[Json]:
    """The queries of a panel that are text, as those of Prometheus and Loki are."""
    return [target for target in _objects(panel.get("targets")) if isinstance(target.get("expr"), str)]


def source(thing: Json) -> str:
    """The uid of the data source of a panel or query; nothing if it names none by uid."""
    reference = thing.get("datasource")
    return str(reference.get("uid", "")) if isinstance(reference, dict) else ""


def without_variables(model: Json, expr: str) -> str:
    """A query in which the dashboard's own variables stand at All; Grafana's own are left."""
    names = [re.escape(str(variable.get("name"))) for variable in _objects(model.get("templating", {}).get("list"))]
    if not names:
        return expr
    either = "|".join(sorted(names, key=len, reverse=True))
    return re.sub(rf"\$(?:\{{(?:{either})(?::\w+)?\}}|(?:{either})\b)|\[\[(?:{either})\]\]", lambda _: ALL, expr)


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
