"""A test alert for Alertmanager: proof that alerts arrive where they should."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from instrument.timestamps import timestamp

# The label of every test alert, for routes, silences and people.
MARK = "watchstack_test"


class AlertmanagerError(Exception):
    """Alertmanager did not take the alert, or cannot be reached."""


def raise_test_alert(
    url: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    *,
    minutes: float = 5,
    timeout: float = 10,
) -> str:
    """Post an alert that ends by itself, and return its fingerprint. AlertmanagerError says what went wrong.

    `url` is Alertmanager's base URL. `labels` may replace those of the mark: `alertname` and `severity="info"`.
    """
    given = {"alertname": "WatchstackTest", "severity": "info", **(labels or {}), MARK: "true"}
    # Alertmanager takes a label without a value for one that is not there.
    wanted = {name: value for name, value in given.items() if value}
    now = time.time()
    alert = {
        "labels": wanted,
        "annotations": {"summary": "Test alert: nothing is wrong.", **(annotations or {})},
        "startsAt": timestamp(now),
        "endsAt": timestamp(now + 60 * minutes),
    }
    base = f"{url.rstrip('/')}/api/v2/alerts"
    _ask(base, timeout, json.dumps([alert]).encode())
    marked = urlencode({"filter": f'{MARK}="true"'})
    listed = _ask(f"{base}?{marked}", timeout)
    for found in listed if isinstance(listed, list) else ():
        if isinstance(found, dict) and found.get("labels") == wanted and "fingerprint" in found:
            return str(found["fingerprint"])
    raise AlertmanagerError(f"{base} took the alert but does not list it")


def _ask(url: str, timeout: float, body: bytes | None = None) -> Any:
    if not url.startswith(("http://", "https://")):
        raise AlertmanagerError(f"{url} is not an http URL")
    # A service beside us: never through a proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http, see above
        with opener.open(request, timeout=timeout) as answer:
            text = answer.read()
    except urllib.error.HTTPError as problem:
        with problem:
            said = problem.read(500).decode(errors="replace").strip()
        raise AlertmanagerError(f"{url} answered {problem.code}: {said}") from problem
    except (OSError, ValueError, HTTPException) as problem:
        raise AlertmanagerError(f"{url}: {problem}") from problem
    try:
        return json.loads(text) if text.strip() else None
    except ValueError as problem:
        raise AlertmanagerError(f"{url} did not answer in JSON") from problem
