"""Run Pulumi on one of this clone's environments: `python -m toolchain.pulumi local -- up --yes`.

Programs, state and passphrase come from the clone unless the user has their own. A stack file without a salt
is used through a copy, because Pulumi writes the salt of a throw-away stack into the file it is given.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from stacks.strict import Refused
from toolchain import interrupted
from toolchain.programs import Installed, ProgramMissing, find

ROOT = Path(__file__).parent.parent

_TAKE_CONFIG_FILE = {"up", "update", "preview", "pre", "refresh", "destroy", "import", "watch"}
# Before these, what a run that was killed left is put right.
_UPDATES = {"up", "update"}
_HEALED = _UPDATES | {"destroy"}
_REFRESH = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--diff", "--suppress-outputs"]
_SALT = "encryptionsalt"
# Where a token leads that comes with no address.
_SERVICE = "https://api.pulumi.com"
# These need no more of a stack file that is gone than the copy of it.
_LEAVING = {"destroy", "cancel"}
# A removed stack leaves its state in backups otherwise.
_BACKUPS_TOO = ["--remove-backups"]
# These wait for nobody: another one on the same environment is refused.
_ALONE = _HEALED | {"refresh", "import", "watch"}


class StackRefused(Exception):
    """There is no such environment."""


def environment(root: Path = ROOT, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables Pulumi needs, over `base`. ProgramMissing if there is no Pulumi at all."""
    # Without byte-code, importing the Pulumi SDK costs three to four times as much, twice an update.
    env = {name: value for name, value in base.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # pydantic would look for plugins in every installed package, at each of the four starts of Python in an update.
    env |= {"PULUMI_SKIP_UPDATE_CHECK": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    # Pulumi writes the whole state twice for each resource that it touches: a megabyte and more, mostly dashboards.
    if "PULUMI_DIY_BACKEND_GZIP" not in env:
        env.setdefault("PULUMI_DIY_BACKEND_ZSTD", "true")
    # The language host of the build takes the first python3 on PATH, whatever Pulumi.yaml says.
    path = [str(Path(sys.executable).parent), env.get("PATH", os.defpath)]
    engine = find("pulumi")
    if isinstance(engine, Installed):
        path.insert(0, str(engine.directory / "bin"))
        if engine.route == "build":
            env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    elif shutil.which("pulumi", path=path[-1]) is None:
        raise ProgramMissing("pulumi is neither installed nor on PATH; run: make tools")
    env["PATH"] = os.pathsep.join(path)
    if not _login(env):
        env["PULUMI_BACKEND_URL"] = _state(root)
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & env.keys():
        env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase(root))
    return env


def backend(root: Path = ROOT, env: Mapping[str, str] = os.environ) -> str:
    """Where the state is: the place that the user is logged in to, or else this clone. Nothing is made."""
    return _login(env) or f"file://{root / '.watchstack' / 'state'}"


def project(root: Path = ROOT) -> str:
    """The name of the project, as `Pulumi.yaml` says it."""
    return str(_top_level(root / "Pulumi.yaml")["name"])


def commands(stack: str, arguments: Sequence[str], root: Path = ROOT) -> list[list[str]]:
    """The Pulumi command lines that do `up --yes` and the like; brings the copy of the stack file up to date.

    An update makes the stack if need be. StackRefused if stacks/env has no file for it.
    """
    verb, words = arguments[0], list(arguments)
    file, copy = stack_file(stack, root, leaving=verb in _LEAVING or words[:2] == ["stack", "rm"])
    # Pulumi makes and removes the stack file of the project it is started in: there, that is the copy.
    beside_copy = ["pulumi", "-C", str(copy.parent), "stack"]
    if verb == "stack" and words[1:2] and words[1] in {"init", "select", "rm"}:
        return [[*beside_copy, *words[1:], "--stack", stack, *(_BACKUPS_TOO if words[1] == "rm" else [])]]
    rest = ["--stack", stack, *(["--config-file", str(file)] if verb in _TAKE_CONFIG_FILE else [])]
    line = ["pulumi", *(word for word in words if word != "--remove"), *rest]
    if verb == "destroy" and "--remove" in words:
        return [line, [*beside_copy, "rm", "--yes", "--stack", stack, *_BACKUPS_TOO]]
    if verb in _TAKE_CONFIG_FILE - {"destroy"}:
        return [[*beside_copy, "select", "--create", "--stack", stack], line]
    return [line]


def stack_file(stack: str, root: Path = ROOT, *, leaving: bool = False) -> tuple[Path, Path]:
    """The stack file to hand to Pulumi, and its fresh copy: one file unless the committed one has secrets.

    The copy keeps the salt that Pulumi wrote into an earlier one, for the state is encrypted with it. Who is `leaving`
    has to do with the copy that is there, if the file is gone.
    """
    name = f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    committed, copy = root / "stacks" / "env" / name, root / ".watchstack" / "env" / name
    if not committed.exists() and leaving and copy.exists():
        _write_project(copy.parent, root)
        return copy, copy
    if not committed.exists():
        known = ", ".join(sorted(file.name.split(".")[1] for file in committed.parent.glob("Pulumi.*.yaml")))
        raise StackRefused(f"stack {stack!r} has no file stacks/env/{name}; known: {known or 'none'}")
    own_secrets = bool({_SALT, "secretsprovider"} & _top_level(committed).keys())
    text = committed.read_text(encoding="utf-8")
    if not own_secrets and (salt := _top_level(copy).get(_SALT)):
        text = f"{text.rstrip()}\n{_SALT}: {salt}\n"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text, encoding="utf-8")
    _write_project(copy.parent, root)
    return committed if own_secrets else copy, copy


def _write_project(directory: Path, root: Path) -> None:
    (directory / "Pulumi.yaml").write_text(f"name: {project(root)}\nruntime: python\n", encoding="utf-8")


def revive(stack: str, env: Mapping[str, str], root: Path = ROOT) -> None:
    """A copy of a stack file that is gone, with what its state alone tells: enough to take the stack down."""
    copy = root / ".watchstack" / "env" / f"Pulumi.{stack}.yaml"
    if (root / "stacks" / "env" / copy.name).exists() or copy.exists():
        return
    secret = (_deployment(stack, env).get("secrets_providers") or {}).get("state") or {}
    salt = f"{_SALT}: {secret['salt']}\n" if "salt" in secret else ""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(f"{salt}config: {{}}\n", encoding="utf-8")


def outputs(stack: str, env: Mapping[str, str]) -> dict[str, Any]:
    """What a stack says of itself."""
    resources = _deployment(stack, env).get("resources") or ()
    own = (one.get("outputs") or {} for one in resources if one["type"] == "pulumi:pulumi:Stack")
    return next(own, {})


def _top_level(file: Path) -> dict[str, Any]:
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def _login(env: Mapping[str, str]) -> str:
    """The backend of the user's own, or nothing."""
    if named := env.get("PULUMI_BACKEND_URL"):
        return named
    home = Path(env.get("PULUMI_HOME") or Path(env.get("HOME") or Path.home()) / ".pulumi")
    credentials = home / "credentials.json"
    current = json.loads(credentials.read_text(encoding="utf-8")).get("current") if credentials.exists() else ""
    return current or (_SERVICE if env.get("PULUMI_ACCESS_TOKEN") else "")


def _state(root: Path) -> str:
    state = root / ".watchstack" / "state"
    state.parent.mkdir(exist_ok=True)
    state.mkdir(mode=0o700, exist_ok=True)
    return f"file://{state}"


def _passphrase(root: Path) -> Path:
    file = root / ".watchstack" / "passphrase"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        # Never readable by others, not even between making it and a chmod.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(32))
    return file


def listed(env: Mapping[str, str], root: Path = ROOT) -> list[dict[str, Any]]:
    """The stacks of this project in the backend, as `pulumi stack ls` tells them. StackRefused if it does not."""
    asked = ["pulumi", "-C", str(root), "stack", "ls", "--json"]
    done = subprocess.run(asked, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackRefused(f"the backend does not list its stacks: {done.stderr.strip()}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return [{**one, "name": one["name"].rpartition("/")[2]} for one in found]


def demand_alone(stack: str, env: Mapping[str, str], root: Path = ROOT) -> None:
    """StackRefused while somebody else is at the same environment, as far as this machine can see."""
    name = stack.rpartition("/")[2]
    if held := interrupted.holder(backend(root, env), project(root), name):
        raise StackRefused(
            f"environment {name} is being worked on by {held}; wait until that ends. If that process is no more, "
            f"`.venv/bin/python -m toolchain.pulumi {name} -- cancel` takes its lock away"
        )


def heal(stack: str, env: Mapping[str, str], root: Path = ROOT) -> int:
    """After a run that was killed: unlock the state, and make state and engine agree. The exit code of doing so."""
    name = stack.rpartition("/")[2]
    found = interrupted.find(backend(root, env), project(root), name)
    if found is None:
        return 0
    sys.stderr.write("the last run did not end well: looking at what it left\n")
    for file in found.torn:
        file.unlink()
    for removed in _removed(name, _deployment(stack, env), found.since):
        sys.stderr.write(f"removed {removed}, which was not finished\n")
    for file in found.locks:
        file.unlink()
    for line in commands(stack, _REFRESH, root):
        # Standard output is that of the run to come.
        if code := subprocess.call(line, env=env, stdout=sys.stderr):
            return code
    return 0


def _removed(name: str, deployment: Mapping[str, Any], since: datetime | None) -> list[str]:
    """What is half made or half removed, and was taken away. Who has an engine or a cluster imports its client."""
    if known := interrupted.known(deployment):
        from stacks.targets import engine  # noqa: PLC0415

        return engine.remove_unknown(name, known, since)
    if begun := interrupted.begun(deployment):
        from stacks.targets import cluster  # noqa: PLC0415

        return cluster.remove_begun(name, begun)
    return []


def tell(stack: str, env: Mapping[str, str]) -> None:
    """After an update that failed: what does not run, and why."""
    name, deployment = stack.rpartition("/")[2], _deployment(stack, env)
    failing: list[str] = []
    if known := interrupted.known(deployment):
        from stacks.targets import engine  # noqa: PLC0415

        failing = engine.failing(name, known.hosts)
    elif context := interrupted.context(deployment):
        from stacks.targets import cluster  # noqa: PLC0415

        failing = cluster.failing(name, context[0])
    sys.stderr.writelines(f"{service}\n" for service in failing)


def _deployment(stack: str, env: Mapping[str, str]) -> Mapping[str, Any]:
    """The state of a stack; empty if there is none."""
    export = ["pulumi", "stack", "export", "--stack", stack]
    exported = subprocess.run(export, env=env, stdout=subprocess.PIPE, check=False).stdout
    return json.loads(exported or "{}").get("deployment") or {}


def tidy(root: Path = ROOT) -> None:
    """Forget the passphrase and the state's skeleton once the last stack of this clone is gone.

    A stack file with secrets in it can be read with its passphrase alone: then everything stays.
    """
    own = root / ".watchstack"
    there = [*interrupted.stacks(own / "state"), *own.glob("run/*"), *own.glob("rehearsal/*")]
    encrypted = [file for file in (root / "stacks" / "env").glob("Pulumi.*.yaml") if _SALT in _top_level(file)]
    if not there and not encrypted:
        shutil.rmtree(own, ignore_errors=True)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Run Pulumi, with output, exit code and Ctrl-C its own."""
    parser = argparse.ArgumentParser(prog="python -m toolchain.pulumi", description=__doc__)
    parser.add_argument("stack", help="an environment of stacks/env, for example local")
    parser.add_argument("arguments", nargs="+", metavar="-- ARGUMENT", help="what follows `pulumi`")
    options = parser.parse_args(arguments)
    # Ctrl-C goes to Pulumi too, which then ends in its own time; subprocess would kill it after a moment.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.chdir(root)
    verb = options.arguments[0]
    try:
        env = environment(root)
        lines = commands(options.stack, options.arguments, root)
        if verb in _ALONE:
            demand_alone(options.stack, env, root)
        code = heal(options.stack, env, root) if verb in _HEALED else 0
        for line in lines:
            code = code or subprocess.call(line, env=env)
        if code and verb in _UPDATES:
            tell(options.stack, env)
    except (ProgramMissing, Refused, StackRefused) as problem:
        sys.exit(f"error: {problem}")
    if code:
        sys.exit(code)
    if "--remove" in options.arguments:
        tidy(root)


if __name__ == "__main__":
    main()
