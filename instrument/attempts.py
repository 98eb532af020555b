"""Things that an application tries: counted by outcome, and timed."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from instrument.metrics import FAST, Labels, Metrics

OUTCOMES = ("success", "failure")

F = TypeVar("F", bound=Callable[..., Any])


class Operations:
    """Things that are tried: counted by outcome, and timed.

    `labels` are those of both metrics; the counter also has `status`, unless `outcomes` is empty. `duration` may be
    left out.
    """

    def __init__(
        self,
        metrics: Metrics,
        total: str,
        duration: str | None = None,
        *,
        labels: Labels,
        meaning: str,
        buckets: Sequence[float] = FAST,
        outcomes: Sequence[str] = OUTCOMES,
    ) -> None:
        self._outcomes = outcomes
        more = {"status": outcomes} if outcomes else {}
        self._total = metrics.counter(total, f"{meaning}.", **labels, **more)
        self._duration = metrics.histogram(duration, f"{meaning}: time.", buckets, **labels) if duration else None

    @contextmanager
    def attempt(self, **labels: object) -> Iterator[None]:
        """Count and time what happens in the block; an exception makes it a failure, and passes."""
        started = time.perf_counter()
        outcome = -1
        try:
            yield
            outcome = 0
        finally:
            self.count(succeeded=outcome == 0, **labels)
            if self._duration:
                self._duration.observe(time.perf_counter() - started, **labels)

    def count(self, *, succeeded: bool = True, **labels: object) -> None:
        """Count one that has happened, without its time."""
        if self._outcomes:
            labels["status"] = self._outcomes[0 if succeeded else 1]
        self._total.inc(**labels)

    def tracks(self, **labels: object) -> Callable[[F], F]:
        """Decorator: every call of the function, plain or async, is an attempt."""

        def decorate(function: F) -> F:
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def awaited(*args: Any, **kwargs: Any) -> Any:
                    with self.attempt(**labels):
                        return await function(*args, **kwargs)

                return cast("F", awaited)

            @functools.wraps(function)
            def called(*args: Any, **kwargs: Any) -> Any:
                with self.attempt(**labels):
                    return function(*args, **kwargs)

            return cast("F", called)

        return decorate
