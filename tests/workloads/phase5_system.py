"""The three processes of Phase 5 in this one: on one loop, and asking each other without a port."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import httpx
from anyio.from_thread import start_blocking_portal
from asgi_client import Client

from workloads.phase5.agent import Agent
from workloads.phase5.backend import Backend
from workloads.phase5.frontend import Frontend


@dataclass
class Phase5:
    """A client for each service and for each exporter, by its port."""

    frontend: Client
    backend: Client
    agent: Client
    exporters: dict[str, Client]
    simulation: Backend
    consumer: Agent

    def fault(self, name: str, value: float) -> None:
        """Switch a fault on or, with 0, off."""
        assert self.backend.post("/_sim/fault", {"fault": name, "value": value}).status_code == 200

    def remind(self) -> None:
        """Let the reminders of one second become due."""
        self.backend.run(self.simulation.scheduler.remind)

    def consume(self) -> None:
        """Let the agent handle what there is."""
        for _ in range(2):  # the second time, it commits
            assert self.backend.run(partial(self.consumer.poll, 0))

    def ask(self, method: str, path: str, body: object = None, user: str = "ana") -> httpx.Response:
        """What a user asks of the frontend."""
        return self.frontend.request(method, path, json=body, headers={"X-User-Id": user})


@contextmanager
def system(pace: float = 0) -> Iterator[Phase5]:
    """All of it, for the length of a block."""
    backend = Backend(1, pace=pace)

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(backend.app), base_url="http://backend")

    agent, frontend = Agent(client(), 1, pace=pace), Frontend(client())
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        clients = []
        for app in (frontend.app, backend.app, agent.app, *backend.exporters.values()):
            stack.enter_context(portal.wrap_async_context_manager(app.router.lifespan_context(app)))
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
            stack.callback(portal.call, http.aclose)
            clients.append(Client(portal, http))
        exporters = dict(zip(backend.exporters, clients[3:], strict=True))
        yield Phase5(clients[0], clients[1], clients[2], exporters, backend, agent)
