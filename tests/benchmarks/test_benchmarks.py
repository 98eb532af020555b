import sys

import pytest

from benchmarks.__main__ import main


def test_a_benchmark_that_there_is_not_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "record"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "no benchmark 'record': did you mean recorded?" in capsys.readouterr().err
