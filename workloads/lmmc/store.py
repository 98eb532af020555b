"""The tasks that LMMC remembers."""

import itertools
import math
import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from instrument.logs import timestamp
from instrument.metrics import OTHER
from workloads.lmmc.metrics import ACTIVE, PERCENTILES, PRIORITIES, REPOSITORIES

KEPT = 2000
PAGE = 50
DAY = 24 * 3600.0
# What the store holds at the start: work of the last two months that nobody has taken up.
BACKLOG = 60
OLDEST = 60 * DAY

# Which status may follow which; what is missing is final.
FOLLOWS = {"pending": ("in_progress", "cancelled"), "in_progress": ("completed", "cancelled")}

_ID = re.compile(r"TASK-([1-9][0-9]{0,17})")


class StoreError(Exception):
    """The store does not answer."""


class TransitionError(Exception):
    """A status that cannot follow the present one."""


@dataclass
class Task:
    """`created` and `updated` are Unix times; `notes` holds the last answer of each AI operation."""

    number: int
    content: str
    repository: str
    priority: str
    status: str
    created: float
    updated: float
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def task_id(self) -> str:
        return f"TASK-{self.number}"

    def told(self) -> dict[str, Any]:
        """The task as JSON."""
        times = {"created_at": timestamp(self.created), "updated_at": timestamp(self.updated)}
        shown = ("content", "repository", "priority", "status", "notes")
        return {"task_id": self.task_id, **{name: getattr(self, name) for name in shown}, **times}


@dataclass(frozen=True)
class Statistics:
    """Active tasks by (repository, status) and their age in days by percentile."""

    active: dict[tuple[str, ...], float]
    ages: dict[str, float]


class TaskStore:
    """Tasks in memory. `fails` is asked at each read of the statistics whether this one fails."""

    def __init__(self, rng: random.Random, fails: Callable[[], bool], clock: Callable[[], float] = time.time) -> None:
        self._fails = fails
        self._clock = clock
        self._tasks: dict[int, Task] = {}
        self._numbers = itertools.count(1)
        for _ in range(BACKLOG):
            age = rng.uniform(DAY, OLDEST)
            self.create("Left for later", rng.choice(REPOSITORIES), rng.choice(PRIORITIES), "pending", clock() - age)

    def create(self, content: str, repository: str, priority: str, status: str, created: float | None = None) -> Task:
        """Add a task; `created` when it is older than its entry here."""
        now = self._clock()
        task = Task(
            next(self._numbers), content, repository, priority, status, now if created is None else created, now
        )
        self._tasks[task.number] = task
        return task

    def get(self, task_id: str) -> Task | None:
        """A task by its id, such as TASK-123."""
        matched = _ID.fullmatch(task_id)
        return self._tasks.get(int(matched[1])) if matched else None

    def newest(self, repository: str | None = None, status: str | None = None) -> list[Task]:
        """The newest tasks, at most `PAGE`."""
        wanted = (
            task
            for task in reversed(self._tasks.values())
            if repository in (None, task.repository) and status in (None, task.status)
        )
        return list(itertools.islice(wanted, PAGE))

    def containing(self, text: str, limit: int) -> list[Task]:
        """The newest tasks that have a word of the text."""
        words = set(text.lower().split())
        found = (task for task in reversed(self._tasks.values()) if words & set(task.content.lower().split()))
        return list(itertools.islice(found, limit))

    def move(self, task: Task, status: str) -> float | None:
        """Change the status; the seconds since creation when that completes it. TransitionError if it cannot follow."""
        accepted = FOLLOWS.get(task.status, ())
        if status not in accepted:
            known = ", ".join(accepted) or "nothing: it is final"
            raise TransitionError(f"{task.task_id} is {task.status}; {status!r} cannot follow, accepted: {known}")
        task.status = status
        task.updated = self._clock()
        return max(0.0, task.updated - task.created) if status == "completed" else None

    def prune(self, kept: int = KEPT) -> list[int]:
        """Drop the oldest tasks beyond `kept`, finished ones first; their numbers."""
        surplus = len(self._tasks) - kept
        oldest = sorted(self._tasks.values(), key=lambda task: (task.status in ACTIVE, task.number))
        dropped = [task.number for task in oldest[: max(0, surplus)]]
        for number in dropped:
            del self._tasks[number]
        return dropped

    def ping(self) -> None:
        """StoreError when the store does not answer."""
        if self._fails():
            raise StoreError("the task store does not answer (injected by the fault store_errors)")

    def statistics(self) -> Statistics:
        """Count and measure the active tasks; StoreError. Called from other threads than the event loop's."""
        self.ping()
        now = self._clock()
        active: dict[tuple[str, ...], float] = {
            (repository, status): 0.0 for repository in REPOSITORIES for status in ACTIVE
        }
        ages = []
        for task in list(self._tasks.values()):
            if task.status in ACTIVE:
                repository = task.repository if task.repository in REPOSITORIES else OTHER
                active[repository, task.status] += 1
                ages.append(max(0.0, now - task.created) / DAY)
        return Statistics(active, percentiles(ages))


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """The nearest-rank percentiles that the metric has; all 0 without values."""
    ordered = sorted(values) or [0.0]
    return {each: ordered[math.ceil(int(each) / 100 * len(ordered)) - 1] for each in PERCENTILES}
