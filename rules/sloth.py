"""Objectives in files of Sloth's format `prometheus/v1`, as they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from apps.objectives import range_of
from rules import read_documents
from rules.objectives import FAST, RUNBOOKS, SLOW, BurnAlert, Pair, Slo
from stacks.names import Label, Severity
from stacks.strict import Refused, Strict, load

# Sloth's own windows, which a file cannot change.
WINDOW = "30d"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the two alerts that Sloth makes of an objective, with its burn rates."""

    name: str
    severity: Severity
    speed: str
    runbook: str
    pairs: tuple[Pair, ...]


KINDS = (
    Kind(
        name="page",
        severity="critical",
        speed="fast",
        runbook=FAST,
        pairs=(Pair(long="1h", short="5m", budget=0.02), Pair(long="6h", short="30m", budget=0.05)),
    ),
    Kind(
        name="ticket",
        severity="warning",
        speed="slowly",
        runbook=SLOW,
        pairs=(Pair(long="1d", short="2h", budget=0.1), Pair(long="3d", short="6h", budget=0.1)),
    ),
)

# Labels that the routing goes by. What a file has under these names it keeps as Prometheus does in such a case.
OURS = ("slo", "system", "component", "severity")

_PLUGINS = (
    "needs a plugin of Sloth, a Go program that Sloth loads; generate this file with Sloth, as a pack of your own"
)


def _text(value: object) -> object:
    """A label's value as Sloth reads it: numbers and booleans are what they look like."""
    return json.dumps(value) if isinstance(value, int | float) else value


def _percent(objective: float) -> float:
    if 0 < objective < 1:
        raise ValueError(f"is in percent in this format; a share of {objective:g} is {objective * 100:.12g}")
    if objective == 100:
        raise ValueError("100 % leaves no error budget: one error would use up more than all of it; give less")
    if not 1 <= objective < 100:
        raise ValueError("is in percent, above 0 and below 100, such as 99.9")
    return objective


def _plugin(_value: object) -> NoReturn:
    raise ValueError(_PLUGINS)


Text = Annotated[str, BeforeValidator(_text)]
Labels = dict[Label, Text]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
Query = Annotated[str, AfterValidator(range_of)]
Plugin = Annotated[object, BeforeValidator(_plugin)]


class Events(Strict):
    errors: Query = Field(alias="error_query")
    total: Query = Field(alias="total_query")


class Raw(Strict):
    errors: Query = Field(alias="error_ratio_query")

    @property
    def total(self) -> None:
        return None


class Indicator(Strict):
    events: Events | None = None
    raw: Raw | None = None
    plugin: Plugin = None

    @model_validator(mode="after")
    def _one(self) -> "Indicator":
        if (self.events is None) == (self.raw is None):
            raise ValueError("give exactly one of `events`, `raw`")
        return self


class Notice(Strict):
    """One of the two alerts of an objective."""

    disable: bool = False
    labels: Labels = Field({})
    annotations: Labels = Field({})


class Alerting(Strict):
    name: str = ""
    labels: Labels = Field({})
    annotations: Labels = Field({})
    page_alert: Notice = Notice()
    ticket_alert: Notice = Notice()

    @model_validator(mode="after")
    def _named(self) -> "Alerting":
        if not self.name and not (self.page_alert.disable and self.ticket_alert.disable):
            raise ValueError("`name` is missing: its alerts are called by it")
        return self


class Level(Strict):
    name: Id
    objective: Annotated[float, AfterValidator(_percent)]
    description: str = ""
    labels: Labels = Field({})
    plugins: Plugin = None
    sli: Indicator
    alerting: Alerting


class Spec(Strict):
    """A document of the file."""

    version: Literal["prometheus/v1"]
    service: Id
    labels: Labels = Field({})
    slo_plugins: Plugin = None
    slos: tuple[Level, ...] = Field(min_length=1)


def objectives(path: Path, place: str, system: str) -> list[Slo]:
    """The objectives of a file, as those of a system. Refused names what cannot be used, and where."""
    documents = [document for document in read_documents(path, place) if document is not None]
    if not documents:
        raise Refused(f"{place}: the file is empty")
    specs = [_spec(document, _where(place, number, documents)) for number, document in enumerate(documents, 1)]
    return [_slo(system, spec, level) for spec in specs for level in spec.slos]


def _where(place: str, number: int, documents: list[Any]) -> str:
    return f"{place}: " if len(documents) == 1 else f"{place}: document {number}: "


def _spec(document: object, where: str) -> Spec:
    if isinstance(document, dict) and "apiVersion" in document:
        kind = f"apiVersion {document['apiVersion']}, kind {document.get('kind')}"
        raise Refused(f"{where}{kind}: another format; only `version: prometheus/v1` is read")
    return load(Spec, _given(document), where)


def _given(value: object) -> object:
    """What is there: to Sloth a key without a value is none."""
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value


def _slo(system: str, spec: Spec, level: Level) -> Slo:
    name = f"{spec.service}-{level.name}"
    [sli] = [given for given in (level.sli.events, level.sli.raw) if given]
    labels = {**spec.labels, **level.labels}
    # Annotations and dashboards of such files speak of these.
    own = {"sloth_id": name, "sloth_service": spec.service, "sloth_slo": level.name}
    alone = Slo(
        name=name,
        system=system,
        objective=round(level.objective / 100, 12),
        window=WINDOW,
        description=level.description or name,
        errors=sli.errors,
        total=sli.total,
        labels={**_apart(labels), **own},
    )
    wanted = (_alert(alone, level.alerting, kind, labels) for kind in KINDS)
    return replace(alone, alerts=tuple(alert for alert in wanted if alert))


def _alert(slo: Slo, alerting: Alerting, kind: Kind, inherited: Mapping[str, str]) -> BurnAlert | None:
    """An alert with the burn rates that its objective can be missed by: 14.4 times 10 % would be more than all."""
    notice: Notice = getattr(alerting, f"{kind.name}_alert")
    if notice.disable:
        return None
    given = {**inherited, **alerting.labels, **notice.labels}
    routed = given.get("severity") in get_args(Severity)
    severity = given.pop("severity") if routed else kind.severity
    made = {
        "summary": f"The error budget of {slo.name} burns {kind.speed}.",
        "description": f"{{{{ $value | humanizePercentage }}}} errors: {slo.description}",
        "runbook_url": f"{RUNBOOKS}/{kind.runbook}",
    }
    return BurnAlert(
        name=alerting.name,
        wait="0s",
        pairs=tuple(pair for pair in kind.pairs if slo.needs(pair) < 1),
        labels={**_apart(given), "severity": severity, "sloth_severity": kind.name},
        annotations={**made, **alerting.annotations, **notice.annotations},
    )


def _apart(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"exported_{name}" if name in OURS else name: value for name, value in labels.items()}
