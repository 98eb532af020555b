"""Questions to the services of a running environment. Each is answered, or raises Pending."""

from functools import cache

import httpx

from stacks.plan import Plan
from stacks.service import Endpoint


class Pending(Exception):
    """Not as it should be, or not yet; the message says what."""


def address(plan: Plan, service: str, port: str, path: str) -> str:
    """Where a port of a service is; Pending if the environment does not run it."""
    found = plan.find(service)
    if found is None:
        raise Pending(f"{service} does not run in this environment")
    return plan.url(found, Endpoint(port=port, path=path))


def get(url: str, **parameters: str) -> httpx.Response:
    return _asked(httpx.Request("GET", url, params=parameters))


def post(url: str, body: object) -> httpx.Response:
    return _asked(httpx.Request("POST", url, json=body))


@cache
def _client() -> httpx.Client:
    """One for the run: making a client costs more than most questions."""
    return httpx.Client(timeout=10, trust_env=False, follow_redirects=True)


def _asked(request: httpx.Request) -> httpx.Response:
    try:
        answer = _client().send(request)
    except httpx.HTTPError as problem:
        raise Pending(f"{request.url}: {problem}") from None
    if not answer.is_success:
        raise Pending(f"{request.url}: {answer.status_code} {answer.text.strip()[:200]}")
    return answer
