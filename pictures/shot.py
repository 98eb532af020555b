"""A picture of a whole page, by a Chromium without a window."""

import shutil
import subprocess
import tempfile
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
)


class Failed(Exception):
    """Chromium took no picture; the message says why."""


def browser() -> str | None:
    """The Chromium of this machine, if there is one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def take(chromium: str, page: Path, picture: Path, width: int, height: int) -> None:
    """Write the picture of a page, in a window as tall as the page."""
    with tempfile.TemporaryDirectory(prefix="watchstack-") as scratch:
        command = [
            chromium,
            *FLAGS,
            f"--user-data-dir={scratch}/profile",
            f"--screenshot={picture.absolute()}",
            f"--window-size={width},{height}",
            page.absolute().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=scratch)
        except subprocess.TimeoutExpired:
            raise Failed(f"{chromium} took longer than {_SECONDS} s for {page.name}") from None
    if not picture.exists():
        raise Failed(f"{chromium} wrote no picture of {page.name}: {done.stderr.strip()[-300:]}")
