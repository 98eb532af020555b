"""Rule packs of the user's own: a directory with a `pack.yaml` and plain rule files, such as a rendered mixin."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rules import Pack, Requirement, RuleFile, read_yaml, rule_file
from rules.overrides import Changes
from stacks.changes import Override
from stacks.names import Label, Name, Severity
from stacks.strict import Refused, Strict, load

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Manifest(Strict):
    """`pack.yaml` of such a directory. The rule files stay as they were made.

    `labels` join each alert that does not carry them. `severities` say what the pack's own mean here.
    """

    pack: Name
    version: str = Field(min_length=1)
    files: dict[FileName, Requirement] = Field(min_length=1)
    labels: dict[Label, str] = Field({})
    severities: dict[str, Severity] = Field({})


def pack(path: str, system: str, overrides: Mapping[str, Override], root: Path) -> Pack:
    """A pack for the alerts of a system; `path` is below `root`.

    Refused names file and line of what cannot be read, and the key of an override that does not fit its alert.
    """
    place = f"{path}/pack.yaml"
    read = load(Manifest, read_yaml(root / place, place), f"{place}: ")
    changes = Changes(read.pack, overrides, {}, fit=partial(_fitted, read, system))
    files = tuple(
        _file(read, f"{path}/{name}", root, requirement, changes) for name, requirement in sorted(read.files.items())
    )
    if changes.problems:
        raise Refused("\n".join(dict.fromkeys(changes.problems)))
    return Pack(name=read.pack, version=read.version, files=files)


def _file(read: Manifest, place: str, root: Path, needs: Requirement, changes: Changes) -> RuleFile:
    file = root / place
    path, document = f"{read.pack}/{file.name}", read_yaml(file, place)
    made = rule_file(read.pack, path, file.read_text(), document, needs.requires, changes, source=place)
    return replace(made, metrics=needs.metrics)


def _fitted(read: Manifest, system: str, rule: dict[str, Any]) -> dict[str, Any]:
    """An alert with the labels that the routing goes by; the same object if it has them.

    A component is one cause. Of somebody else's alerts it is not known, so each is its own: a critical one mutes the
    warning of the same name, and no other.
    """
    own = rule.get("labels") or {}
    labels = {"system": system, "component": rule["alert"], **read.labels, **own}
    if labels.get("severity") in read.severities:
        labels["severity"] = read.severities[labels["severity"]]
    return rule if labels == own else {**rule, "labels": labels}
