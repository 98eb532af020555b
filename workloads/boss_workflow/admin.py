"""`POST /api/admin/test-alert`: proves the way of an alert from Alertmanager to those who are told."""

import asyncio
import hmac
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from instrument.alerts import AlertmanagerError, raise_test_alert
from instrument.families import RateLimits
from workloads.body import one_of

PATH = "/api/admin/test-alert"
OPERATIONS = (("POST", PATH),)
SECRET = "boss-admin-token"  # noqa: S105 - the name of a file
SEVERITIES = ("critical", "warning", "info")
LABELS = {"alertname": "BossWorkflowTest", "system": "boss-workflow", "component": "test"}
# For all callers together, and counted before the token is looked at: it cannot be guessed.
CALLS = 6
SECONDS = 60.0
# For Alertmanager to answer.
PATIENCE = 5.0

_LOG = logging.getLogger("boss")


class Admin:
    """`token` reads the secret, None where there is none; `alertmanager` is its base URL."""

    def __init__(
        self,
        limits: RateLimits,
        token: Callable[[], str | None],
        alertmanager: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._token = token
        self._alertmanager = alertmanager
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=CALLS)

    def routes(self) -> list[Route]:
        return [Route(PATH, self._test_alert, methods=["POST"])]

    async def _test_alert(self, request: Request) -> Response:
        self._limit()
        self._authorise(request)
        severity = one_of("severity", request.query_params.get("severity", "warning"), SEVERITIES)
        if self._alertmanager is None:
            raise HTTPException(503, "no Alertmanager is known; start with --peer alertmanager=URL")
        labels = LABELS | {"severity": severity}
        raising = partial(raise_test_alert, self._alertmanager, labels, timeout=PATIENCE)
        try:
            fingerprint = await asyncio.to_thread(raising)
        except AlertmanagerError as problem:
            raise HTTPException(502, str(problem)) from problem
        _LOG.info("test alert raised", extra={"fingerprint": fingerprint, "severity": severity})
        return JSONResponse({"fingerprint": fingerprint, "labels": labels})

    def _limit(self) -> None:
        now = self._clock()
        if len(self._calls) == CALLS and now - self._calls[0] < SECONDS:
            self._limits.rejected(PATH)
            wait = f"{SECONDS - (now - self._calls[0]):.0f}"
            raise HTTPException(429, f"at most {CALLS} calls in {SECONDS:g} seconds", {"Retry-After": wait})
        self._calls.append(now)

    def _authorise(self, request: Request) -> None:
        token = self._token()
        if not token:
            raise HTTPException(503, f"test alerts are off: no token in the file {SECRET} among the secrets")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not hmac.compare_digest(given.strip().encode(), token.encode()) or scheme.lower() != "bearer":
            raise HTTPException(401, "give the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
