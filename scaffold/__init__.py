"""`./watchstack new system`: the first files of a system, from what its `/metrics` shows. All of them, or none."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import rules as packs
from scaffold import dashboard, exposition, pack, pages, profile, signals
from stacks.strict import Refused

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Names that mean something else where a system is named.
_RESERVED = {"common", "heartbeat", "own", "platform", "selftest"}
_MODULES = Path("dashboards") / "__init__.py"


def files(name: str, url: str, root: Path) -> dict[str, str]:
    """The text of each new file by its path. Refused where the name is taken, or the metrics are none."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise Refused(f"{name!r} is no name of a system: small letters, digits and single dashes, such as `my-shop`")
    where = exposition.address(url)
    _demand_free(name, root)
    found = exposition.fetch(url)
    seen = signals.of(found)
    wanted = pack.rules(name, seen)
    return {
        f"apps/{name}.yaml": profile.profile(name, where, found, seen),
        f"apps/tests/{name}.routing.yaml": profile.cases(name),
        **{f"rules/{name}/v1/{file}": text for file, text in pack.files(name, wanted)},
        f"dashboards/{_module(name)}.py": dashboard.module(name, seen, wanted),
        f"docs/systems/{name}.md": pages.system(name, where, wanted),
        **{f"docs/runbooks/{rule.alert}.md": pages.runbook(name, rule) for rule in wanted},
        f"stacks/env/Pulumi.{name}.yaml": profile.stack_file(name, where, profile.free_offset(root / "stacks" / "env")),
    }


def lacking(wanted: Mapping[str, str], name: str) -> list[str]:
    """What the exposition did not allow, in words."""
    missing = {
        "errors": "no alert on errors: no counter has a label with a status",
        "latency": "no alert on durations: no histogram is of requests",
        "saturation": "no alert on open files: `process_open_fds` is not exposed",
    }
    return [why for file, why in missing.items() if f"rules/{name}/v1/{file}.yml" not in wanted]


@contextmanager
def written(name: str, wanted: Mapping[str, str], root: Path) -> Iterator[None]:
    """The files in place for the block, and for good if it ends well; else nothing of them is left."""
    modules = (root / _MODULES).read_text()
    try:
        for path, text in wanted.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / _MODULES).write_text(_with_module(modules, _module(name)))
        _seal(root / "rules" / name / "v1")
        _format(root / f"dashboards/{_module(name)}.py")
        yield
    except BaseException:
        (root / _MODULES).write_text(modules)
        for path in wanted:
            (root / path).unlink(missing_ok=True)
        shutil.rmtree(root / "rules" / name, ignore_errors=True)
        raise


def _demand_free(name: str, root: Path) -> None:
    places = [
        f"apps/{name}.yaml",
        f"rules/{name}",
        f"dashboards/{_module(name)}.py",
        f"docs/systems/{name}.md",
        f"stacks/env/Pulumi.{name}.yaml",
    ]
    if taken := next((place for place in places if (root / place).exists()), None):
        raise Refused(f"{name!r} is taken: there is {taken} already; give the system another name")


def _module(name: str) -> str:
    return name.replace("-", "_")


def _with_module(text: str, module: str) -> str:
    """The list of dashboards with one more, in order."""
    head, start, rest = text.partition("_MODULES = (\n")
    body, end, tail = rest.partition(")\n")
    lines = sorted([*body.splitlines(), f'    "{module}",'])
    return f"{head}{start}" + "\n".join(lines) + f"\n{end}{tail}"


def _seal(home: Path) -> None:
    text = (home / "pack.yaml").read_text()
    line = "- version: 1.0.0\n"
    (home / "pack.yaml").write_text(text.replace(line, f"{line}  content: {packs.content(home)}\n", 1))


def _format(module: Path) -> None:
    for arguments in (["check", "--quiet", "--select", "F401,F841", "--fix"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(module)], check=True)
