"""What is declared is there from the start, and nothing else ever appears."""

import pytest
from asgi_calls import counted, families, growth, series

from instrument import Metrics
from instrument.http import Http, scraped
from instrument.http.paths import Paths

OPERATIONS = [("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/tasks/{task_id}")]
STATUSES = ("200", "404", "500", "other")


def test_declared_pairs_start_at_zero_for_all_statuses() -> None:
    metrics = Metrics("shop_")
    Http(metrics, operations=OPERATIONS, statuses=STATUSES, route="route")
    pairs = [*OPERATIONS, ("GET", "unmatched"), ("POST", "unmatched"), ("other", "unmatched")]
    assert series(metrics, "shop_http_requests_total") == {
        (method, route, status) for method, route in pairs for status in STATUSES
    }
    assert series(metrics, "shop_http_request_duration_seconds_count") == set(pairs)
    assert counted(metrics, "shop_http_requests_total") == {}


@pytest.mark.parametrize(
    ("method", "label", "status", "counts"),
    [
        ("GET", "/tasks", 200, ("/tasks", "GET", "200")),
        ("GET", "/tasks", 299, ("/tasks", "GET", "other")),
        ("DELETE", "/tasks", 404, ("unmatched", "other", "404")),
        ("POST", "/tasks/{task_id}", 404, ("unmatched", "POST", "404")),
        ("BREW", "/pot", 418, ("unmatched", "other", "other")),
    ],
)
def test_what_is_not_declared_is_other_or_unmatched(
    method: str, label: str, status: int, counts: tuple[str, ...]
) -> None:
    metrics = Metrics()
    http = Http(metrics, operations=OPERATIONS, statuses=STATUSES)
    before = series(metrics)
    http.recorder(method, label, status)(0.1)
    assert counted(metrics) == {counts: 1}
    assert series(metrics) == before


def test_default_statuses_have_the_client_that_went_away() -> None:
    metrics = Metrics()
    Http(metrics, operations=OPERATIONS).recorder("GET", "/tasks", 499)(0.1)
    assert counted(metrics) == {("/tasks", "GET", "499"): 1}


def test_times_fall_into_the_bucket_that_includes_its_upper_bound() -> None:
    metrics = Metrics()
    record = Http(metrics, operations=[("GET", "/a")], buckets=(0.1, 1)).recorder("GET", "/a", 200)
    for seconds in (0.1, 0.5, 1.0, 7.0):
        record(seconds)
    name, labels = "http_request_duration_seconds", {"method": "GET", "endpoint": "/a"}
    buckets = {bound: _value(metrics, f"{name}_bucket", **labels, le=bound) for bound in ("0.1", "1.0", "+Inf")}
    assert buckets == {"0.1": 1, "1.0": 3, "+Inf": 4}
    assert _value(metrics, f"{name}_count", **labels) == 4
    assert _value(metrics, f"{name}_sum", **labels) == pytest.approx(8.6)


def test_duration_may_have_the_status_or_the_route_alone() -> None:
    metrics = Metrics()
    http = Http(metrics, route="handler", duration_labels=("handler",))
    http.recorder("GET", "/a", 200)(0.1)
    http.recorder("POST", "/a", 500)(0.2)
    assert counted(metrics, "http_request_duration_seconds_count") == {("/a",): 2}
    metrics = Metrics()
    http = Http(metrics, operations=[("GET", "/a")], duration_labels=("method", "endpoint", "status"))
    http.recorder("GET", "/a", 500)(0.2)
    assert counted(metrics, "http_request_duration_seconds_count") == {("/a", "GET", "500"): 1}


@pytest.mark.parametrize("wrong", [{"duration_labels": ("verb",)}, {"buckets": (1, 0.5)}, {"buckets": (1, 1)}])
def test_wrong_declaration_is_refused_at_the_start(wrong: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ValueError, match="http_request_duration_seconds with"):
        Http(Metrics(), **wrong)  # type: ignore[arg-type]


def test_same_name_twice_is_refused() -> None:
    metrics = Metrics()
    Http(metrics)
    with pytest.raises(ValueError, match="Duplicated"):
        Http(metrics, in_flight="others_in_flight")


def test_hundred_thousand_paths_make_no_more_series_than_configured() -> None:
    metrics = Metrics()
    http = Http(metrics, paths=Paths(limit=20))
    for number in range(100_000):
        http.recorder("GET", http.paths.label(f"/page-{number}", None, 200), 200)(0.001)
    assert len(series(metrics)) == 20
    assert sum(counted(metrics).values()) == 100_000


def test_requests_that_nobody_scrapes_take_no_more_memory() -> None:
    record = Http(Metrics(), operations=[("GET", "/a")]).recorder("GET", "/a", 200)
    assert growth(lambda: [record(number / 1e6) for number in range(20_000)]) < 20_000


def test_trace_under_way_is_the_exemplar_of_the_duration() -> None:
    metrics = Metrics()
    http = Http(metrics, operations=[("GET", "/a")], buckets=(0.1, 1))
    record = http.recorder("GET", "/a", 200)
    record(0.5)
    metrics.exemplar = lambda: {"trace_id": "4bf92f3577b34da6"}
    record(0.05)
    http.recorder("GET", "/a", 500)(0.07)
    assert _exemplars(metrics) == {"0.1": ({"trace_id": "4bf92f3577b34da6"}, 0.07)}


@pytest.mark.parametrize("labels", [{"trace_id": "x" * 130}, {"no-name": "1"}, {"trace_id": 7}, {"trace_id": None}, 7])
def test_exemplar_that_is_none_costs_no_request_and_no_scrape(labels: object) -> None:
    metrics = Metrics(exemplar=lambda: labels)  # type: ignore[arg-type,return-value]
    Http(metrics, operations=[("GET", "/a")]).recorder("GET", "/a", 200)(0.5)
    assert counted(metrics) == {("/a", "GET", "200"): 1}
    assert _exemplars(metrics) == {}
    assert counted(metrics, "instrument_faults_total") == {("trace",): 1}


def test_collector_that_throws_is_an_answer_and_a_fault() -> None:
    class Closed:
        def collect(self) -> list[object]:
            raise OSError("store closed")

    metrics = Metrics()
    assert scraped(metrics, "")[0] == 200
    metrics.register(Closed())
    assert scraped(metrics, "")[:2] == (503, b"")


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    assert metrics.registry
    return metrics.registry.get_sample_value(name, labels)


def _exemplars(metrics: Metrics) -> dict[str, tuple[dict[str, str], float]]:
    return {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for family in families(metrics)
        for sample in family.samples
        if sample.exemplar
    }
