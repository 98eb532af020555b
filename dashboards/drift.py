"""What was edited in Grafana's page: a dashboard as the code says it against the one that Grafana serves.

Grafana adds to what it is given: ids, versions, defaults, and what a newer schema writes differently. So a panel is
compared by what somebody would edit, and beyond that only where the code says something.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dashboards import classic

Json = dict[str, Any]

_NOTHING: Json = {}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference. `panel` is empty for the dashboard as a whole; `code` and `grafana` are the two sides of it."""

    dashboard: str
    panel: str
    change: Literal["added", "removed", "changed"]
    what: str = ""
    code: str = ""
    grafana: str = ""


def compare(code: Json, served: Json) -> list[Change]:
    """The changes from the code's model of a dashboard to Grafana's, the dashboard's own first."""
    uid = str(code["uid"])
    found = list(_changed(uid, "", _DASHBOARD, code, served))
    ours, theirs = list(classic.panels(code)), list(classic.panels(served))
    pairs = _paired(ours, theirs)
    for panel, other in pairs:
        found += _changed(uid, _title(panel), _PANEL, panel, other)
    kept = {id(panel) for pair in pairs for panel in pair}
    found += [Change(dashboard=uid, panel=_title(panel), change="removed") for panel in ours if id(panel) not in kept]
    found += [Change(dashboard=uid, panel=_title(panel), change="added") for panel in theirs if id(panel) not in kept]
    return found


def _paired(ours: Sequence[Json], theirs: Sequence[Json]) -> list[tuple[Json, Json]]:
    """The same panel on both sides: of the same title, else of the same id, which a change of title leaves."""
    pairs = []
    left, right = list(ours), list(theirs)
    for key in (lambda panel: (panel.get("type") == "row", _title(panel)), lambda panel: panel.get("id")):
        others = {key(panel): panel for panel in reversed(right) if key(panel) is not None}
        for panel in list(left):
            if other := others.pop(key(panel), None):
                pairs.append((panel, other))
                left = [each for each in left if each is not panel]
                right = [each for each in right if each is not other]
    return sorted(pairs, key=lambda pair: _at(pair[0]))


def _changed(uid: str, panel: str, aspects: Mapping[str, "Aspect"], code: Json, served: Json) -> Iterator[Change]:
    for what, aspect in aspects.items():
        ours, theirs = aspect(code), aspect(served)
        if ours != theirs:
            yield Change(
                dashboard=uid, panel=panel, change="changed", what=what, code=_written(ours), grafana=_written(theirs)
            )
    for key in ("options", "transformations"):
        for what, ours, theirs in _below(key, code.get(key), served.get(key)):
            yield Change(
                dashboard=uid, panel=panel, change="changed", what=what, code=_written(ours), grafana=_written(theirs)
            )


Aspect = Callable[[Json], Any]


def _below(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where Grafana has another value for what the code says; what only Grafana has is a default of its own."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _below(f"{path}.{key}", value, theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (value, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _below(f"{path}.{index}", value, other)
    elif ours != theirs and (ours or theirs):
        yield path, ours, theirs


def _default(name: str) -> Aspect:
    """An option of all fields of a panel."""
    return lambda panel: panel.get("fieldConfig", _NOTHING).get("defaults", _NOTHING).get(name) or None


def _custom(panel: Json) -> Any:
    """What a person sets of the lines; grafanalib and Grafana both write out defaults beside it."""
    custom = _default("custom")(panel) or _NOTHING
    return {
        "axisPlacement": custom.get("axisPlacement", "auto"),
        "cellOptions": custom.get("cellOptions", {"type": "auto"}),
        "drawStyle": custom.get("drawStyle", "line"),
        "fillOpacity": custom.get("fillOpacity", 0),
        "stacking": custom.get("stacking", _NOTHING).get("mode", "none"),
        "thresholdsStyle": custom.get("thresholdsStyle", _NOTHING).get("mode", "off"),
    }


def _thresholds(panel: Json) -> Any:
    """The first step has no limit, which Grafana's versions write in different ways."""
    return _steps(_default("thresholds")(panel) or _NOTHING)


def _steps(thresholds: Json) -> list[str]:
    steps = thresholds.get("steps") or []
    return [
        f"{step['color']}" if not index else f"{step['color']} from {step['value']:g}"
        for index, step in enumerate(steps)
    ]


def _queries(panel: Json) -> list[str]:
    return [
        f"{target.get('refId', '')}: {target['expr']} (legend {target.get('legendFormat') or 'none'}"
        f"{', instant' if target.get('instant') else ''}, {classic.source(target) or classic.source(panel)})"
        for target in classic.targets(panel)
    ]


def _overrides(panel: Json) -> list[Any]:
    listed = panel.get("fieldConfig", _NOTHING).get("overrides") or []
    return [
        {"of": override["matcher"].get("options"), **{each["id"]: _value(each) for each in override["properties"]}}
        for override in listed
    ]


def _value(each: Json) -> Any:
    return _steps(each["value"]) if each["id"] == "thresholds" else each.get("value")


def _position(panel: Json) -> str:
    grid = panel.get("gridPos", _NOTHING)
    return f"{grid.get('w')} x {grid.get('h')} at {grid.get('x')}, {grid.get('y')}"


def _at(panel: Json) -> tuple[int, int]:
    grid = panel.get("gridPos", _NOTHING)
    return grid.get("y", 0), grid.get("x", 0)


def _title(panel: Json) -> str:
    return str(panel.get("title", ""))


def _links(thing: Json) -> list[str]:
    return [f"{link.get('title')}: {link.get('url')}" for link in thing.get("links") or []]


def _variables(model: Json) -> list[str]:
    listed = model.get("templating", _NOTHING).get("list") or []
    return [f"{variable.get('name')}: {_asked(variable)}" for variable in listed]


def _asked(variable: Json) -> str:
    """Newer versions write the query of a variable as an object."""
    query = variable.get("query", "")
    return str(query.get("query", "")) if isinstance(query, dict) else str(query or variable.get("type", ""))


def _plain(name: str) -> Aspect:
    return lambda thing: thing.get(name) or None


_DASHBOARD: Mapping[str, Aspect] = {
    "title": _title,
    "description": _plain("description"),
    "tags": lambda model: sorted(model.get("tags") or []),
    "links": _links,
    "variables": _variables,
    "refresh": _plain("refresh"),
    "time range": _plain("time"),
}
_PANEL: Mapping[str, Aspect] = {
    "title": _title,
    "type": _plain("type"),
    "description": _plain("description"),
    "position": _position,
    "query": _queries,
    "unit": _default("unit"),
    "decimals": _default("decimals"),
    "minimum": lambda panel: panel.get("fieldConfig", _NOTHING).get("defaults", _NOTHING).get("min"),
    "maximum": lambda panel: panel.get("fieldConfig", _NOTHING).get("defaults", _NOTHING).get("max"),
    "thresholds": _thresholds,
    "value mappings": _default("mappings"),
    "text for no value": _default("noValue"),
    "overrides": _overrides,
    "lines": _custom,
    "links": _links,
}


def _written(value: Any) -> str:
    if value in (None, [], ""):
        return "nothing"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
