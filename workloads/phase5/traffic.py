"""What users of Phase 5 do, for the load generator."""

import random
from collections import deque

import httpx

from workloads.load import Call
from workloads.phase5.metrics import TASKS

BACKLOG = 60
_ACTIONS = {"write": 40, "read": 36, "list": 14, "audit": 8, "missing": 1, "unmatched": 1}
_USERS = ("ana", "bo", "chen", "dara", "emil")
_WORK = ("Review the budget", "Call the supplier", "Write the release notes", "Plan the sprint", "Fix the login")


class Traffic:
    """Makes up calls: a seeded mix in which tasks are created, read, changed, completed and deleted."""

    def __init__(self) -> None:
        self._open: deque[str] = deque(maxlen=10 * BACKLOG)

    def __call__(self, rng: random.Random) -> Call:
        (action,) = rng.choices(tuple(_ACTIONS), tuple(_ACTIONS.values()))
        if action == "write":
            return self._write(rng)
        task_id = rng.choice(self._open) if self._open else "task-1"
        paths = {
            "read": f"{TASKS}/{task_id}",
            "list": TASKS,
            "audit": f"{TASKS}/{task_id}/audit",
            "missing": f"{TASKS}/task-999999999",
            "unmatched": f"/old/{rng.randrange(1000)}",
        }
        return Call("GET", paths[action], headers=_user(rng))

    def _write(self, rng: random.Random) -> Call:
        """Creates while few tasks are open; after that it mostly changes one of them, or ends the oldest."""
        if len(self._open) < BACKLOG or rng.random() < 0.3:
            return Call("POST", TASKS, {"title": rng.choice(_WORK)}, _user(rng), self._created)
        if rng.random() < 0.5:
            path = f"{TASKS}/{rng.choice(self._open)}"
            return Call("PATCH", path, {"title": rng.choice(_WORK)}, _user(rng))
        path = f"{TASKS}/{self._open.popleft()}"
        if rng.random() < 0.2:
            return Call("DELETE", path, headers=_user(rng))
        return Call("POST", f"{path}/complete", headers=_user(rng))

    def _created(self, response: httpx.Response) -> None:
        if response.is_success:
            self._open.append(response.json()["taskId"])


def _user(rng: random.Random) -> dict[str, str]:
    return {"X-User-Id": rng.choice(_USERS)}
