"""Whether installed programs still are what was installed."""

import hashlib
import json
from pathlib import Path

from toolchain import remember
from toolchain.programs import MANIFEST, Installed


def read(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def altered(found: Installed) -> list[str]:
    """The programs of a product that are not those that were installed.

    A package's are the distribution's to judge, and what was installed before sums were kept cannot be.
    """
    if found.route == "package":
        return []
    kept = json.loads((found.directory / MANIFEST).read_text(encoding="utf-8")).get("sha256", {})
    return [name for name, digest in kept.items() if _remembered(found.programs[name]) != digest]


def _remembered(file: Path) -> str:
    """Hundreds of megabytes are read once, and again after whatever has touched the file."""
    now = file.stat()
    place = remember.key("sha256", (), [str(file), f"{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns} {now.st_ino}"])
    return remember.text(place, lambda: read(file))
