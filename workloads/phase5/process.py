"""What the three processes share: the application around the routes, and how it runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, ExceptionHandler, Lifespan

from instrument.asgi import Exposition, measured
from instrument.health import Check, Health
from instrument.logs import configure
from instrument.tracing import Tracing
from workloads.arguments import Arguments
from workloads.body import refusal
from workloads.loggers import LOGGERS
from workloads.phase5.metrics import NAMESPACE, Phase5Metrics
from workloads.serve import Address, Work, serve

VERSION = "1.0.0"
UNCOUNTED = ("/metrics", "/_sim/")


def application(
    metrics: Phase5Metrics,
    tracing: Tracing,
    routes: Sequence[BaseRoute],
    checks: Sequence[Check],
    *,
    lifespan: Lifespan[Starlette],
    handlers: Mapping[Any, ExceptionHandler] | None = None,
) -> Starlette:
    """The routes with health, metrics and traces."""
    app = Starlette(
        routes=[
            *routes,
            *Health(None, checks, version=VERSION).routes(),
            Route("/metrics", Exposition(metrics)),
        ],
        middleware=[Middleware(tracing.asgi), Middleware(measured, http=metrics.http, uncounted=UNCOUNTED)],
        exception_handlers={HTTPException: refusal, **(handlers or {})},
        lifespan=lifespan,
    )
    # A redirect for a trailing slash would be an answer with no route and no handler.
    app.router.redirect_slashes = False
    return app


def traces(service: str, asked: Arguments) -> Tracing:
    """Traces of this process, as those of its pod."""
    pod = {"k8s.namespace.name": NAMESPACE, "k8s.pod.name": f"{service}-0"}
    return Tracing(service, asked.otlp, ratio=asked.ratio, resource={"system": "phase5", **pod})


def run(
    service: str,
    asked: Arguments,
    tracing: Tracing,
    metrics: Phase5Metrics,
    apps: Mapping[Address, ASGIApp],
    *,
    beside: Work | None = None,
    stopping: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM."""
    tracing.report_to(metrics)
    configure(service, file=asked.log_file, loggers=LOGGERS, metrics=metrics)
    try:
        serve(apps, beside=beside, stopping=stopping)
    finally:
        tracing.close()
