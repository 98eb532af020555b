"""What the image of the simulated applications is made with."""

from pathlib import Path

from standins import images

ROOT = Path(__file__).parents[2]


def test_the_image_has_what_is_imported_as_it_is_pinned_for_all() -> None:
    own = (ROOT / "workloads" / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    assert own == [f"{name}=={version}" for name, version in pinned.items() if name in images._imported()]
