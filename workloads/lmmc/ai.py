"""The AI calls of LMMC, simulated: they run beside the requests that ask for them."""

import asyncio
import logging
import random
from collections.abc import Callable

from instrument.families import Ai
from instrument.tracing import Tracing
from workloads.faults import Faults
from workloads.lmmc.metrics import MODELS
from workloads.pause import Pause

# An answer takes this long at most, in seconds, without a fault.
LONGEST = 8.0
# Calls under way; above, no new one is taken.
IN_FLIGHT = 200
FAILING = 0.01

LARGE, SMALL = MODELS
_FIRST = {"decompose": LARGE, "suggest": SMALL, "summarize": SMALL}

_LOG = logging.getLogger("lmmc.ai")


class AiError(Exception):
    """The model gives no answer."""


class AiService:
    """Language models: slow, and failing now and then."""

    def __init__(self, metrics: Ai, faults: Faults, pause: Pause, rng: random.Random, tracing: Tracing) -> None:
        self._metrics = metrics
        self._faults = faults
        self._pause = pause
        self._rng = rng
        self._tracing = tracing
        self._calls: set[asyncio.Task[None]] = set()

    def start(self, operation: str, text: str, answered: Callable[[str], None]) -> bool:
        """Ask in the background, and give the answer to `answered`; False when too many calls are under way."""
        if len(self._calls) >= IN_FLIGHT:
            return False
        call = asyncio.create_task(self._run(operation, text, answered))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return True

    async def ping(self) -> None:
        """Ask for next to nothing."""
        await self._pause(self._rng.uniform(0.02, 0.08) + self._faults.value("ai_latency"))

    async def settle(self) -> None:
        """Wait for the calls under way."""
        await asyncio.gather(*self._calls)

    async def _run(self, operation: str, text: str, answered: Callable[[str], None]) -> None:
        first = _FIRST[operation]
        # The other model stands in for one that fails.
        for model in (first, SMALL if first == LARGE else LARGE):
            try:
                answered(await self._ask(model, operation, text))
            except AiError as problem:
                _LOG.error("AI call failed", extra={"model": model, "operation": operation, "error": str(problem)})
            else:
                return

    async def _ask(self, model: str, operation: str, text: str) -> str:
        with (
            self._tracing.span(f"ai {operation}", kind="client", model=model),
            self._metrics.attempt(model=model, operation=operation),
        ):
            await self._pause(min(LONGEST, self._rng.lognormvariate(0.3, 0.5)) + self._faults.value("ai_latency"))
            if self._rng.random() < FAILING:
                raise AiError("the model is overloaded")
        words = len(text.split())
        self._metrics.used(model, prompt=200 + 2 * words, completion=self._rng.randint(50, 400))
        return f"{operation} of {words} words by the {model} model"
