"""Port 8501, in place of Streamlit's: health as JSON, and as gauges at `/health/metrics`."""

import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from instrument.health import HEALTHY, Check, Health
from workloads.scrape import scraped
from workloads.tdd_project.store import CycleStore

VERSION = "1.0.0"
# Below, SQLite can soon write no more.
FREE_BYTES = 32 * 2**20


class DiskFullError(Exception):
    """Too little is free where the database is."""


class HealthPort:
    """The checks run at each request, a scrape too. `app` is the ASGI application.

    The registry holds the gauge alone: the application counts at `/metrics`, and nothing is counted twice.
    """

    def __init__(self, store: CycleStore, directory: Path) -> None:
        checks = [Check("database", store.ping), Check("disk", lambda: _room(directory), critical=False)]
        self._health = Health(None, checks, version=VERSION)
        self._registry = CollectorRegistry()
        self._gauge = Gauge(
            "application_health_status", "Components: 1 healthy, 0 not.", ["component"], registry=self._registry
        )
        self.app = Starlette(routes=[Route("/health/metrics", self._metrics), *self._health.routes()])

    async def _metrics(self, request: Request) -> Response:
        report = await self._health.report()
        for name, result in report.checks.items():
            self._gauge.labels(name).set(result.status == HEALTHY)
        return scraped(self._registry, request)


def _room(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise DiskFullError(f"{free / 2**20:.0f} MiB are free; {FREE_BYTES / 2**20:.0f} MiB are needed")
