"""The images of an environment: of the version table, through a mirror if there is one, by digest where it is known."""

import hashlib
from functools import cache
from pathlib import Path

import yaml

from stacks.settings import Registry
from toolchain.versions import Container, table

# Digests by reference, as `./watchstack pin` found them.
LOCK = Path(__file__).parent / "images.lock.yaml"

_ROOT = Path(__file__).resolve().parents[1]
# What the build sends to the engine, as `.dockerignore` says.
_PROGRAMS = ("instrument", "workloads")


def reference(product: str, registry: Registry | None) -> str:
    """What to pull for a product: `docker.io/prom/prometheus:v3.15.0`, with `@sha256:...` where it is locked."""
    name = named(product, registry)
    digest = locked().get(name)
    return f"{name}@{digest}" if digest else name


def named(product: str, registry: Registry | None) -> str:
    """The image by its tag. A mirror's address stands in place of the host of the publisher's registry."""
    image = table()[product].image
    if image is None:
        raise KeyError(f"toolchain/versions.yaml has no image of {product}")
    return f"{registry.address}/{image.partition('/')[2]}" if registry else image


def container(product: str) -> Container:
    """How the image of a product is run."""
    found = table()[product].container
    if found is None:
        raise KeyError(f"toolchain/versions.yaml does not say how the image of {product} is run")
    return found


@cache
def locked() -> dict[str, str]:
    return (yaml.safe_load(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else None) or {}


@cache
def of_programs() -> str:
    """The image of this repository's own programs, which is built: by a name that changes with their sources."""
    digest = hashlib.sha256()
    for path in programs():
        digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return f"watchstack/workloads:{digest.hexdigest()[:16]}"


def programs() -> list[Path]:
    """The files that are put into that image, below the root of the repository."""
    return sorted(path for folder in _PROGRAMS for path in (_ROOT / folder).rglob("*") if _counts(path))


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
