"""Another version of a rule pack in a stack file: the one line that says so, everything else as it was written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

import apps
import rules
from stacks import packs, settings
from stacks.packs import COMMON
from stacks.settings import Settings
from stacks.strict import Refused, nearest

_PREFIX = "rules/"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A stack file before and after, as text and as settings, and the version that the pack had."""

    file: Path
    before: str
    after: str
    version: str
    old: Settings
    new: Settings


def promote(pack: str, version: str, environment: str) -> Promotion:
    """Refused where there is no such pack, version or environment, or the environment has it already."""
    name = pack.removeprefix(_PREFIX).rstrip("/")
    _demand(name, version)
    file = settings.stack_file(environment)
    if not file.is_file():
        known = sorted(path.stem.removeprefix("Pulumi.") for path in settings.STACK_FILES.glob("Pulumi.*.yaml"))
        raise Refused(f"--to {environment}: no stack file {file.name}; {nearest(environment, known)}")
    wanted = settings.from_stack_file(file, environment)
    profiles = [apps.profile(system) for system in wanted.systems]
    has = packs.versions(wanted, profiles)
    if name not in has:
        raise Refused(f"{file.name}: {environment} has no pack {name}; {nearest(name, sorted(has))}")
    if has[name] == version:
        raise Refused(f"{file.name}: {environment} has {_PREFIX}{name} {version} already")
    before, steps = file.read_text(), _steps(name, wanted)
    after = _with(before, steps, version)
    by_hand = Refused(f"{file.name}: {'.'.join(steps)}: cannot be changed by itself; write {version} there by hand")
    try:
        made = settings.from_text(after, file, environment)
    except Refused:
        raise by_hand from None
    if made != _wanted(wanted, steps, version):
        raise by_hand
    return Promotion(file=file, before=before, after=after, version=has[name], old=wanted, new=made)


def _demand(name: str, version: str) -> None:
    """Refused if no such version of such a pack ships."""
    there = sorted({path.parent.parent.name for path in rules.DIRECTORY.glob("*/v*/pack.yaml")})
    if name not in there:
        raise Refused(f"{_PREFIX}{name}: no such pack; {nearest(name, there)}")
    versions = sorted(path.parent.name for path in rules.DIRECTORY.glob(f"{name}/v*/pack.yaml"))
    if version not in versions:
        raise Refused(f"{_PREFIX}{name}: no version {version!r} of this pack; there is {', '.join(versions)}")


def _steps(name: str, wanted: Settings) -> tuple[str, ...]:
    """Where a stack file says which version of a pack an environment has."""
    if name in COMMON:
        return ("watchstack:packs", name)
    return ("watchstack:systems", next(s for s in wanted.systems if name in apps.profile(s).packs), "pack")


def _wanted(settings: Settings, steps: Sequence[str], version: str) -> Settings:
    """The settings with that version, and nothing else that is new."""
    if steps[0] == "watchstack:packs":
        return settings.model_copy(update={"packs": {**settings.packs, steps[1]: version}})
    system = settings.systems[steps[1]].model_copy(update={"pack": version})
    return settings.model_copy(update={"systems": {**settings.systems, steps[1]: system}})


def _with(text: str, steps: Sequence[str], value: str) -> str:
    """The text with this value at these keys below `config`: over the one that is there, or as a new key."""
    # The settings have been read from it, so it is a mapping.
    node: yaml.Node = yaml.compose(text, yaml.SafeLoader)  # type: ignore[assignment]
    for i, step in enumerate(("config", *steps)):
        found = _below(node, step)
        if found is None:
            return _inserted(text, node, ("config", *steps)[i:], value)
        node = found
    return text[: node.start_mark.index] + value + text[node.end_mark.index :]


def _below(node: yaml.Node, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _inserted(text: str, node: yaml.Node, steps: Sequence[str], value: str) -> str:
    """A new key, as the first of a mapping in braces, or else on a line of its own before the first one."""
    nested = f"{steps[0]}: " + "".join(f"{{{step}: " for step in steps[1:]) + value + "}" * (len(steps) - 1)
    if not isinstance(node, yaml.MappingNode):
        raise Refused(f"line {node.start_mark.line + 1} of the stack file is no mapping; write `{nested}` there")
    if node.flow_style:
        at = node.start_mark.index + 1
        return text[:at] + nested + (", " if node.value else "") + text[at:]
    at = node.value[0][0].start_mark.index
    return text[:at] + f"{nested}\n{' ' * node.start_mark.column}" + text[at:]
