"""Durations and sizes mean what Prometheus takes them for."""

import pytest

from stacks import units
from stacks.services.prometheus import sample_bytes


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


def test_samples_leave_a_fifth_of_the_volume_to_the_write_ahead_log() -> None:
    assert sample_bytes("10GB") == "8GB"
    assert units.size_bytes(sample_bytes("1GB")) <= 0.8 * units.size_bytes("1GB")
