"""Asks Prometheus and Loki what the panels of a dashboard show."""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from dashboards import runnable
from dashboards.variables import MIN_INTERVAL_SECONDS
from pictures.model import Panel, Target

Json = dict[str, Any]

# How many questions are asked at once: a picture must not slow down what it shows.
AT_ONCE = 6
MAX_LINES = 200
# The width of a page, in pixels: Grafana asks for one sample a pixel.
PIXELS = 1600
# Steps that Grafana takes, in seconds.
_STEPS = (15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time that a picture shows: `seconds` up to `end`."""

    end: float
    seconds: int

    def step(self, panel: Panel) -> int:
        """Seconds between two samples of a panel, as Grafana takes it: by its width."""
        wanted = max(MIN_INTERVAL_SECONDS, self.seconds * 24 / (PIXELS * panel.place.width))
        return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line of samples at even distances, None where there is none."""

    ref: str
    name: str
    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float | None, ...]

    @property
    def last(self) -> float | None:
        """The newest sample there is."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A log line."""

    at: float
    level: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert that is firing or pending."""

    name: str
    state: str
    since: str
    summary: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the queries of a panel found, or the first that went wrong; `seconds` of the slowest."""

    series: tuple[Series, ...] = ()
    lines: tuple[Line, ...] = ()
    alerts: tuple[Alert, ...] = ()
    error: str = ""
    seconds: float = 0

    @property
    def found(self) -> int:
        """How much there is to show: series, lines and alerts."""
        return len(self.series) + len(self.lines) + len(self.alerts)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where to ask, by URL, and through what."""

    prometheus: str
    loki: str | None
    client: httpx.Client


class _Failed(Exception):
    """A query that was not answered; the message says why."""


def ask(
    panels: Iterable[Panel], sources: Sources, window: Window, done: Callable[[], None] = lambda: None
) -> list[Answer]:
    """The answer for each panel, in order; `done` is called after each."""

    def one(panel: Panel) -> Answer:
        answer = _answer(panel, sources, window)
        done()
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, panels))


def _answer(panel: Panel, sources: Sources, window: Window) -> Answer:
    series: list[Series] = []
    lines: list[Line] = []
    alerts: tuple[Alert, ...] = ()
    slowest = 0.0
    try:
        if panel.kind == "alertlist":
            alerts = _alerts(sources, str(panel.options.get("alertInstanceLabelFilter", "")))
        for target in panel.targets:
            start = time.monotonic()
            more, read = _asked(panel, target, sources, window)
            slowest = max(slowest, time.monotonic() - start)
            series += more
            lines += read
    except (_Failed, ValueError) as problem:
        return Answer(error=str(problem), seconds=slowest)
    newest = tuple(sorted(lines, key=lambda line: line.at, reverse=True))
    return Answer(series=tuple(series), lines=newest, alerts=alerts, seconds=slowest)


def _asked(panel: Panel, target: Target, sources: Sources, window: Window) -> tuple[list[Series], list[Line]]:
    step = window.step(panel)
    expr = runnable(target.expr, step, window.seconds)
    # Grafana asks for whole steps, so that the samples of a page stand at the same times.
    end = math.floor(window.end / step) * step
    first = math.ceil((window.end - window.seconds) / step) * step
    span = {"start": str(first), "end": str(end), "step": str(step)}
    if target.source == "loki":
        if sources.loki is None:
            raise _Failed("Loki does not run in this environment")
        asked = {"query": expr, "limit": str(MAX_LINES), "direction": "backward", **span}
        result = _get(sources, f"{sources.loki}/loki/api/v1/query_range", asked | _to_now(panel, window))
        if result["resultType"] == "streams":
            return [], [line for stream in result["result"] for line in _lines(stream)]
    elif target.instant:
        result = _get(sources, f"{sources.prometheus}/api/v1/query", {"query": expr, "time": str(window.end)})
        return [_instant(target, found) for found in _vector(result)], []
    else:
        result = _get(sources, f"{sources.prometheus}/api/v1/query_range", {"query": expr, **span})
    times = tuple(float(first + number * step) for number in range((end - first) // step + 1))
    return [_ranged(target, found, times) for found in result["result"]], []


def _to_now(panel: Panel, window: Window) -> dict[str, str]:
    """Log lines are wanted up to the very end."""
    return {"end": str(window.end)} if panel.kind == "logs" else {}


def _vector(result: Json) -> list[Json]:
    if result["resultType"] == "scalar":
        return [{"metric": {}, "value": result["result"]}]
    return list(result["result"])


def _instant(target: Target, found: Json) -> Series:
    at, value = found["value"]
    return _series(target, found["metric"], (float(at),), (_number(value),))


def _ranged(target: Target, found: Json, times: tuple[float, ...]) -> Series:
    samples = {float(at): _number(value) for at, value in found.get("values", [])}
    return _series(target, found["metric"], times, tuple(samples.get(at) for at in times))


def _series(
    target: Target, labels: Mapping[str, str], times: tuple[float, ...], values: tuple[float | None, ...]
) -> Series:
    legend = labels.get("le", "") if target.heatmap else target.legend
    return Series(ref=target.ref, name=_name(legend, labels), labels=labels, times=times, values=values)


def _number(text: str) -> float | None:
    value = float(text)
    return None if math.isnan(value) else value


def _name(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with labels filled in; the labels themselves where that says nothing."""
    filled = re.sub(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()
    if filled and filled != "__auto":
        return filled
    pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{pairs}}}" if pairs else labels.get("__name__", "Value")


def _lines(stream: Json) -> list[Line]:
    labels = stream["stream"]
    named = (labels.get(name) for name in ("level", "severity_text", "detected_level"))
    level = next(filter(None, named), "unknown").lower()
    return [Line(at=int(at) / 1e9, level=level, text=str(text)) for at, text, *_ in stream["values"]]


def _alerts(sources: Sources, matchers: str) -> tuple[Alert, ...]:
    """The alerts that Prometheus has and `matchers` picks: firing first, then by name."""
    picked = _get(sources, f"{sources.prometheus}/api/v1/query", {"query": f"ALERTS{matchers}"})["result"]
    kept = [_essential(found["metric"]) for found in picked]
    active = _get(sources, f"{sources.prometheus}/api/v1/alerts", {})["alerts"]
    alerts = [_alert(alert) for alert in active if _essential(alert["labels"]) in kept]
    return tuple(sorted(alerts, key=lambda alert: (alert.state, alert.name, sorted(alert.labels.items()))))


def _essential(labels: Mapping[str, str]) -> dict[str, str]:
    """What an alert and its series have in common."""
    return {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}


def _alert(alert: Json) -> Alert:
    labels = {name: value for name, value in alert["labels"].items() if name != "alertname"}
    said = alert["annotations"].get("summary") or alert["annotations"].get("description", "")
    return Alert(
        name=alert["labels"]["alertname"], state=alert["state"], since=alert["activeAt"], summary=said, labels=labels
    )


def _get(sources: Sources, url: str, parameters: Mapping[str, str]) -> Any:
    try:
        answer = sources.client.get(url, params=parameters)
    except httpx.HTTPError as problem:
        raise _Failed(f"no answer from {url}: {problem}") from None
    if not answer.is_success:
        raise _Failed(_reason(answer))
    return answer.json()["data"]


def _reason(answer: httpx.Response) -> str:
    """Prometheus says what is wrong in JSON, Loki in plain words."""
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = answer.text.strip() or answer.reason_phrase
    return f"{answer.status_code}: {said}"
