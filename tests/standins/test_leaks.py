"""A secret is found in each form that programs write it in, at each place in a longer text, and nowhere else."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from standins.leaks import leaks

MARKED = 'q7/Zk+T4 xW"m9<R2&v=8Lé5%bN0cJ6h'
PLAIN = "Hd83kXq0Zt5vWm2Ls9RbYc7PfJ4gNa6T"


@pytest.mark.parametrize("secret", [MARKED, PLAIN])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user"])
def test_forms(secret: str, before: str) -> None:
    text = f"{before}{secret}@host"
    encoded = base64.b64encode(text.encode())
    places: dict[str, bytes | str] = {
        "log": text,
        "bytes": text.encode(),
        "state": json.dumps({"password": text}),
        "header": encoded,
        "token": base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
        "header in an address": quote(encoded.decode(), safe=""),
        "clean": f"{before}{secret[:-1]}@host",
    }
    assert leaks(secret, places) == [
        "log: as it is",
        "bytes: as it is",
        "state: as it is",
        "header: in base64",
        "token: in base64",
        "header in an address: in base64",
    ]


def test_percent_encoded() -> None:
    whole = quote(MARKED, safe="")
    places = {"upper": whole, "lower": _lower(whole), "form": quote_plus(MARKED)}
    assert leaks(MARKED, places) == [f"{name}: percent-encoded" for name in ("upper", "lower", "form")]


def _lower(text: str) -> str:
    """With %2f in place of %2F."""
    head, *rest = text.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def test_base64_of_another_secret_is_no_leak() -> None:
    assert leaks(PLAIN, {"header": base64.b64encode(f"user:{PLAIN[::-1]}".encode())}) == []


def test_what_would_prove_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no place to look at"):
        leaks(PLAIN, {})
    with pytest.raises(ValueError, match="a secret of 5 characters may be anywhere by accident; take 16 or more"):
        leaks("admin", {"log": ""})
