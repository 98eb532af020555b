"""The reminder agent of Phase 5: takes events from Kafka and delivers reminders.

python -m workloads.phase5.agent --listen http=127.0.0.1:13003 --peer phase5-backend=http://127.0.0.1:13001
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from instrument.health import Check
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.pause import Pause
from workloads.phase5.broker import GROUP, POLL
from workloads.phase5.metrics import AGENT, BACKEND, REMINDERS, Phase5Metrics
from workloads.phase5.process import application, run, traces
from workloads.phase5.simulation import message_attributes

# Seconds that the broker may wait for news, and between attempts when it does not answer.
WAIT = 5.0
RETRY = 1.0
# Share of the reminders that fails when all is well.
USUAL_ERRORS = 0.002
# One delivery in so many is logged; failures always are.
LOG_ONE_IN = 10

_LOG = logging.getLogger("phase5.agent")


class DeliveryError(Exception):
    """A reminder that did not arrive."""


class Agent:
    """`app` for its health and metrics; `run` does its work. `client` reaches the broker."""

    def __init__(
        self, client: httpx.AsyncClient, seed: int, *, pace: float = 1.0, tracing: Tracing | None = None
    ) -> None:
        self._client = client
        self._rng = random.Random(seed)
        self._pause = Pause(pace)
        self._tracing = tracing or Tracing(AGENT, None)
        self._committed: dict[str, dict[str, int]] = {}
        self._problem = "not polled yet"
        self._errors = USUAL_ERRORS
        self._delivered = 0
        self.metrics = Phase5Metrics(exemplar=self._tracing.exemplar)
        kafka = Check("kafka", self._kafka, critical=False)
        self.app = application(self.metrics, self._tracing, [], [kafka], lifespan=self._lifespan)

    async def run(self) -> None:
        """Take and handle events until cancelled."""
        while True:
            if not await self.poll():
                await asyncio.sleep(RETRY)

    async def poll(self, seconds: float = WAIT) -> bool:
        """Commit what was handled, and handle what follows; False when the broker does not answer."""
        try:
            asked = {"committed": self._committed, "seconds": seconds}
            answer = (await self._client.post(POLL, json=asked)).raise_for_status().json()
        except httpx.HTTPError as problem:
            self._problem = repr(problem)
            _LOG.warning("no events", extra={"operation": "poll", "error": self._problem})
            return False
        self._problem = ""
        self._errors = answer["reminder_errors"] or USUAL_ERRORS
        for record in answer["records"]:
            await self._handle(record)
            self._committed.setdefault(record["topic"], {})[str(record["partition"])] = record["offset"] + 1
        return True

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    def _kafka(self) -> None:
        if self._problem:
            raise ConnectionError(self._problem)

    async def _handle(self, record: dict[str, Any]) -> None:
        topic, told = record["topic"], record["value"]
        attributes = message_attributes("process", topic, record["partition"], record["key"]) | {
            "messaging.consumer.group.name": GROUP,
            "messaging.kafka.offset": record["offset"],
        }
        with (
            contextlib.suppress(DeliveryError),
            self._tracing.remote(record["headers"]),
            self._tracing.span(f"process {topic}", kind="consumer", **attributes),
            self.metrics.events.attempt(topic=topic),
        ):
            if topic == REMINDERS:
                await self._deliver(told)
            else:
                _LOG.info("Event handled", extra=told)

    async def _deliver(self, told: dict[str, str]) -> None:
        try:
            with self.metrics.reminders.sending(told["channel"]):
                await self._pause(min(0.02, self._rng.expovariate(1 / 0.002)))
                if self._rng.random() < self._errors:
                    raise DeliveryError(f"{told['channel']} does not take the reminder")
        except DeliveryError as problem:
            _LOG.error("Reminder not delivered", extra=told | {"error": str(problem)})
            raise
        self._delivered += 1
        if self._delivered % LOG_ONE_IN == 0:
            _LOG.info("Reminder delivered", extra=told)


def main() -> None:
    asked = parse("workloads.phase5.agent")
    tracing = traces(AGENT, asked)
    # trust_env: a proxy of the environment must not come between.
    client = httpx.AsyncClient(base_url=asked.peers[BACKEND], timeout=2 * WAIT, trust_env=False)
    agent = Agent(client, asked.seed, tracing=tracing)
    run(AGENT, asked, tracing, agent.metrics, {asked.listen["http"]: agent.app}, beside=agent.run)


if __name__ == "__main__":
    main()
