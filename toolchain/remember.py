"""Results that depend on nothing but files and text are made once, and kept in the cache that all clones share."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from toolchain import programs


def key(kind: str, files: Iterable[Path], texts: Iterable[str]) -> Path:
    """Where a result is kept: another place as soon as one of the files or texts is another."""
    digest = hashlib.sha256()
    for part in (*(file.read_bytes() for file in sorted(files)), *(text.encode() for text in texts)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return programs.cache() / "remembered" / f"{kind}-{digest.hexdigest()}"


def text(place: Path, make: Callable[[], str]) -> str:
    """What is kept there, made now if there is nothing yet."""
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        made = make()
    keep(place, made)
    return made


def documents(text: str) -> list[Any]:
    """The documents of a YAML text. As JSON, where it can say the same, they are read in a tenth of the time."""
    place = key("documents", (), [text])
    try:
        kept: list[Any] = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        read = list(yaml.load_all(text, Loader=yaml.CSafeLoader))  # the safe loader, in C
    else:
        return kept
    as_json = json.dumps(read, default=str)
    if json.loads(as_json) == read:
        keep(place, as_json)
    return read


def keep(place: Path, content: str) -> None:
    """Keep it, whole or not at all: another clone may read at the same time."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f"{place.name}.{id(content)}.new")
    new.write_text(content, encoding="utf-8")
    new.replace(place)
