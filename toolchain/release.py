"""The official release of a product: download, verify, unpack."""

import asyncio
import hashlib
import json
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import httpx

from toolchain.versions import Release

Step = Callable[[str, float, float | None], None]
"""Hears what is going on, how much of it is done, and of how much (None where that is not known)."""

_LIMITS = httpx.Timeout(30, connect=5)
_REMEMBERED_SECONDS = 3600
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ReleaseFailed(Exception):
    """The release cannot be used, and why."""


@dataclass(frozen=True)
class Hosts:
    """Hosts that could not be reached, kept in `file` for an hour so that each is asked only once."""

    file: Path
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def check(self, request: httpx.Request) -> None:
        """ReleaseFailed if this host was asked within the hour and could not be reached."""
        if (known := self._known().get(request.url.host)) is not None:
            raise ReleaseFailed(f"{known['reason']} (asked again after an hour, or without {self.file})")

    def remember(self, host: str, reason: str) -> None:
        known = self._known() | {host: {"at": int(time.time()), "reason": reason}}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(known, indent=2, sort_keys=True), encoding="utf-8")
        new.replace(self.file)

    def _known(self) -> dict[str, dict[str, str | int]]:
        known = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
        return {host: said for host, said in known.items() if said["at"] > time.time() - _REMEMBERED_SECONDS}


async def download(release: Release, into: Path, hosts: Hosts, step: Step) -> None:
    """Put the verified programs of a release at `into`/bin. ReleaseFailed says which part did not work."""
    archive = into / PurePosixPath(release.archive).name
    hooks = {"request": [hosts.check]}
    try:
        async with httpx.AsyncClient(timeout=_LIMITS, follow_redirects=True, event_hooks=hooks) as client:
            # Products share a host: the first to ask finds out for all whether it answers.
            async with hosts.asking:
                answer = (await client.get(release.checksums)).raise_for_status()
            found = await _save(client, release.archive, archive, step)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as problem:
        host = problem.request.url.host
        reason = f"{host} cannot be reached: {problem or type(problem).__name__}"
        hosts.remember(host, reason)
        raise ReleaseFailed(reason) from problem
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        raise ReleaseFailed(f"{release.archive}: {problem or type(problem).__name__}") from problem
    published = published_checksum(answer.text, archive.name, release.checksums)
    if found != published:
        raise ReleaseFailed(f"{release.archive} has SHA-256 {found}, its publisher says {published}")
    await asyncio.to_thread(_place, archive, release, into)


async def _save(client: httpx.AsyncClient, url: str, file: Path, step: Step) -> str:
    """Download to a file; returns its SHA-256."""
    digest = hashlib.sha256()
    async with client.stream("GET", url) as answer:
        megabytes = int(answer.raise_for_status().headers.get("Content-Length", 0)) / 1e6
        with file.open("wb") as out:
            async for chunk in answer.aiter_raw():
                digest.update(chunk)
                out.write(chunk)
                step("downloading, MB", round(answer.num_bytes_downloaded / 1e6), round(megabytes) or None)
    return digest.hexdigest()


def published_checksum(text: str, name: str, where: str) -> str:
    """The SHA-256 of file `name` in `sha256sum` lines, or in a file that holds nothing but the sum."""
    for line in text.splitlines():
        checksum, *rest = line.lower().split() or [""]
        if _SHA256.fullmatch(checksum) and (not rest or rest[-1].lstrip("*") == name.lower()):
            return checksum
    raise ReleaseFailed(f"{where} holds no SHA-256 of {name}")


def _place(archive: Path, release: Release, into: Path) -> None:
    unpacked = into / "unpacked"
    unpack(archive, unpacked)
    archive.unlink()
    inside = list(unpacked.iterdir())
    root = inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacked
    (root / "bin").mkdir(exist_ok=True)
    for name, member in release.programs.items():
        if not (root / member).is_file():
            raise ReleaseFailed(f"{release.archive} holds no {member}")
        program = (root / member).rename(root / "bin" / name)
        program.chmod(0o755)
    for part in root.iterdir() if release.whole else [root / "bin"]:
        part.rename(into / part.name)
    shutil.rmtree(unpacked)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip archive. ReleaseFailed if it is damaged or a member would land outside `folder`."""
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as problem:
        raise ReleaseFailed(f"{archive.name} cannot be unpacked: {problem}") from problem


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise ReleaseFailed(f"{archive.name} cannot be unpacked: {name!r} is outside its folder")
        zipped.extractall(folder)  # noqa: S202 - the names are checked above
