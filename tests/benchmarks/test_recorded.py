import promql_parser

import dashboards
import rules
from benchmarks.recorded import exposition, inlined
from dashboards import boss_workflow

RECORDS = {record.name: record.expr for file in rules.pack("boss-workflow", "v1", {}).files for record in file.records}


def test_what_is_recorded_takes_the_place_of_its_name() -> None:
    records = {"shop:orders:rate5m": "sum(rate(orders_total[5m]))", "orders": "x"}
    assert (
        inlined("max(shop:orders:rate5m) / orders_total", records)
        == "max((sum(rate(orders_total[5m])))) / orders_total"
    )


def test_no_query_of_the_dashboard_reads_a_recorded_series_any_more() -> None:
    queries = [query.expr for query in dashboards.queries(boss_workflow.board()) if query.datasource == "prometheus"]
    raw = [inlined(expr, RECORDS) for expr in queries]
    assert sum(one != another for one, another in zip(queries, raw, strict=True)) == 5
    assert not any("boss:" in expr for expr in raw)
    for expr in raw:
        promql_parser.parse(dashboards.runnable(expr, 15, 1800))


def test_replicas_expose_growing_samples_in_the_order_of_time() -> None:
    lines = ['seconds_bucket{le="0.1"} 0.0', 'seconds_bucket{le="+Inf"} 0.0', "in_flight 0.0"]
    target = 'job="boss-workflow",instance="replica-'
    assert "".join(exposition(lines, 2, [60, 120])).splitlines() == [
        f'seconds_bucket{{{target}0",le="0.1"}} 0 60',
        f'seconds_bucket{{{target}0",le="+Inf"}} 0 60',
        f'in_flight{{{target}0"}} 0 60',
        f'seconds_bucket{{{target}1",le="0.1"}} 0 60',
        f'seconds_bucket{{{target}1",le="+Inf"}} 0 60',
        f'in_flight{{{target}1"}} 0 60',
        f'seconds_bucket{{{target}0",le="0.1"}} 1 120',
        f'seconds_bucket{{{target}0",le="+Inf"}} 2 120',
        f'in_flight{{{target}0"}} 3 120',
        f'seconds_bucket{{{target}1",le="0.1"}} 4 120',
        f'seconds_bucket{{{target}1",le="+Inf"}} 5 120',
        f'in_flight{{{target}1"}} 6 120',
        "# EOF",
    ]
