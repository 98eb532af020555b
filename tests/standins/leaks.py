"""Where a known secret got to: as it is, in JSON, percent-encoded, or within base64."""

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

# A shorter one is found by accident.
_LEAST = 16


def leaks(secret: str, places: Mapping[str, bytes | str]) -> list[str]:
    """The places, by their names, that hold the secret, and how. The secret itself is not told."""
    if len(secret) < _LEAST:
        raise ValueError(f"a secret of {len(secret)} characters may be anywhere by accident; take {_LEAST} or more")
    if not places:
        raise ValueError("there is no place to look at")
    return [f"{name}: {how}" for name, text in places.items() for how in _found(secret.encode(), _bytes(text))]


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _found(secret: bytes, text: bytes) -> Iterator[str]:
    quoted = json.dumps(secret.decode())[1:-1].encode()
    unquoted, form = unquote_to_bytes(text), unquote_to_bytes(text.replace(b"+", b" "))
    if secret in text or quoted in text:
        yield "as it is"
    elif secret in unquoted or secret in form:
        yield "percent-encoded"
    if any(part in where for part in _within_base64(secret) for where in (text, unquoted)):
        yield "in base64"


def _within_base64(secret: bytes) -> Iterator[bytes]:
    """What base64 of any text with the secret in it has for certain, by where the secret begins in a group of three."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        certain = (before + len(secret)) // 3 * 4
        part = encoded[-(-before * 4 // 3) : certain]
        yield from (part, part.replace(b"+", b"-").replace(b"/", b"_"))
