"""Questions to a running service: is it ready, and has it taken its new configuration?"""

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

READY_SECONDS = 60
RELOAD_SECONDS = 15


class Unready(Exception):
    """A service that does not answer, or has not taken its configuration, in time."""


class ReloadRefused(Exception):
    """A service that said no to its new configuration."""


def wait_ready(url: str) -> None:
    """Return once the URL answers with success; Unready with the last answer after READY_SECONDS."""
    for attempt in _patiently(READY_SECONDS):
        with attempt:
            _get(url)


def mark(url: str, proof: str, success: str | None = None) -> float | str:
    """What tells one load of the configuration from another: a time, as a metric or as a field of a JSON answer."""
    return _mark(_get(url), proof, success)


def wait_reloaded(url: str, proof: str, success: str | None = None, *, before: float | str) -> None:
    """Return once a configuration newer than `before` is in force.

    ReloadRefused as soon as the service says that it failed, Unready if it says nothing in time.
    """
    for attempt in _patiently(RELOAD_SECONDS):
        with attempt:
            answer = _get(url)
            if _mark(answer, proof, success) == before:
                if success and _metric(answer.text, success) == 0:
                    raise ReloadRefused(f"{success} is 0 at {url}")
                raise Unready(f"{url}: {proof} is still {before}")


def _patiently(seconds: float) -> Retrying:
    return Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type(Unready),
        reraise=True,
    )


def _get(url: str) -> httpx.Response:
    try:
        answer = httpx.get(url, timeout=5, follow_redirects=True, trust_env=False)
    except httpx.HTTPError as problem:
        raise Unready(f"{url}: {problem}") from None
    if not answer.is_success:
        raise Unready(f"{url}: {answer.status_code} {answer.text.strip()[:200]}")
    return answer


def _mark(answer: httpx.Response, proof: str, success: str | None) -> float | str:
    return str(answer.json()[proof]) if success is None else _metric(answer.text, proof)


def _metric(text: str, name: str) -> float:
    # Only the lines of this metric: parsing a whole exposition takes longer than the reload itself.
    lines = "\n".join(line for line in text.splitlines() if line.startswith(name))
    return next(sample.value for family in text_string_to_metric_families(lines + "\n") for sample in family.samples)
