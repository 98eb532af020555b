"""Durations and sizes mean what Prometheus takes them for."""

import pytest

from stacks import units


@pytest.mark.parametrize(("text", "expected"), [("15s", 15), ("1h30m", 5400), ("30d", 2592000), ("500ms", 0.5)])
def test_seconds(text: str, expected: float) -> None:
    assert units.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "15", "s", "-3d", "1.5h", "15 s", "3dx"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is a whole number with one of ms, s, m, h, d, w, y"):
        units.seconds(text)


def test_sizes_are_powers_of_1024() -> None:
    assert units.size_bytes("8GB") == 8 * 2**30
    assert units.size_text(8 * 2**30) == "8GB"
    assert units.size_text(819 * 2**20) == "819MB"


@pytest.mark.parametrize(
    ("count", "words"),
    [(500, "500 B"), (2**20, "1.0 MB"), (700 * 2**20, "700 MB"), (15.75 * 2**30, "15.8 GB"), (3.1 * 2**50, "3.1 PB")],
)
def test_a_size_for_people(count: float, words: str) -> None:
    assert units.rounded(count) == words
