"""Declared metrics: wrong calls are counted and never raised, and the exposition is what Prometheus reads."""

import logging
import math

import pytest
from asgi_calls import OPEN_METRICS, counted, families, series

from instrument import Counter, Gauge, Histogram, Metrics

FAULTS = "instrument_faults_total"


def test_declared_values_start_at_zero() -> None:
    metrics = Metrics("shop_")
    metrics.counter("orders_total", "Orders.", channel=("web", "phone"), paid=("yes", "no"))
    assert series(metrics, "shop_orders_total") == {
        ("web", "yes"), ("web", "no"), ("phone", "yes"), ("phone", "no"),
    }  # fmt: skip
    assert counted(metrics, "shop_orders_total") == {}


def test_start_limits_what_is_there_from_the_start() -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders.", [("web", "yes")], channel=("web", "phone"), paid=("yes", "no"))
    assert series(metrics, "orders_total") == {("web", "yes")}


def test_undeclared_value_is_other_where_that_is_declared() -> None:
    metrics = Metrics()
    orders = metrics.counter("orders_total", "Orders.", channel=("web", "other"))
    orders.inc(channel="carrier pigeon")
    assert counted(metrics, "orders_total") == {("other",): 1}
    assert counted(metrics, FAULTS) == {}


@pytest.mark.parametrize(
    "labels", [{}, {"chanel": "web"}, {"channel": "fax"}, {"channel": "web", "more": "x"}, {"channel": None}]
)
def test_wrong_labels_are_a_fault_and_no_exception(labels: dict[str, object]) -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders.", channel=("web",)).inc(**labels)
    metrics.gauge("stock", "Stock.", channel=("web",)).set(1, **labels)
    metrics.histogram("price", "Price.", channel=("web",)).observe(1, **labels)
    assert counted(metrics, "orders_total") == counted(metrics, "stock") == counted(metrics, "price_count") == {}
    assert counted(metrics, FAULTS) == {("labels",): 3}


@pytest.mark.parametrize("value", ["7", None, math.nan, object()])
def test_what_is_no_number_is_a_fault_and_no_exception(value: object) -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders.").inc(value)  # type: ignore[arg-type]
    metrics.gauge("stock", "Stock.").set(value)  # type: ignore[arg-type]
    metrics.gauge("staff", "Staff.").add(value)  # type: ignore[arg-type]
    metrics.histogram("price", "Price.").observe(value)  # type: ignore[arg-type]
    assert counted(metrics, FAULTS) == {("value",): 4}


def test_counter_does_not_go_down() -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders.").inc(-1)
    assert counted(metrics, FAULTS) == {("value",): 1}


def test_fault_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    orders = metrics.counter("orders_total", "Orders.", channel=("web",))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            orders.inc(channel="fax")
    assert [record.getMessage() for record in caplog.records] == ["not instrumented: labels: orders with channel='fax'"]
    assert counted(metrics, FAULTS) == {("labels",): 5}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain; version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        (OPEN_METRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ],
)
def test_exposition_is_in_the_format_asked_for(accept: str, content_type: str) -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders.").inc()
    text, given = metrics.exposition(accept)
    assert given == content_type
    assert text.endswith(b"# EOF\n") == ("openmetrics" in given)
    assert b"\norders_total 1.0\n" in text


def test_exemplar_is_that_of_the_trace_under_way() -> None:
    metrics = Metrics(exemplar=lambda: {"trace_id": "abc"})
    metrics.histogram("price", "Price.", (1, 2)).observe(1.5)
    found = [sample.exemplar for family in families(metrics) for sample in family.samples if sample.exemplar]
    assert [(exemplar.labels, exemplar.value) for exemplar in found] == [({"trace_id": "abc"}, 1.5)]


def test_tracer_that_throws_costs_the_exemplar_alone() -> None:
    def broken() -> dict[str, str]:
        raise RuntimeError("no tracer")

    metrics = Metrics(exemplar=broken)
    metrics.histogram("price", "Price.").observe(1.5)
    assert counted(metrics, "price_count") == {(): 1}
    assert counted(metrics, FAULTS) == {("trace",): 1}


def test_metrics_that_are_off_do_nothing() -> None:
    metrics = Metrics(enabled=False)
    metrics.counter("orders_total", "Orders.", channel=("web",)).inc(7, nonsense="x")
    metrics.gauge("stock", "Stock.").set(1)
    metrics.histogram("price", "Price.").observe(1)
    metrics.read("age", "Age.", lambda: 1 / 0)
    metrics.fault("labels", "nothing")
    assert metrics.exposition(OPEN_METRICS) == (b"", "text/plain; version=0.0.4; charset=utf-8")
    assert metrics.registry is None


def test_two_applications_do_not_share_metrics() -> None:
    one, another = Metrics(), Metrics()
    one.counter("orders_total", "Orders.").inc()
    another.counter("orders_total", "Orders.")
    assert counted(one, "orders_total") == {(): 1}
    assert counted(another, "orders_total") == {}


def test_classes_are_those_that_the_package_names() -> None:
    metrics = Metrics()
    assert isinstance(metrics.counter("a_total", "A."), Counter)
    assert isinstance(metrics.gauge("b", "B."), Gauge)
    assert isinstance(metrics.histogram("c", "C."), Histogram)
