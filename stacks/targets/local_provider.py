"""What Pulumi's dynamic resources of the local target do to this machine.

`diff` looks at the machine and not only at the last state, so that a plain `up` mends what died or was edited.
"""

import gc
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from stacks.targets import directory
from stacks.targets.directory import Wanted
from stacks.targets.supervisor import Supervisor

Props = dict[str, Any]

# There once the process has taken the files beside it. An update cut short after writing them leaves none.
SETTLED = "settled"


class HomeProvider(ResourceProvider):
    """The directory of an environment, and its supervisor."""

    serialize_as_secret_always = False

    def configure(self, _req: ConfigureRequest) -> None:
        # The engine waits for this process to end, and the end would walk through everything that is imported.
        gc.disable()
        gc.freeze()

    def create(self, props: Props) -> CreateResult:
        _start(props)
        return CreateResult(props["path"], {**props, "supervisor": "running"})

    def diff(self, _id: str, _olds: Props, news: Props) -> DiffResult:
        changes = (_id, _olds.get("kept", [])) != (news["path"], news["kept"]) or not Supervisor(
            Path(news["path"])
        ).running()
        return DiffResult(changes=changes, replaces=["path"] if _id != news["path"] else [])

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        _start(news)
        return UpdateResult({**news, "supervisor": "running"})

    def read(self, id_: str, props: Props) -> ReadResult:
        running = Supervisor(Path(id_)).running()
        return ReadResult(id_, {**props, "supervisor": "running" if running else "dead"})

    def delete(self, _id: str, _props: Props) -> None:
        home = Path(_id)
        Supervisor(home).stop()
        _remove([*home.glob("supervisord*"), *home.glob("programs")])
        _remove([path for path in home.glob(directory.GENERATED) if path.name not in _props.get("kept", [])])
        _remove_empty(home)


class ServiceProvider(ResourceProvider):
    """A service: its files, its secrets, its volumes and its process."""

    serialize_as_secret_always = False

    def create(self, props: Props) -> CreateResult:
        _settle(props, None)
        return CreateResult(props["name"], _outputs(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        moved = (_id, olds["home"]) != (news["name"], news["home"])
        # What destroy keeps must be in the state before a destroy reads it from there.
        changes = moved or olds["kept"] != news["kept"] or bool(_drift(news))
        return DiffResult(changes=changes, replaces=["name"] if moved else [])

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        _settle(news, olds)
        return UpdateResult(_outputs(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        home = Path(props["home"])
        now = _digests(directory.configured(home / id_))
        edited = sorted(path for path in {*now, *props["digests"]} if now.get(path) != props["digests"].get(path))
        state = "running" if Supervisor(home).pid(id_) else "dead"
        return ReadResult(id_, {**props, "process": state, "edited": edited})

    def delete(self, _id: str, props: Props) -> None:
        home = Path(props["home"])
        Supervisor(home).remove(_id)
        _remove([path for path in (home / _id).glob("*") if path.name not in props["kept"]])
        _remove_empty(home / _id)


def _start(props: Props) -> None:
    home = Path(props["path"])
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TZ") if name in os.environ}
    Supervisor(home).start({**kept, **props["environment"]})


def _settle(props: Props, olds: Props | None) -> None:
    """Bring a service to what is asked; what fails is put back as it was, to nothing if it is new."""
    wanted = _wanted(props)
    before = directory.configured(wanted.directory)
    settled = wanted.directory / SETTLED
    interrupted = not settled.exists()
    settled.unlink(missing_ok=True)
    try:
        changed = directory.put(wanted)
        _run(props, [*wanted.files] if interrupted else changed)
        settled.touch()
    except Exception as problem:
        log = _last_lines(wanted.directory / "log" / "stdout.log")
        _put_back(props, olds, before)
        raise RuntimeError(f"{props['name']}: {problem}\n{log}".rstrip()) from problem


def _run(props: Props, changed: list[str]) -> None:
    """Start, restart or reload the process: the least that makes it take the changed files."""
    # Only who starts or reloads pays for the HTTP client.
    from stacks.targets.probe import mark, wait_ready, wait_reloaded  # noqa: PLC0415

    supervisor, name = Supervisor(Path(props["home"])), props["name"]
    reload = props["reload"]
    kinds = {props["on_change"].get(path, "watched") for path in changed}
    if not supervisor.has(name, props["command"]):
        supervisor.put(name, props["command"])
    elif "restart" in kinds or ("reload" in kinds and not reload):
        supervisor.restart(name)
    elif "reload" in kinds:
        before = mark(**reload)
        supervisor.reload(name)
        wait_reloaded(**reload, before=before)
        return
    wait_ready(props["ready_url"])


def _put_back(props: Props, olds: Props | None, before: dict[str, str]) -> None:
    supervisor, name = Supervisor(Path(props["home"])), props["name"]
    directory.restore(Path(props["home"]) / name, before)
    if olds is None:
        supervisor.remove(name)
    elif not supervisor.has(name, olds["command"]):
        supervisor.put(name, olds["command"])
    elif props["reload"]:
        supervisor.reload(name)
    else:
        supervisor.restart(name)


def _drift(props: Props) -> list[str]:
    """What on this machine is not as asked."""
    wanted = _wanted(props)
    differing = directory.differences(wanted)
    if not Supervisor(Path(props["home"])).has(props["name"], props["command"]):
        differing.append("process")
    return differing if (wanted.directory / SETTLED).exists() else [*differing, SETTLED]


def _wanted(props: Props) -> Wanted:
    return Wanted(
        directory=Path(props["home"]) / props["name"],
        files=props["files"],
        secrets=props["secrets"],
        generated=props["generated"],
        volumes=tuple(props["volumes"]),
    )


def _outputs(props: Props) -> Props:
    """What the state keeps: enough to find drift and to clean up; no text, and no secret."""
    digests = _digests(directory.configured(Path(props["home"]) / props["name"]))
    names = ("name", "home", "command", "kept")
    return {**{name: props[name] for name in names}, "digests": digests, "process": "running", "edited": []}


def _digests(texts: dict[str, str]) -> dict[str, str]:
    # A short value could be guessed from its digest, so of secrets there is none.
    return {
        path: hashlib.sha256(text.encode()).hexdigest() if path.startswith("etc/") else "secret"
        for path, text in texts.items()
    }


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-8:]) if path.is_file() else ""


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_empty(path: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
