"""Versioned rule packs: `rules/<pack>/v<N>/`, plain Prometheus files with a `pack.yaml` beside them."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from rules.overrides import Changes, digest
from stacks.changes import Override
from stacks.names import Name
from stacks.service import to_yaml
from stacks.strict import Refused, Strict, load, nearest
from toolchain import remember

DIRECTORY = Path(__file__).parent

# Who evaluates the rules of a pack: Prometheus those in PromQL, Loki those in LogQL.
Engine = Literal["prometheus", "loki"]


class Requirement(Strict):
    """What must run for a file's rules to mean something, and which metrics somebody must expose.

    `metrics` are for programs that do not all expose the same; what any of them has needs no mention.
    """

    requires: tuple[Name, ...] = ()
    metrics: tuple[str, ...] = ()


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
    """An alert, its deployed file, the place where it is written, and the digest of what is shipped there.

    `requires` names the services without which it would mean nothing.
    """

    pack: str
    file: str = ""
    name: str
    expr: str
    wait: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    place: str
    seen: str
    engine: Engine = "prometheus"
    requires: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{self.pack}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A recording rule, and the place where it is written."""

    pack: str
    name: str
    expr: str
    labels: Mapping[str, str]
    place: str
    engine: Engine = "prometheus"


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    """A rule file as it is deployed, at `path` below the rules directory.

    `source` is the file that was read. `written` are the addresses of all its alerts, also of those that an override
    takes out.
    """

    path: str
    source: str = ""
    text: str
    requires: tuple[str, ...]
    alerts: tuple[Alert, ...]
    written: tuple[str, ...]
    engine: Engine = "prometheus"
    metrics: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pack:
    name: str
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
        _file(name, home / file, requirement, changes, directory, read.engine)
        for file, requirement in sorted(read.files.items())
    )
    problems = [f"{where}{problem}" for problem in changes.undeclared()] + changes.problems
    if problems:
        raise Refused("\n".join(problems))
    return Pack(name=name, version=read.version, files=files)


def manifest(home: Path) -> Manifest:
    """`pack.yaml` of the pack in this directory; Refused if it cannot be used."""
    path, directory = home / "pack.yaml", home.parents[1]
    place = f"rules/{path.relative_to(directory)}"
    return load(Manifest, read_yaml(path, place), f"{place}: ")


def content(home: Path) -> str:
    """A digest of the rules and thresholds of the pack in this directory, in twelve characters."""
    read = manifest(home)
    digest = hashlib.sha256()
    for name in sorted(read.files):
        digest.update(name.encode() + (home / name).read_bytes())
    # What is not written in it is not part of it: a new key of this model is no change of a pack.
    digest.update(read.model_dump_json(include={"files", "thresholds"}, exclude_unset=True).encode())
    return digest.hexdigest()[:12]


def _unknown(name: str, major: str, directory: Path) -> str:
    versions = sorted(path.name for path in directory.glob(f"{name}/v*"))
    if versions:
        return f"rules/{name}: no version {major!r} of this pack; there is {', '.join(versions)}"
    packs = sorted({path.parent.name for path in directory.glob("*/v*")})
    return f"rules/{name}: no such pack; {nearest(name, packs)}"


def _file(name: str, path: Path, needs: Requirement, changes: Changes, directory: Path, engine: Engine) -> RuleFile:
    place = str(path.relative_to(directory))
    document = read_yaml(path, f"rules/{place}")
    file = rule_file(name, place, path.read_text(), document, needs.requires, changes, engine)
    return replace(file, metrics=needs.metrics)


def rule_file(
    pack: str,
    path: str,
    text: str,
    document: Any,
    requires: tuple[str, ...],
    changes: Changes,
    engine: Engine = "prometheus",
    source: str | None = None,
) -> RuleFile:
    """A rule file as it is deployed: its own text, or, where a change touches it, the changed rules.

    `source` is where it is written, if that is another path than the one below `rules/`.
    """
    source = source or f"rules/{path}"
    shipped = _alerting(document)
    seen = _digests(shipped)
    new = {id(rule): changes.of(rule, seen[rule["alert"]]) for rule in shipped}
    lines = _lines("alert", text)
    places = [f"{source}:{_next(lines, rule['alert'])}" for rule in shipped]
    alerts = tuple(
        _alert(pack, path, kept, place, seen[rule["alert"]], engine, requires)
        for rule, place in zip(shipped, places, strict=True)
        if (kept := new[id(rule)]) is not None
    )
    touched = any(new[id(rule)] is not rule for rule in shipped)
    return RuleFile(
        path=path,
        source=source,
        text=to_yaml(_with(document, new)) if touched else text,
        requires=requires,
        alerts=alerts,
        records=_records(pack, document, text, source, engine),
        written=tuple(dict.fromkeys(f"{pack}/{name}" for rule in shipped for name in changes.names(rule))),
        engine=engine,
    )


def generated(pack: str, path: str, document: Any, overrides: Mapping[str, Override]) -> RuleFile:
    """A rule file that is made for an environment, with its overrides. Refused names one that does not fit."""
    changes = Changes(pack, overrides, {}, generated=True)
    file = rule_file(pack, path, to_yaml(document), document, (), changes)
    if changes.problems:
        raise Refused("\n".join(dict.fromkeys(changes.problems)))
    return file


def read_yaml(path: Path, place: str) -> Any:
    """A YAML file; Refused names the place and line of what cannot be read."""
    documents = read_documents(path, place)
    if len(documents) > 1:
        raise Refused(f"{place}: holds {len(documents)} documents, and can be read with one only")
    return documents[0] if documents else None


def read_documents(path: Path, place: str) -> list[Any]:
    """The documents of a YAML file, which `---` parts."""
    try:
        return remember.documents(path.read_text())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Refused(f"{place}: no such file") from None
    except UnicodeDecodeError:
        raise Refused(f"{place}: not UTF-8 text") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise Refused(f"{place}:{line}: not YAML: {problem.problem}") from None
    except yaml.YAMLError as problem:
        raise Refused(f"{place}: not YAML: {problem}") from None


def _alert(
    pack: str, path: str, rule: dict[str, Any], place: str, seen: str, engine: Engine, requires: tuple[str, ...]
) -> Alert:
    return Alert(
        pack=pack,
        file=path,
        name=rule["alert"],
        expr=str(rule.get("expr", "")),
        wait=str(rule.get("for", "0s")),
        labels=rule.get("labels") or {},
        annotations=rule.get("annotations") or {},
        place=place,
        seen=seen,
        engine=engine,
        requires=requires,
    )


def _records(pack: str, document: Any, text: str, source: str, engine: Engine) -> tuple[Record, ...]:
    lines = _lines("record", text)
    named = [rule for rule in _rules(document) if isinstance(rule.get("record"), str)]
    return tuple(
        Record(
            pack=pack,
            name=rule["record"],
            expr=str(rule.get("expr", "")),
            labels=rule.get("labels") or {},
            place=f"{source}:{_next(lines, rule['record'])}",
            engine=engine,
        )
        for rule in named
    )


def _alerting(document: Any) -> list[dict[str, Any]]:
    return [rule for rule in _rules(document) if isinstance(rule.get("alert"), str)]


def _rules(document: Any) -> list[dict[str, Any]]:
    """The rules of a document. What has another shape is left to promtool, which says where."""
    groups = document.get("groups") if isinstance(document, dict) else None
    rules = [rule for group in groups or [] if isinstance(group, dict) for rule in group.get("rules") or []]
    return [rule for rule in rules if isinstance(rule, dict) and isinstance(rule.get("labels") or {}, dict)]


def _digests(shipped: list[dict[str, Any]]) -> dict[str, str]:
    """The digest of each alert by its name, which several rules may share."""
    named: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rule in shipped:
        named[rule["alert"]].append(rule)
    return {name: digest(*same) for name, same in named.items()}


def _lines(kind: str, text: str) -> dict[str, list[int]]:
    """The lines where alerts, or records, of each name are written, in block style or as JSON."""
    lines: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(text.splitlines(), start=1):
        key, _, value = line.strip().removeprefix("- ").partition(":")
        if key.strip("\"'") == kind:
            lines[value.strip(" ,\"'")].append(number)
    return lines


def _next(lines: dict[str, list[int]], name: str) -> int:
    """The line of the next rule of that name; the first of the file where none was found."""
    return lines[name].pop(0) if lines[name] else 1


def _with(document: Any, new: Mapping[int, dict[str, Any] | None]) -> Any:
    """The document with other rules in the place of those of these ids, or none."""
    groups = [
        {**group, "rules": [kept for rule in group["rules"] if (kept := new.get(id(rule), rule)) is not None]}
        if isinstance(group, dict) and group.get("rules")
        else group
        for group in document["groups"]
    ]
    return {**document, "groups": [group for group in groups if not isinstance(group, dict) or group.get("rules")]}
