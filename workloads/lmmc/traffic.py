"""What users of LMMC do, for the load generator."""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections import deque
from dataclasses import dataclass

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from instrument.logs import timestamp
from workloads.lmmc.metrics import AI_OPERATIONS, PRIORITIES, REPOSITORIES, STATUSES
from workloads.load import Call
from workloads.serve import Address

BACKLOG = 150
# Seconds: how long a visitor stays on average, and between two of its pings.
STAY = 60.0
PING = 5.0
# A task is entered so long after it began, in the median; some much later.
ENTERED = 40 * 60.0

# With these shares 20 requests a second are 15 operations of Qdrant a second: two for a task that is created, one
# for a task that is moved, a search and a detection.
_ACTIONS = {
    "write": 37,
    "search": 15,
    "patterns": 8,
    "read": 20,
    "list": 11,
    "ai": 6,
    "health": 1,
    "missing": 1,
    "unmatched": 1,
}
_REPOSITORIES = (*REPOSITORIES[:-1], "playground")
_WORK = ("Fix the login", "Write the release notes", "Plan the sprint", "Update the parser", "Review the schema")

_LOG = logging.getLogger("lmmc.traffic")


@dataclass(frozen=True)
class _Open:
    task_id: str
    status: str


class Traffic:
    """Makes up calls: a seeded mix in which tasks are created, found, moved on and completed."""

    def __init__(self) -> None:
        self._open: deque[_Open] = deque(maxlen=10 * BACKLOG)
        self._recent: deque[str] = deque(maxlen=100)

    def __call__(self, rng: random.Random) -> Call:
        (action,) = rng.choices(tuple(_ACTIONS), tuple(_ACTIONS.values()))
        task_id = rng.choice(self._recent) if self._recent else "TASK-1"
        if action == "write":
            return self._write(rng)
        if action in ("search", "patterns", "ai"):
            return _question(rng, action, task_id)
        paths = {
            "read": f"/api/v1/tasks/{task_id}",
            "list": f"/api/v1/tasks?repository={rng.choice(_REPOSITORIES)}&status={rng.choice(STATUSES)}",
            "health": "/health",
            "missing": "/api/v1/tasks/TASK-999999999",
            "unmatched": f"/old/{rng.randrange(1000)}",
        }
        return Call("GET", paths[action])

    def _write(self, rng: random.Random) -> Call:
        """Moves the oldest open task on; creates when few are open."""
        if len(self._open) < BACKLOG:
            return self._create(rng)
        task_now = self._open.popleft()
        status = _next(rng, task_now.status)

        def moved(response: httpx.Response) -> None:
            self._keep(_Open(task_now.task_id, status) if response.is_success else task_now)

        return Call("PATCH", f"/api/v1/tasks/{task_now.task_id}", {"status": status}, answered=moved)

    def _create(self, rng: random.Random) -> Call:
        status = rng.choices(("pending", "in_progress"), (7, 3))[0]
        task = {
            "content": f"{rng.choice(_WORK)} {rng.randrange(50)}",
            "repository": rng.choices(_REPOSITORIES, (5, 2, 4, 1))[0],
            "priority": rng.choices(PRIORITIES, (3, 5, 2, 1))[0],
            "status": status,
            "created_at": timestamp(time.time() - ENTERED * min(300.0, rng.lognormvariate(0, 1.6))),
        }

        def created(response: httpx.Response) -> None:
            if response.is_success:
                task_id = response.json()["task_id"]
                self._recent.append(task_id)
                self._keep(_Open(task_id, status))

        return Call("POST", "/api/v1/tasks", task, answered=created)

    def _keep(self, task: _Open) -> None:
        if task.status not in ("completed", "cancelled"):
            self._open.append(task)


def _question(rng: random.Random, action: str, task_id: str) -> Call:
    if action == "ai":
        return Call("POST", f"/api/v1/ai/{rng.choice(AI_OPERATIONS)}", {"task_id": task_id})
    if action == "search":
        return Call("POST", "/api/v1/search", {"text": rng.choice(_WORK)})
    return Call("POST", "/api/v1/patterns", {"repository": rng.choice(_REPOSITORIES)})


def _next(rng: random.Random, status: str) -> str:
    if rng.random() < 0.1:
        return "cancelled"
    return "in_progress" if status == "pending" else "completed"


async def visit(listen: Address, rng: random.Random) -> None:
    """Keep a WebSocket open until cancelled, with a new one now and then."""
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    while True:
        try:
            async with connect(f"ws://{host}:{listen.port}/ws", proxy=None) as socket:
                await _stay(socket, rng)
        except (OSError, WebSocketException) as problem:
            _LOG.warning("no WebSocket", extra={"error": repr(problem)})
        await asyncio.sleep(1)


async def _stay(socket: ClientConnection, rng: random.Random) -> None:
    """Subscribe, read, and ping now and then, for some time."""
    await socket.send(json.dumps({"type": "subscribe", "repository": rng.choice(_REPOSITORIES)}))
    for _ in range(1 + int(rng.expovariate(PING / STAY))):
        await socket.send(json.dumps({"type": "ping"}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PING):
                async for _message in socket:
                    pass
