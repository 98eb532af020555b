"""Pictures of a running environment, taken by a real Chromium."""

import re
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from e2e.environments import Environment, eventually
from pictures import data, shot

pytestmark = pytest.mark.e2e


def _size(picture: Path) -> tuple[int, int]:
    """Width and height in the head of a PNG."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _document(page: Path) -> str:
    """The page after its script has run."""
    chromium = shot.browser()
    assert chromium, "a picture needs Debian's chromium"
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *shot.FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_every_dashboard_is_drawn_as_page_and_picture(one: Environment, tmp_path: Path) -> None:
    for attempt in eventually(60):
        with attempt:
            answer = one.watchstack("picture", "--out", str(tmp_path), check=False)
            assert [made["errors"] for made in answer["pictures"] if made["errors"]] == []
            assert sum(made["found"] for made in answer["pictures"]) > 100
    assert answer["lacking"] == ""
    deployed = {path.name for path in (one.clone / "dashboards").glob("*.py")}
    assert {f"{made['dashboard'].replace('-', '_')}.py" for made in answer["pictures"]} <= deployed
    for made in answer["pictures"]:
        width, height = _size(Path(made["png"]))
        assert width == data.PIXELS
        assert height > 500
        # An empty page is some kilobytes.
        assert Path(made["png"]).stat().st_size > 20_000


def test_the_script_draws_every_figure(one: Environment, tmp_path: Path) -> None:
    one.watchstack("picture", "boss-workflow", "--html-only", "--out", str(tmp_path), check=False)
    document = _document(tmp_path / "boss-workflow.html")
    boxes = re.findall(r'<div class="chart[^"]*" id="(chart-[\d-]+)"', document)
    assert len(boxes) > 10
    assert document.count('class="plot-container plotly"') == len(boxes)
    assert document.count('class="main-svg"') >= 2 * len(boxes)
