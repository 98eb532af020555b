"""Ask something that may throw, block or never answer, and always come back in time."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

Probe = Callable[[], Awaitable[object] | object]

# A message of a person's length; some libraries throw whole documents.
LONGEST = 300


class Asked:
    """A probe that is asked again and again. A call that hangs in its thread is waited for, not made once more."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._running: Future[Any] | None = None
        self._lock = threading.Lock()

    async def outcome(self, timeout: float) -> str:
        """What went wrong, or nothing. Never raises."""
        task = asyncio.ensure_future(self._ask())
        try:
            await asyncio.wait([task], timeout=timeout)
        finally:
            # Not waited for: code that will not be cancelled must not hold up the answer.
            ended = task.done() or not task.cancel()
        if not ended:
            return f"no answer in {timeout:g} s"
        if task.cancelled():
            return "cancelled"
        problem = task.exception()
        return (str(problem) or type(problem).__name__)[:LONGEST] if problem else ""

    async def _ask(self) -> None:
        if inspect.iscoroutinefunction(self._probe):
            await self._probe()
            return
        given = await asyncio.wrap_future(self._call())
        if inspect.isawaitable(given):
            await given

    def _call(self) -> Future[Any]:
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                # From now on no waiter that gives up can cancel it.
                self._running.set_running_or_notify_cancel()
                # A daemon: the threads of the loop's executor would be waited for when the program ends.
                run = contextvars.copy_context().run
                threading.Thread(target=run, args=(self._run, self._running), name="probe", daemon=True).start()
            return self._running

    def _run(self, answer: Future[Any]) -> None:
        try:
            answer.set_result(self._probe())
        except SystemExit as problem:
            answer.set_exception(RuntimeError(str(problem)))
        except Exception as problem:  # noqa: BLE001 - whatever the probe throws is its answer
            answer.set_exception(problem)


def in_loop() -> bool:
    """Whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
