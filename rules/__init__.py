"""Versioned rule packs: `rules/<pack>/v<N>/`, plain Prometheus files with a `pack.yaml` beside them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from rules.overrides import Changes, digest
from stacks.service import to_yaml
from stacks.settings import Name, Override
from stacks.strict import Refused, Strict, load, nearest

DIRECTORY = Path(__file__).parent

# Who evaluates the rules of a pack: Prometheus those in PromQL, Loki those in LogQL.
Engine = Literal["prometheus", "loki"]


class Requirement(Strict):
    """What must run for a file's rules to mean something."""

    requires: tuple[Name, ...] = ()


class Threshold(Strict):
    """The number in an alert's condition that an environment may change; it stands there exactly once."""

    value: float
    unit: str
    meaning: str


class Change(Strict):
    """What a version brought; `content` is the digest of its rules and thresholds."""

    version: str
    content: str | None = Field(default=None, pattern=r"^[0-9a-f]{12}$")
    change: str


class Manifest(Strict):
    """`pack.yaml`."""

    pack: Name
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    summary: str
    engine: Engine = "prometheus"
    files: dict[str, Requirement]
    thresholds: dict[str, Threshold] = Field({})
    changes: tuple[Change, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert, the place where it is written, and the digest of what is shipped there."""

    pack: str
    name: str
    expr: str
    wait: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    place: str
    seen: str
    engine: Engine = "prometheus"

    @property
    def address(self) -> str:
        return f"{self.pack}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    """A rule file as it is deployed, at `path` below the rules directory.

    `written` are the addresses of all its alerts, also of those that an override takes out.
    """

    path: str
    text: str
    requires: tuple[str, ...]
    alerts: tuple[Alert, ...]
    written: tuple[str, ...]
    engine: Engine = "prometheus"


@dataclass(frozen=True, kw_only=True)
class Pack:
    name: str
    major: str
    version: str
    files: tuple[RuleFile, ...]


def pack(name: str, major: str, overrides: Mapping[str, Override], directory: Path = DIRECTORY) -> Pack:
    """A pack with the environment's overrides.

    Refused names file and line of what cannot be read, and the key of an override that does not fit its alert.
    """
    home = directory / name / major
    if not home.is_dir():
        raise Refused(_unknown(name, major, directory))
    where = f"rules/{name}/{major}/pack.yaml: "
    read = manifest(home)
    changes = Changes(name, overrides, {alert: each.value for alert, each in read.thresholds.items()})
    files = tuple(
        _file(name, home / file, requirement.requires, changes, directory, read.engine)
        for file, requirement in sorted(read.files.items())
    )
    problems = [f"{where}{problem}" for problem in changes.undeclared()] + changes.problems
    if problems:
        raise Refused("\n".join(problems))
    return Pack(name=name, major=major, version=read.version, files=files)


def manifest(home: Path) -> Manifest:
    """`pack.yaml` of the pack in this directory; Refused if it cannot be used."""
    path, directory = home / "pack.yaml", home.parents[1]
    return load(Manifest, _yaml(path, directory), f"rules/{path.relative_to(directory)}: ")


def content(home: Path) -> str:
    """A digest of the rules and thresholds of the pack in this directory, in twelve characters."""
    read = manifest(home)
    digest = hashlib.sha256()
    for name in sorted(read.files):
        digest.update(name.encode() + (home / name).read_bytes())
    digest.update(read.model_dump_json(include={"files", "thresholds"}).encode())
    return digest.hexdigest()[:12]


def _unknown(name: str, major: str, directory: Path) -> str:
    versions = sorted(path.name for path in directory.glob(f"{name}/v*"))
    if versions:
        return f"rules/{name}: no version {major!r} of this pack; there is {', '.join(versions)}"
    packs = sorted({path.parent.name for path in directory.glob("*/v*")})
    return f"rules/{name}: no such pack; {nearest(name, packs)}"


def _yaml(path: Path, directory: Path) -> Any:
    try:
        return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        raise Refused(f"rules/{path.relative_to(directory)}: no such file; pack.yaml beside it names it") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise Refused(f"rules/{path.relative_to(directory)}:{line}: not YAML: {problem.problem}") from None


def _file(
    name: str, path: Path, requires: tuple[str, ...], changes: Changes, directory: Path, engine: Engine
) -> RuleFile:
    document = _yaml(path, directory)
    place = str(path.relative_to(directory))
    return rule_file(name, place, path.read_text(), document, requires, changes, engine)


def rule_file(
    pack: str,
    path: str,
    text: str,
    document: Any,
    requires: tuple[str, ...],
    changes: Changes,
    engine: Engine = "prometheus",
) -> RuleFile:
    """A rule file as it is deployed: its own text, or, where an override touches it, the changed rules."""
    lines = _alert_lines(text)
    changed = _overridden(document, changes)
    shipped = {rule["alert"]: rule for rule in _alerting(document)}
    alerts = tuple(
        _alert(pack, rule, f"rules/{path}:{lines.get(rule['alert'], 1)}", digest(shipped[rule["alert"]]), engine)
        for rule in _alerting(changed)
    )
    return RuleFile(
        path=path,
        text=text if changed is document else to_yaml(changed),
        requires=requires,
        alerts=alerts,
        written=tuple(f"{pack}/{name}" for name in shipped),
        engine=engine,
    )


def _alert(name: str, rule: dict[str, Any], place: str, seen: str, engine: Engine) -> Alert:
    return Alert(
        pack=name,
        name=rule["alert"],
        expr=str(rule.get("expr", "")),
        wait=str(rule.get("for", "0s")),
        labels=rule.get("labels") or {},
        annotations=rule.get("annotations") or {},
        place=place,
        seen=seen,
        engine=engine,
    )


def _alerting(document: Any) -> list[dict[str, Any]]:
    """The alerting rules of a document. What has another shape is left to promtool, which says where."""
    groups = document.get("groups") if isinstance(document, dict) else None
    rules = [rule for group in groups or [] if isinstance(group, dict) for rule in group.get("rules") or []]
    return [rule for rule in rules if isinstance(rule, dict) and "alert" in rule]


def _alert_lines(text: str) -> dict[str, int]:
    """Line of each alert by name. Alert names are unique within the packs of an environment."""
    lines = {}
    for number, line in enumerate(text.splitlines(), start=1):
        key, _, value = line.strip().removeprefix("- ").partition(":")
        if key == "alert":
            lines[value.strip().strip("\"'")] = number
    return lines


def _overridden(document: Any, changes: Changes) -> Any:
    # All of them: a threshold is looked for in every rule.
    new = {id(rule): changes.of(rule) for rule in _alerting(document)}
    if all(new[id(rule)] is rule for rule in _alerting(document)):
        return document
    groups = [
        {**group, "rules": [kept for rule in group["rules"] if (kept := new.get(id(rule), rule)) is not None]}
        for group in document["groups"]
    ]
    return {**document, "groups": [group for group in groups if group["rules"]]}
