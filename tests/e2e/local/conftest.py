"""One environment on the local target that is up, for all that is asked of it here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import seen

from e2e.environments import Environment

# Durations that a test can wait for; the shipped ones are proven by the promtool tests.
WAITS = {
    "boss-workflow/HighErrorRate": "4s",
    "boss-workflow/SlowAPIResponses": "4s",
    "logs/LogErrorsHigh": "4s",
    "logs/LogSourceSilent": "0s",
}
SHORT = {
    address: {"for": wait, "because": "a test has no five minutes", "seen": seen(address)}
    for address, wait in WAITS.items()
}


@pytest.fixture(scope="package")
def one(scratch: Path) -> Iterator[Environment]:
    environment = Environment("one", scratch)
    environment.write(override=SHORT)
    try:
        environment.up()
        yield environment
    finally:
        environment.end()
    # Nor is any state left of the last environment of a clone.
    assert not (scratch / ".watchstack").exists()
