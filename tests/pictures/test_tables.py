"""Tables as Grafana's transformations make them."""

from typing import Any

from dashboards.board import Place
from pictures.data import Series
from pictures.model import Panel
from pictures.tables import table


def _panel(**options: Any) -> Panel:
    return Panel(
        number=1,
        kind="table",
        title="",
        description="",
        place=Place(x=0, y=0, width=12, height=8),
        targets=(),
        links=(),
        fields={},
        options={},
        transformations=({"id": "organize", "options": options},),
    )


def _series(ref: str, value: float, **labels: str) -> Series:
    return Series(ref=ref, name="", labels=labels, times=(0.0,), values=(value,))


def test_one_query_has_a_row_a_series() -> None:
    made = table(_panel(renameByName={"Value": "Up"}), [_series("A", 1, job="a"), _series("A", 0, job="b")])
    assert (made.columns, made.rows) == (("job", "Up"), (("a", 1), ("b", 0)))


def test_columns_are_hidden_and_ordered() -> None:
    organize = {
        "includeByName": {"Value": True, "b": True, "c": True},
        "indexByName": {"Value": 0, "c": 1, "b": 2},
        "excludeByName": {"c": True},
    }
    made = table(_panel(**organize), [_series("A", 1, a="x", b="y", c="z")])
    assert (made.columns, made.rows) == (("Value", "b"), ((1, "y"),))


def test_rows_of_two_queries_with_the_same_labels_are_one() -> None:
    made = table(_panel(), [_series("A", 1, slo="x"), _series("A", 2, slo="y"), _series("B", 3, slo="y")])
    assert made.columns == ("slo", "Value #A", "Value #B")
    assert made.rows == (("x", 1, None), ("y", 2, 3))


def test_a_row_with_more_labels_goes_to_the_one_with_fewer() -> None:
    """And a second such row, which differs in them, stands below it."""
    found = [
        _series("A", 5, phase="red"),
        _series("A", 9, phase="green"),
        _series("B", 246, phase="red", outcome="success"),
        _series("B", 14, phase="red", outcome="failure"),
        _series("B", 249, phase="green", outcome="success"),
    ]
    made = table(_panel(indexByName={"phase": 0, "outcome": 1, "Value #A": 2}), found)
    assert made.rows == (
        ("red", "success", 5, 246),
        ("red", "failure", None, 14),
        ("green", "success", 9, 249),
    )
