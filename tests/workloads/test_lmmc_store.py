"""Tasks are moved as allowed, measured, and bounded in number."""

import random

import pytest

from workloads.lmmc.store import BACKLOG, StoreError, Task, TaskStore, TransitionError, percentiles

DAY = 24 * 3600.0
NOW = 1_000_000_000.0


def _store(*, fails: bool = False) -> TaskStore:
    return TaskStore(random.Random(1), lambda: fails, lambda: NOW)


def _task(store: TaskStore, status: str = "pending", repository: str = "web", created: float | None = None) -> Task:
    return store.create("Review the budget", repository, "high", status, created)


def test_completion_tells_the_seconds_since_creation() -> None:
    store = _store()
    task = _task(store, "in_progress", created=NOW - 90)
    assert store.move(task, "completed") == 90
    assert store.move(_task(store), "in_progress") is None


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("pending", "completed"), ("in_progress", "pending"), ("in_progress", "in_progress")],
)
def test_status_that_cannot_follow_is_refused(was: str, becomes: str) -> None:
    store = _store()
    task = _task(store, was)
    with pytest.raises(TransitionError, match=f"is {was}; '{becomes}' cannot follow, accepted: "):
        store.move(task, becomes)
    assert task.status == was


def test_final_status_says_so() -> None:
    store = _store()
    task = _task(store)
    store.move(task, "cancelled")
    with pytest.raises(TransitionError, match="nothing: it is final"):
        store.move(task, "in_progress")


def test_statistics_count_active_tasks_only_and_unlisted_repositories_as_other() -> None:
    store = _store()
    before = store.statistics().active
    _task(store, "in_progress", "somebody's own")
    store.move(_task(store, "in_progress", "cli"), "completed")
    after = store.statistics().active
    changed = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    assert changed == {("other", "in_progress"): 1}


def test_ages_are_days_between_the_backlog_and_now() -> None:
    store = _store()
    store.prune(0)
    for days in range(1, 101):
        _task(store, created=NOW - days * DAY)
    assert store.statistics().ages == {"50": 50, "95": 95, "99": 99}


@pytest.mark.parametrize(
    ("values", "expected"), [([], (0, 0, 0)), ([7.0], (7, 7, 7)), ([1.0, 2.0, 3.0, 4.0], (2, 4, 4))]
)
def test_percentiles_are_values_that_occur(values: list[float], expected: tuple[float, ...]) -> None:
    assert tuple(percentiles(values).values()) == expected


def test_prune_drops_finished_tasks_first_then_the_oldest() -> None:
    store = _store()
    finished = _task(store, "in_progress")
    store.move(finished, "completed")
    newest = _task(store)
    assert store.prune(BACKLOG + 1) == [finished.number]
    assert store.prune(BACKLOG) == [1]
    assert store.get(newest.task_id) is newest
    assert store.prune(BACKLOG) == []


@pytest.mark.parametrize("task_id", ["TASK-0", "TASK-01", "TASK-999999999", "1", "TASK-1 ", "TASK-" + 30 * "9"])
def test_unknown_task_is_none(task_id: str) -> None:
    assert _store().get(task_id) is None


def test_store_that_does_not_answer_raises() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        _store(fails=True).statistics()


def test_same_seed_same_backlog() -> None:
    assert _store().statistics() == _store().statistics()
