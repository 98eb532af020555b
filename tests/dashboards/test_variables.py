"""Queries outside Grafana."""

import pytest

from dashboards import build, names, queries, runnable


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("increase(x[$__range])", "increase(x[3600s])"),
        ("rate(x[$__rate_interval])", "rate(x[75s])"),
        ("rate(x[${__interval}])", "rate(x[60s])"),
        (
            'x{environment=~"$environment",job=~"$job",instance=~"${instance}"}',
            'x{environment=~".*",job=~".*",instance=~".*"}',
        ),
        ('label_replace(x, "a", "$1", "b", "(.*)$")', 'label_replace(x, "a", "$1", "b", "(.*)$")'),
    ],
)
def test_time_variables_become_durations(expr: str, expected: str) -> None:
    assert runnable(expr, step_seconds=60, range_seconds=3600) == expected


def test_the_rate_interval_holds_at_least_four_scrapes() -> None:
    assert runnable("$__rate_interval $__interval", step_seconds=1, range_seconds=60) == "60s 15s"


@pytest.mark.parametrize("variable", ["$pod", "$__range_s", "${__interval_ms}"])
def test_another_variable_is_refused_by_name(variable: str) -> None:
    name = variable.strip("${}")
    with pytest.raises(ValueError, match=rf"\${name} cannot be replaced; use one of \$__interval"):
        runnable(f"rate(x[{variable}])", step_seconds=15, range_seconds=60)


@pytest.mark.parametrize("name", names())
def test_every_query_can_run_without_grafana(name: str) -> None:
    for query in queries(build(name)):
        assert "$__" not in runnable(query.expr, step_seconds=15, range_seconds=3600)
