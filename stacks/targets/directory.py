"""The directory of a local service: its configuration as given, its secrets, its volumes, and nothing else."""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Beside the services' directories: the secrets that were made for this environment.
GENERATED = "secrets"

_SECRET_MODE = 0o400


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Texts of files and of secret files, and names of secrets to generate, by path below the directory."""

    directory: Path
    files: Mapping[str, str]
    secrets: Mapping[str, str]
    generated: Mapping[str, str]
    volumes: tuple[str, ...]


def differences(wanted: Wanted) -> list[str]:
    """The paths that are not as wanted."""
    kept = {*wanted.files, *wanted.secrets, *wanted.generated}
    differing = [path for path, text in wanted.files.items() if _read(wanted.directory / path) != text]
    differing += [path for path, text in wanted.secrets.items() if not _is_secret(wanted.directory / path, text)]
    differing += [
        path for path, name in wanted.generated.items() if not _is_secret(wanted.directory / path, _made(wanted, name))
    ]
    differing += [path for path in wanted.volumes if not (wanted.directory / path).is_dir()]
    return sorted({*differing, *(path for path in configured(wanted.directory) if path not in kept)})


def configured(directory: Path) -> dict[str, str]:
    """The texts of the configuration files that are there now."""
    return {
        str(path.relative_to(directory)): path.read_text()
        for top in ("etc", "secrets")
        for path in sorted((directory / top).rglob("*"))
        if path.is_file()
    }


def put(wanted: Wanted) -> list[str]:
    """Make the directory as wanted; the paths that were changed. Each file is replaced whole or not at all."""
    changed = differences(wanted)
    for path in ("log", *wanted.volumes):
        (wanted.directory / path).mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in changed:
        target = wanted.directory / path
        if path in wanted.files:
            _write(target, wanted.files[path], 0o644)
        elif path in wanted.secrets:
            _write(target, wanted.secrets[path], _SECRET_MODE)
        elif path in wanted.generated:
            _write(target, _generate(wanted, wanted.generated[path]), _SECRET_MODE)
        elif path not in wanted.volumes:
            target.unlink()
    return changed


def restore(directory: Path, texts: Mapping[str, str]) -> None:
    """Put the configuration back to what `configured` gave before a change that failed."""
    for path in configured(directory):
        if path not in texts:
            (directory / path).unlink()
    for path, text in texts.items():
        _write(directory / path, text, _SECRET_MODE if path.startswith("secrets/") else 0o644)


def _generate(wanted: Wanted, name: str) -> str:
    """The value of a generated secret: services that name the same one find the one that was made first."""
    place = _place(wanted, name)
    if not place.is_file():
        new = place.with_name(f".{name}.{secrets.token_hex(4)}")
        _write(new, secrets.token_urlsafe(32), _SECRET_MODE)
        with contextlib.suppress(FileExistsError):
            place.hardlink_to(new)
        new.unlink()
    return place.read_text()


def _made(wanted: Wanted, name: str) -> str | None:
    return _read(_place(wanted, name))


def _place(wanted: Wanted, name: str) -> Path:
    return wanted.directory.parent / GENERATED / name


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _is_secret(path: Path, text: str | None) -> bool:
    return path.is_file() and path.stat().st_mode & 0o777 == _SECRET_MODE and path.read_text() == text
