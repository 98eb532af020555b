"""What scrape jobs bring: families become series, and take the labels of their target."""

import pytest

from catalogue import exposed
from stacks.service import ScrapeJob, ScrapeTarget

TARGETS = (
    ScrapeTarget(address="127.0.0.1:1", instance="a:1", labels={"pod": "a"}),
    ScrapeTarget(address="127.0.0.1:2", instance="b:1", labels={"pod": "b", "zone": "north"}),
)
OWN = {"job": frozenset({"shop"}), "system": frozenset({"mall"}), "instance": frozenset({"a:1", "b:1"})}


def _job(*, honor_labels: bool = False, program: str | None = None) -> ScrapeJob:
    return ScrapeJob(job="shop", system="mall", targets=TARGETS, honor_labels=honor_labels, program=program)


def test_a_histogram_and_a_summary_are_several_series() -> None:
    series = exposed.of_catalogue("prometheus")
    assert series["prometheus_http_request_duration_seconds_bucket"].keys() == {"handler", "le"}
    assert series["prometheus_http_request_duration_seconds_count"].keys() == {"handler"}
    assert series["prometheus_engine_query_duration_seconds"].keys() == {"slice", "quantile"}
    assert "prometheus_http_request_duration_seconds" not in series


def test_every_job_brings_what_prometheus_adds_to_a_scrape() -> None:
    assert exposed.by_job([_job()], [])["shop"].keys() == {*exposed.OF_A_SCRAPE}
    assert "node_uname_info" in exposed.names([_job(program="node_exporter")], [])


def test_the_labels_of_the_target_win() -> None:
    stored = exposed.stored(_job(), {"pod": None, "kind": None})
    assert stored == {
        **OWN,
        "pod": frozenset({"a", "b"}),
        "zone": frozenset({"north"}),
        "exported_pod": None,
        "kind": None,
    }


def test_where_labels_are_honoured_a_series_may_have_its_own_or_that_of_the_target() -> None:
    stored = exposed.stored(_job(honor_labels=True), {"pod": frozenset({"c"}), "job": None})
    assert stored == {**OWN, "pod": frozenset({"a", "b", "c"}), "zone": frozenset({"north"}), "job": None}


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1.0"), (0.5, "0.5"), (0.00001, "1e-05"), (15360, "15360.0"), (1_000_000, "1e+06")]
)
def test_an_edge_is_written_as_prometheus_keeps_it(value: float, text: str) -> None:
    assert exposed.number(value) == text
