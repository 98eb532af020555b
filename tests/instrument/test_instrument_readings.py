"""A reading costs nobody the scrape: not when it hangs, throws, or answers nonsense."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from asgi_calls import counted, series

from instrument import Metrics, readings

FAULTS = "instrument_faults_total"


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    return Metrics(keep=0)


def test_number_is_read_at_each_scrape(metrics: Metrics) -> None:
    numbers = iter((3, 4))
    metrics.read("stock", "Stock.", lambda: next(numbers))
    assert counted(metrics, "stock") == {(): 3}
    assert counted(metrics, "stock") == {(): 4}


def test_numbers_by_label_values(metrics: Metrics) -> None:
    metrics.read("stock", "Stock.", lambda: {"tea": 3, "jam": 4}, kind=("tea", "jam"))
    metrics.read("place", "Place.", lambda: {("a", "x"): 5}, aisle=("a", "b"), shelf=("x",))
    assert counted(metrics, "stock") == {("tea",): 3, ("jam",): 4}
    assert counted(metrics, "place") == {("a", "x"): 5}


def test_undeclared_values_are_added_up_as_other(metrics: Metrics) -> None:
    metrics.read("stock", "Stock.", lambda: {"tea": 3, "nails": 4, "glue": 5, "other": 1}, kind=("tea", "other"))
    assert counted(metrics, "stock") == {("tea",): 3, ("other",): 10}


@pytest.mark.parametrize("values", [{"nails": 4.0}, {("tea", "x"): 4.0}, 4.0])
def test_values_with_wrong_labels_are_left_out_and_a_fault(metrics: Metrics, values: readings.Values) -> None:
    metrics.read("stock", "Stock.", lambda: values, kind=("tea",))
    metrics.read("staff", "Staff.", lambda: 2)
    assert series(metrics, "stock") == set()
    assert counted(metrics, "staff") == {(): 2}
    assert counted(metrics, FAULTS)[("reading",)] >= 1


@pytest.mark.parametrize("value", ["many", None, {"tea": 3, "jam": None}, [3]])
def test_what_is_no_number_is_a_failed_reading(metrics: Metrics, value: object) -> None:
    failing = metrics.gauge("stock_error", "1 while stock cannot be read.")
    kinds: dict[str, tuple[str, ...]] = {"kind": ("tea", "jam")} if isinstance(value, dict) else {}
    metrics.read("stock", "Stock.", lambda: value, failing=failing, **kinds)  # type: ignore[arg-type,return-value]
    assert series(metrics, "stock") == set()
    assert counted(metrics, "stock_error") == {(): 1}


def test_reading_that_throws_is_left_out_until_it_works_again(metrics: Metrics) -> None:
    open_store = True

    def read() -> float:
        if not open_store:
            raise OSError("store closed")
        return 3

    metrics.read("stock", "Stock.", read, failing=metrics.gauge("stock_error", "1 while stock cannot be read."))
    assert counted(metrics, "stock") == {(): 3}
    open_store = False
    assert series(metrics, "stock") == set()
    assert counted(metrics, "stock_error") == {(): 1}
    open_store = True
    assert counted(metrics, "stock") == {(): 3}
    assert counted(metrics, "stock_error") == {}


@pytest.fixture(name="hang")
def _hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    monkeypatch.setattr(readings, "TIMEOUT", 0.05)
    released = threading.Event()

    def hang() -> float:
        released.wait(30)
        return 1

    yield hang
    released.set()


def test_reading_that_hangs_costs_the_time_out_and_no_second_thread(
    metrics: Metrics, hang: Callable[[], float]
) -> None:
    metrics.read("stock", "Stock.", hang)
    metrics.read("staff", "Staff.", lambda: 2)
    started = time.monotonic()
    for _ in range(4):
        assert counted(metrics, "staff") == {(): 2}
    assert time.monotonic() - started < 5
    assert series(metrics, "stock") == set()
    assert [thread.name for thread in threading.enumerate()].count("reading-stock") == 1


def test_value_of_before_is_not_given_while_a_reading_hangs(metrics: Metrics, hang: Callable[[], float]) -> None:
    hanging = False

    def read() -> float:
        return hang() if hanging else 3

    metrics.read("stock", "Stock.", read, failing=metrics.gauge("stock_error", "1 while stock cannot be read."))
    assert counted(metrics, "stock") == {(): 3}
    hanging = True
    assert series(metrics, "stock") == set()
    assert counted(metrics, "stock_error") == {(): 1}


def test_what_comes_too_late_for_one_scrape_is_given_to_the_next(metrics: Metrics) -> None:
    release = threading.Event()
    metrics.read("stock", "Stock.", lambda: float(release.wait(30)))
    assert b"stock 1.0" not in metrics.exposition(timeout=0.05)[0]
    release.set()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "reading-stock"]
    thread.join()
    release.clear()
    assert b"stock 1.0" in metrics.exposition(timeout=0.05)[0]
    assert b"stock 1.0" not in metrics.exposition(timeout=0.05)[0]
    release.set()


def test_readings_run_side_by_side(metrics: Metrics) -> None:
    # Each waits for the others: one after the other they would never be done.
    together = threading.Barrier(3)
    for name in ("a", "b", "c"):
        metrics.read(name, "All at once.", lambda: float(together.wait(5) >= 0))
    assert [counted(metrics, name) for name in ("a", "b", "c")] == [{(): 1}] * 3


def test_reading_is_good_for_other_scrapes_for_a_while() -> None:
    calls: list[int] = []
    metrics = Metrics(keep=60)
    metrics.read("stock", "Stock.", lambda: len(calls.append(1) or calls))  # type: ignore[func-returns-value]
    assert counted(metrics, "stock") == counted(metrics, "stock") == {(): 1}


def test_process_without_threads_left_still_answers(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    metrics.read("stock", "Stock.", lambda: 3)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert series(metrics, "stock") == set()
    assert counted(metrics, FAULTS)[("reading",)] >= 1


def test_same_name_twice_is_refused(metrics: Metrics) -> None:
    metrics.read("stock", "Stock.", lambda: 3)
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.gauge("stock", "Stock.")
