"""Health over HTTP, for Starlette."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from instrument.health import Health, Report


def routes(health: Health) -> list[Route]:
    """`/health`, `/health/live` and `/health/ready`."""

    async def everything(_request: Request) -> Response:
        health.bind()
        return _answer(await health.report())

    async def live(_request: Request) -> Response:
        health.bind()
        return _answer(health.live())

    async def ready(_request: Request) -> Response:
        health.bind()
        return _answer(await health.report(*health.critical) if health.critical else health.live())

    return [Route("/health", everything), Route("/health/live", live), Route("/health/ready", ready)]


def _answer(report: Report) -> Response:
    return JSONResponse(report.body(), report.code, {"Cache-Control": "no-store"})
