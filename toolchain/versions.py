"""The version table: every program Watchstack runs, its image, and where it comes from."""

import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stacks.strict import Strict, load

GO = Path(__file__).parent / "go"

_FILE = Path(__file__).parent / "versions.yaml"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Release(Strict):
    """The publisher's archive for this platform, and the checksum file beside it."""

    archive: str
    checksums: str
    # Program name -> path in the archive, below its top folder where it has exactly one.
    programs: Mapping[str, str]
    # The program needs the files around it, so the archive is kept as it is.
    whole: bool = False


class Module(Strict):
    """One `go build` in toolchain/go/<folder>."""

    folder: str
    module: str
    packages: tuple[str, ...]
    tags: str = ""
    stamp: str | tuple[str, ...] | None = None
    # Files that belong beside the programs: path -> the Go module that carries it.
    copies: Mapping[str, str] = {}


class Build(Strict):
    """How to build the programs where the release cannot be had; `version` is what comes out."""

    version: str
    modules: tuple[Module, ...]


class Package(Strict):
    """Debian's package of the programs: program name -> where the package puts it."""

    debian: str
    programs: Mapping[str, str]


class Container(Strict):
    """How the image is run: its user as uid:gid, and what can be asked in it whether it is ready.

    In `health`, $PORT and $READY are the port and the URL of the service's ready endpoint. `entrypoint` is there where
    the image's own does more than start the program; `home` is what `{home}` in arguments means.
    """

    user: str
    health: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    home: str = ""


class Product(Strict):
    """One product: `version` and `image` are what users run; `programs` is what a build without a release makes."""

    version: str
    image: str | None = None
    container: Container | None = None
    optional: bool = False
    # Installed only by whoever asks for it by name.
    on_demand: bool = False
    release: Release | None = None
    build: Build | None = None
    package: Package | None = None
    programs: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The programs that it brings."""
        return tuple(self.release.programs) if self.release else self.programs


class _Table(Strict):
    products: Mapping[str, Product]


def this_platform() -> tuple[str, str]:
    """Operating system and architecture as Go and the release archives name them."""
    machine = platform.machine()
    return platform.system().lower(), _ARCHITECTURES.get(machine, machine)


@cache
def table(system: str = "", arch: str = "") -> Mapping[str, Product]:
    """All products by name, with templates filled in for this platform unless another is given."""
    system, arch = system or this_platform()[0], arch or this_platform()[1]
    names = {"os": system, "arch": arch, "x64_arch": "x64" if arch == "amd64" else arch}
    data = yaml.load(_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for name, product in data["products"].items():
        if build := product.get("build"):
            build.setdefault("version", product["version"])
            product["build"] = _filled(build, names | {"version": build["version"]})
        data["products"][name] = _filled(product, names | {"version": product["version"]})
    return load(_Table, data, "toolchain/versions.yaml: ").products


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(names)
    if isinstance(value, list):
        return [_filled(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, names) for key, item in value.items()}
    return value
