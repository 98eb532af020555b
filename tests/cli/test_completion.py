"""The shell completes verbs, options, environments and alerts, however the program was called."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _completed(typed: str) -> list[str]:
    """As bash asks, with the script that `--show-completion` prints."""
    asked = {
        "_WATCHSTACK_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    done = subprocess.run(
        [ROOT / "watchstack"], env={**os.environ, **asked}, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("./watchstack dr", ["drill"]),
        ("./watchstack check --stack", ["--stack-file"]),
        ("./watchstack check -e lo", ["local"]),
        ("./watchstack diff --environment bo", ["boss-workflow"]),
        ("./watchstack fire NodeDiskSp", ["NodeDiskSpaceCritical", "NodeDiskSpaceLow"]),
        ("./watchstack drill HighErrorR", ["HighErrorRate"]),
        ("./watchstack check -e nowhere", []),
    ],
)
def test_what_is_typed_is_completed(typed: str, expected: list[str]) -> None:
    assert set(expected) <= set(_completed(typed))
    assert expected or _completed(typed) == []


def test_bash_takes_the_script() -> None:
    script = 'eval "$("$0" --show-completion bash)"; complete -p watchstack'
    shell = ["bash", "--norc", "-c", script, str(ROOT / "watchstack")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split()[-1] == "watchstack"
