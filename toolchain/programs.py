"""Where the installed programs are. Pure lookup: nothing here downloads, builds or starts anything."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stacks.strict import nearest
from toolchain.versions import GO, table, this_platform

Made = Literal["release", "build"]
Route = Literal[Made, "package"]

MANIFEST = "manifest.json"

_DPKG = Path("/var/lib/dpkg/status")


class ProgramMissing(Exception):
    """A program is needed and not installed."""


@dataclass(frozen=True)
class Installed:
    """A product in the version that is there. Grafana takes `directory` as its home path."""

    product: str
    version: str
    route: Route
    directory: Path
    programs: Mapping[str, Path]


@dataclass(frozen=True)
class Absent:
    """A product that is not there, and why."""

    product: str
    reason: str


def cache() -> Path:
    """The cache that clones share: $WATCHSTACK_CACHE, $XDG_CACHE_HOME/watchstack or ~/.cache/watchstack."""
    if chosen := os.environ.get("WATCHSTACK_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchstack"


def directory(product: str, route: Made) -> Path:
    """Where a product of the cache belongs: another version, recipe or platform is another directory."""
    entry = table()[product]
    recipe = entry.release if route == "release" or entry.build is None else entry.build
    version = entry.version if entry.build is None or route == "release" else entry.build.version
    described = recipe.model_dump_json() if recipe else ""
    digest = hashlib.sha256(repr(this_platform()).encode() + described.encode())
    for module in getattr(recipe, "modules", ()):
        for file in sorted((GO / module.folder).iterdir()):
            digest.update(file.name.encode() + file.read_bytes())
    return cache() / "tools" / f"{product}-{version}-{digest.hexdigest()[:12]}"


def find(product: str) -> Installed | Absent:
    """The official release before a build, a build before a package. ProgramMissing for an unknown name."""
    _require_known("product", product, list(table()))
    found = _read(product, "release") or _read(product, "build") or _packaged(product)
    return found or Absent(product, f"not installed; run: {_installer(product)}")


def program(name: str) -> Path:
    """Path of one program. ProgramMissing if it is not installed or the table has no such program."""
    owners = {known: product for product, entry in table().items() for known in entry.names}
    _require_known("program", name, list(owners))
    found = find(owners[name])
    if isinstance(found, Absent):
        raise ProgramMissing(f"{name} {table()[found.product].version} is {found.reason}")
    return found.programs[name]


def _installer(product: str) -> str:
    on_demand = table()[product].on_demand
    return f".venv/bin/python -m toolchain.install --only {product}" if on_demand else "make tools"


def _require_known(kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise ProgramMissing(f"{kind} {name!r} is not in toolchain/versions.yaml; {nearest(name, known)}")


def _read(product: str, route: Made) -> Installed | None:
    home = directory(product, route)
    try:
        manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    programs = {name: home / "bin" / name for name in manifest["programs"]}
    if not all(os.access(path, os.X_OK) for path in programs.values()):
        return None
    return Installed(product, manifest["version"], route, home, programs)


def _packaged(product: str) -> Installed | None:
    package = table()[product].package
    if package is None:
        return None
    programs = {name: Path(path) for name, path in package.programs.items()}
    if not all(os.access(path, os.X_OK) for path in programs.values()):
        return None
    home = next(iter(programs.values())).parent
    return Installed(product, _debian_version(package.debian), "package", home, programs)


def _debian_version(package: str) -> str:
    """The version of an installed Debian package, from dpkg's own list."""
    listed = _DPKG.read_text(encoding="utf-8").split("\n\n") if _DPKG.exists() else []
    fields = next((stanza.splitlines() for stanza in listed if stanza.startswith(f"Package: {package}\n")), [])
    return next((line.removeprefix("Version: ") for line in fields if line.startswith("Version: ")), "unknown")
