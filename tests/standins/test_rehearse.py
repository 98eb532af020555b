"""A rehearsal is of what may be thrown away."""

import pytest

from standins import rehearse


def test_production_is_not_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse.start("prod") == 1
    assert "prod is durable" in capsys.readouterr().err
