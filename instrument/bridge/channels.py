"""Events to the people that want them: in order, one channel independent of the other, repeated after a failure."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from instrument.bridge.correlation import Event
from instrument.families import OUTCOMES
from instrument.health.probes import Asked
from instrument.metrics import Metrics

# Tells somebody. Plain functions run in a thread; any exception is a failure.
Channel = Callable[[Event], Awaitable[object] | object]

# Seconds for one notification, and for all that wait for one channel.
TIMEOUT = 5.0
# Notifications that wait for a channel that is away; the oldest are lost first.
WAITING = 1000

_LOG = logging.getLogger(__name__)


class Channels:
    """Delivers events, and counts each attempt by channel and status."""

    def __init__(self, metrics: Metrics, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._waiting: dict[str, deque[Asked]] = {name: deque(maxlen=WAITING) for name in channels}
        self._busy = asyncio.Lock()
        self._sent = metrics.counter(
            "alert_notifications_total", "Notifications of alerts.", channel=tuple(channels), status=OUTCOMES
        )

    def add(self, events: Iterable[Event]) -> None:
        """Have these events delivered next, after those that wait already."""
        for event in events:
            for name, waiting in self._waiting.items():
                if len(waiting) == waiting.maxlen:
                    _LOG.error("a notification for %s is lost: %s wait already", name, WAITING)
                waiting.append(Asked(partial(self._channels[name], event)))

    async def deliver(self) -> None:
        """Try what waits. A channel that fails is left alone until the next call."""
        async with self._busy:
            await asyncio.gather(*(self._deliver(name) for name in self._channels))

    async def _deliver(self, name: str) -> None:
        waiting = self._waiting[name]
        until = time.monotonic() + TIMEOUT
        while waiting and (left := until - time.monotonic()) > 0:
            problem = await waiting[0].outcome(left)
            self._sent.inc(channel=name, status=OUTCOMES[1 if problem else 0])
            if problem:
                _LOG.warning("channel %s failed: %s", name, problem)
                return
            waiting.popleft()
