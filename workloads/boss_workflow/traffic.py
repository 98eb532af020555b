"""What users of the Boss Workflow application do, for the load generator."""

import random
from collections import deque
from dataclasses import dataclass

import httpx

from workloads.boss_workflow.metrics import AI_OPERATIONS, PRIORITIES, TASK_STATUSES
from workloads.load import Call

BACKLOG = 60
# At least so many clients, and as many more as keep each at about one request a second.
CLIENTS = 10
# One client asks this often a second and is near its limit, sometimes above; the others stay far below.
BUSY_PER_SECOND = 6.0

_ACTIONS = {
    "write": 36,
    "read": 36,
    "list": 10,
    "audit": 6,
    "ai": 6,
    "health": 4,
    "missing": 1,
    "unmatched": 1,
}
_ASSIGNEES = ("ana", "bo", "chen", "dara")
_WORK = (
    "Review the budget",
    "Call the supplier",
    "Write the release notes",
    "Plan the sprint",
    "Fix the login",
)


@dataclass(frozen=True)
class _Open:
    task_id: str
    status: str


class BossTraffic:
    """Makes up calls: a seeded mix in which tasks are created, read, moved on and completed."""

    def __init__(self, per_second: float) -> None:
        self._busy = min(1.0, BUSY_PER_SECOND / per_second) if per_second else 0.0
        self._clients = max(CLIENTS, round(per_second))
        self._open: deque[_Open] = deque(maxlen=10 * BACKLOG)
        self._recent: deque[str] = deque(maxlen=100)

    def __call__(self, rng: random.Random) -> Call:
        (action,) = rng.choices(tuple(_ACTIONS), tuple(_ACTIONS.values()))
        task_id = rng.choice(self._recent) if self._recent else "TASK-1"
        if action == "write":
            return self._write(rng)
        if action == "ai":
            path = f"/api/ai/{rng.choice(AI_OPERATIONS)}"
            return Call("POST", path, {"text": rng.choice(_WORK)}, self._client(rng))
        paths = {
            "read": f"/api/db/tasks/{task_id}",
            "list": f"/api/db/tasks?status={rng.choice(TASK_STATUSES)}",
            "audit": f"/api/db/audit/{task_id}",
            "health": rng.choice(("/health", "/health/db")),
            "missing": "/api/db/tasks/TASK-999999999",
            "unmatched": f"/old/{rng.randrange(1000)}",
        }
        return Call("GET", paths[action], headers=self._client(rng))

    def _write(self, rng: random.Random) -> Call:
        """Mostly moves the oldest open task on; creates when few are open."""
        if len(self._open) < BACKLOG or rng.random() < 0.25:
            task = {
                "title": rng.choice(_WORK),
                "assignee": rng.choice(_ASSIGNEES),
                "priority": rng.choices(PRIORITIES, (3, 5, 2, 1))[0],
            }
            return Call("POST", "/api/db/tasks", task, self._client(rng), self._created)
        task_now = self._open.popleft()
        status = _next(rng, task_now.status)

        def moved(response: httpx.Response) -> None:
            self._keep(_Open(task_now.task_id, status) if response.is_success else task_now)

        path = f"/api/db/tasks/{task_now.task_id}"
        return Call("PATCH", path, {"status": status}, self._client(rng), moved)

    def _created(self, response: httpx.Response) -> None:
        if response.is_success:
            task_id = response.json()["task_id"]
            self._recent.append(task_id)
            self._keep(_Open(task_id, "pending"))

    def _keep(self, task: _Open) -> None:
        if task.status not in ("completed", "cancelled"):
            self._open.append(task)

    def _client(self, rng: random.Random) -> dict[str, str]:
        busy = rng.random() < self._busy
        return {"X-Client-Id": "importer" if busy else f"client-{rng.randrange(self._clients)}"}


def _next(rng: random.Random, status: str) -> str:
    if rng.random() < 0.05:
        return "cancelled"
    if status == "pending":
        return "in_progress"
    if status == "in_progress":
        return "in_review" if rng.random() < 0.4 else "completed"
    return "completed"
