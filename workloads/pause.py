"""Simulated waiting that ends at once when the application stops."""

import asyncio


class Pause:
    """`await pause(seconds)`. `pace` stretches every wait; 0 makes them all immediate."""

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace
        self._waiting: set[asyncio.Future[None]] = set()

    async def __call__(self, seconds: float) -> None:
        if seconds * self._pace <= 0:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds * self._pace, _wake, done)
        self._waiting.add(done)
        try:
            await done
        finally:
            timer.cancel()
            self._waiting.discard(done)

    def stop(self) -> None:
        """End all waits, and make later ones immediate."""
        self._pace = 0
        for done in self._waiting:
            _wake(done)


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
