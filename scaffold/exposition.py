"""What a running application exposes: fetched from its `/metrics`, or refused with what it is instead."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from catalogue import observe
from stacks.strict import Refused

_SECONDS = 10
_TEXT = "text/plain;version=0.0.4"
_TYPES = {"counter", "gauge", "histogram", "summary"}
_OF_THE_FORMAT = {"le", "quantile"}


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """A metric with samples: `example` are the labels of one of them, `buckets` the edges of a histogram."""

    name: str
    type: str
    help: str
    example: dict[str, str]
    labels: dict[str, tuple[str, ...]]
    buckets: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where an application is scraped. `target` is as `watchstack:systems.SYSTEM.targets` takes it."""

    target: str
    port: int
    path: str


def address(url: str) -> Address:
    """The parts of a URL; Refused where a scrape could not be of it."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as problem:
        raise Refused(f"--from-metrics {url}: not a URL: {problem}") from None
    if not port or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise Refused(f"--from-metrics {url}: give http://HOST:PORT/PATH or https://..., without login, `?` and `#`")
    where = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    scheme = "https://" if parts.scheme == "https" else ""
    return Address(target=f"{scheme}{where}:{port}", port=port, path=parts.path or "/")


def fetch(url: str) -> list[Exposed]:
    """The metrics by name. Asked twice: many applications count a scrape, and show labels only then."""
    _ask(url)
    found = sorted(_exposed(url, _ask(url)), key=lambda metric: metric.name)
    if not found:
        raise Refused(f"--from-metrics {url}: it answers, and exposes no metric with a sample; send it a request first")
    return found


def _ask(url: str) -> str:
    try:
        answer = httpx.get(url, headers={"Accept": _TEXT}, timeout=_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        raise Refused(f"--from-metrics {url}: no answer: {problem or type(problem).__name__}; does it run?") from None
    if not answer.is_success:
        raise Refused(f"--from-metrics {url}: it answers with {answer.status_code} {answer.reason_phrase}")
    if "html" in answer.headers.get("Content-Type", "") or answer.text.lstrip().startswith("<"):
        raise Refused(f"--from-metrics {url}: it answers with a web page, not with metrics; is it another path?")
    return answer.text


def _exposed(url: str, text: str) -> Iterator[Exposed]:
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as problem:
        raise Refused(f"--from-metrics {url}: not Prometheus' text format: {problem}") from None
    if families and not any(family.type in _TYPES for family in families):
        raise Refused(f"--from-metrics {url}: not Prometheus' text format: nothing in it has a `# TYPE`")
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    return (_metric(observe.family_name(one, types), one) for one in families if one.samples and one.type in _TYPES)


def _metric(name: str, family: Family) -> Exposed:
    values: dict[str, set[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, set()).add(value)
    edges = sorted(float(edge) for edge in values.get("le", ()) if edge not in ("+Inf", "Inf"))
    first = family.samples[0].labels
    return Exposed(
        name=name,
        type=family.type,
        help=" ".join(family.documentation.split()),
        example={label: value for label, value in first.items() if label not in _OF_THE_FORMAT},
        labels={label: tuple(sorted(of)) for label, of in sorted(values.items()) if label not in _OF_THE_FORMAT},
        buckets=tuple(edges),
    )
