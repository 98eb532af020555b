"""Numbers as a person who knows Grafana expects them."""

import pytest

from pictures import units


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "s", "0 s"),
        (0.0000012, "s", "1.20 µs"),
        (0.25, "s", "250 ms"),
        (1.5, "s", "1.50 s"),
        (59.94, "s", "59.9 s"),
        (60, "s", "1 min"),
        (90, "s", "1.50 mins"),
        (7200, "s", "2 hours"),
        (200_000, "s", "2.31 days"),
        (30, "d", "4.29 weeks"),
        (1500, "ms", "1.50 s"),
        (-0.3, "s", "-300 ms"),
        (0.9341, "percentunit", "93.4%"),
        (0.07, "percentunit", "7%"),
        (42, "percent", "42%"),
        (0, "bytes", "0 B"),
        (1536, "bytes", "1.50 KiB"),
        (5 * 2**30, "bytes", "5 GiB"),
        (3, "mbytes", "3 MiB"),
        (1_000_000, "decbytes", "1 MB"),
        (6360, "Bps", "6.36 kB/s"),
        (0.913, "reqps", "0.913 req/s"),
        (12_345, "reqps", "12.3K req/s"),
        (2.5, "ops", "2.50 ops/s"),
        (0, "short", "0"),
        (0.5, "short", "0.500"),
        (1234, "short", "1.23 K"),
        (2_500_000, "short", "2.50 Mil"),
        (5812, "suffix:tasks/h", "5812 tasks/h"),
        (3, "unheard-of", "3 unheard-of"),
        (1234, "none", "1234"),
        (1, "bool_yes_no", "Yes"),
        (0, "bool", "False"),
        (float("inf"), "s", "+Inf"),
    ],
)
def test_a_value_is_written_with_its_unit(value: float, unit: str, expected: str) -> None:
    assert units.text(value, unit) == expected


def test_decimals_that_a_panel_asks_for_are_kept() -> None:
    assert units.text(0.5, "percentunit", 2) == "50.00%"


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (0, 0.025, "s", ["0 s", "5 ms", "10 ms", "15 ms", "20 ms", "25 ms"]),
        (0, 420, "s", ["0 s", "2 mins", "4 mins", "6 mins"]),
        (0, 1.05, "percentunit", ["0%", "50%", "100%"]),
        (0, 3e8, "bytes", ["0 B", "64 MiB", "128 MiB", "192 MiB", "256 MiB"]),
        (0, 1, "short", ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1500, 1500, "Bps", ["-1 kB/s", "0 B/s", "1 kB/s"]),
        (0, 1, "bool", ["False", "True"]),
    ],
)
def test_an_axis_has_round_values(low: float, high: float, unit: str, expected: list[str]) -> None:
    assert [text for _, text in units.ticks(low, high, unit, 3 if unit == "percentunit" else 5)] == expected
