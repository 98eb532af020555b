"""What the backend sends to Kafka: an event for every change of a task, and reminders of tasks that are open."""

import asyncio
import logging

from workloads.phase5.broker import Broker
from workloads.phase5.metrics import CHANNELS, REMINDERS, TASK_EVENTS
from workloads.phase5.simulation import Simulation, message_attributes
from workloads.phase5.store import Store, Task
from workloads.pool import PoolTimeoutError

# As many as make a consumer that stands still lag by 1000 within a minute.
REMINDERS_PER_SECOND = 25

_LOG = logging.getLogger("phase5.backend")


class Events:
    """A producer: every message is a span, and carries its context on."""

    def __init__(self, simulation: Simulation, broker: Broker) -> None:
        self._sim = simulation
        self._broker = broker

    def changed(self, told: dict[str, str]) -> None:
        """Tell that a task was created, updated, completed or deleted: `taskId`, `userId`, `operation`."""
        self._send(TASK_EVENTS, told["taskId"], told)

    def due(self, task: Task) -> None:
        """Ask for a reminder."""
        told = {"taskId": task["taskId"], "userId": task["userId"], "operation": "remind"}
        self._send(REMINDERS, task["taskId"], {**told, "channel": self._sim.rng.choice(CHANNELS)})

    def _send(self, topic: str, key: str, value: dict[str, str]) -> None:
        attributes = message_attributes("send", topic, self._broker.partition(topic, key), key)
        with self._sim.tracing.span(f"send {topic}", kind="producer", **attributes):
            self._broker.send(topic, key, value, self._sim.tracing.headers())


class Scheduler:
    """Asks for reminders of open tasks, those first that have waited longest."""

    def __init__(self, simulation: Simulation, store: Store, events: Events) -> None:
        self._sim = simulation
        self._store = store
        self._events = events

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(1)
            await self.remind()

    async def remind(self) -> None:
        """Ask for the reminders of one second."""
        with self._sim.tracing.span("schedule reminders"):
            try:
                tasks = await self._store.due(REMINDERS_PER_SECOND)
            except PoolTimeoutError as problem:
                _LOG.error("reminders not scheduled", extra={"operation": "remind", "error": str(problem)})
                return
            for task in tasks:
                self._events.due(task)
