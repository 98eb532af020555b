"""Facts of two revisions, compared: what is added, removed and changed, by name, and in which environments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from review.facts import Facts, Kind, Thing

What = Literal["added", "removed", "changed"]
# How a service takes a change, the worst first.
Way = Literal["new", "gone", "restarted", "reloaded", "reads its files"]
_WAYS: dict[str, Way] = {"restart": "restarted", "reload": "reloaded", "watched": "reads its files"}

# Kinds that say in a program's words what another kind says.
DETAILS = ("arguments", "configuration")
# Of these, one more or one less means nothing: what is in them tells of it.
_ONLY_CHANGED = ("rule groups",)
# Things of these kinds belong to one of another kind, by the first part of their name, and come and go with it.
_WITHIN = {"panels": "dashboards", "arguments": "services", "configuration": "services"}

_NUMBER = re.compile(r"(?<![\w.:\[])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.:\]])")
_COMPARED = re.compile(r"(==|!=|>=?|<=?)(\s*bool)?[\s(]*-?$")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A property, and what of it is no longer there and what is new."""

    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one thing. Of one that is added or removed, `edits` are all its properties."""

    kind: str
    name: str
    what: What
    edits: tuple[Edit, ...]


@dataclass(frozen=True, kw_only=True)
class Dependant:
    """Something that is still there and uses what was removed."""

    removed: str
    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What becomes of an environment. `refused`: why one of the two revisions cannot plan it.

    `services` are those that do something about it. `size` counts what a new or removed one has.
    """

    name: str
    what: What
    durable: bool
    changes: tuple[Change, ...] = ()
    dependants: tuple[Dependant, ...] = ()
    services: Mapping[str, Way] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    size: Mapping[str, int] = field(default_factory=dict)


def environments(old: Mapping[str, Facts], new: Mapping[str, Facts]) -> tuple[Environment, ...]:
    """Those that differ, by name."""
    names = sorted({*old, *new})
    found = (_environment(name, old.get(name), new.get(name)) for name in names)
    return tuple(one for one in found if one is not None)


def _environment(name: str, old: Facts | None, new: Facts | None) -> Environment | None:
    durable = any(each.get("lifecycle") == "durable" for each in (old, new) if each)
    if old is None or new is None:
        there = old or new or {}
        what: What = "added" if old is None else "removed"
        size = {kind: len(things) for kind, things in there.get("things", {}).items()}
        return Environment(name=name, what=what, durable=durable, size=size)
    if "refused" in old or "refused" in new:
        if old == new:
            return None
        lines = (*old.get("refused", ()), *new.get("refused", ()))
        return Environment(name=name, what="changed", durable=True, refused=lines)
    changes = tuple(_changes(old["things"], new["things"]))
    services = _services(old["runs"], new["runs"])
    if not changes:
        return None
    dependants = tuple(_dependants(changes, old, new))
    return Environment(
        name=name, what="changed", durable=durable, changes=changes, dependants=dependants, services=services
    )


def _services(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> dict[str, Way]:
    """What each service has to do about it."""
    found: dict[str, Way] = {}
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            found[name] = "new" if name in new else "gone"
        elif way := next((way for key, way in _WAYS.items() if old[name].get(key) != new[name].get(key)), None):
            found[name] = way
    return found


def _changes(old: Mapping[str, Kind], new: Mapping[str, Kind]) -> Iterator[Change]:
    whole = {kind: set(old.get(kind, {})) ^ set(new.get(kind, {})) for kind in _WITHIN.values()}
    for kind in dict.fromkeys((*new, *old)):
        for change in _of_kind(kind, old.get(kind, {}), new.get(kind, {})):
            gone = change.name.partition("/")[0] in whole.get(_WITHIN.get(kind, ""), ())
            if not gone and (change.what == "changed" or kind not in _ONLY_CHANGED):
                yield change


def _of_kind(kind: str, old: Kind, new: Kind) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        before, after = old.get(name, []), new.get(name, [])
        if before == after:
            continue
        suffixes = _suffixes([*before, *after])
        for one, other in _pairs(before, after):
            called = f"{name}{suffixes[id(other if one is None else one)]}"
            if one is None or other is None:
                what: What = "added" if one is None else "removed"
                yield Change(kind=kind, name=called, what=what, edits=tuple(_edits(one or {}, other or {})))
            elif edits := tuple(_threshold(kind, edit) for edit in _edits(one, other)):
                yield Change(kind=kind, name=called, what="changed", edits=edits)


def _pairs(old: Sequence[Thing], new: Sequence[Thing]) -> Iterator[tuple[Thing | None, Thing | None]]:
    """Things of one name: the same ones beside each other, then the most alike; with None what has no other."""
    before, after = [one for one in old if one not in new], [one for one in new if one not in old]
    while before and after:
        one, other = max(((one, other) for one in before for other in after), key=lambda pair: _alike(*pair))
        yield one, other
        before, after = [x for x in before if x is not one], [x for x in after if x is not other]
    yield from ((one, None) for one in before)
    yield from ((None, one) for one in after)


def _alike(one: Thing, other: Thing) -> tuple[bool, int]:
    return one.get("labels") == other.get("labels"), sum(one[key] == other.get(key) for key in one)


def _suffixes(things: Sequence[Thing]) -> dict[int, str]:
    """What tells things of one name apart: the labels that not all of them have."""
    labels = [set(thing.get("labels", ())) for thing in things]
    shared = set.intersection(*labels) if labels else set()
    several = len({tuple(sorted(own)) for own in labels}) > 1 and len(things) > 2
    return {
        id(thing): f"{{{', '.join(sorted(own - shared))}}}" if several and own - shared else ""
        for thing, own in zip(things, labels, strict=True)
    }


def _edits(old: Thing, new: Thing) -> Iterator[Edit]:
    for name in dict.fromkeys((*new, *old)):
        before, after = _values(old.get(name)), _values(new.get(name))
        gone, come = _without(before, after), _without(after, before)
        if gone or come:
            yield Edit(name=name, old=gone, new=come)


def _values(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _without(these: Sequence[str], those: Iterable[str]) -> tuple[str, ...]:
    """Each as often as it is there more often."""
    left, found = [*those], list[str]()
    for each in these:
        if each in left:
            left.remove(each)
        else:
            found.append(each)
    return tuple(found)


def _threshold(kind: str, edit: Edit) -> Edit:
    """The expression of an alert in which one number that something is compared with is another one."""
    if kind != "alerts" or edit.name != "expression" or not (edit.old and edit.new):
        return edit
    old, new = edit.old[0], edit.new[0]
    before, after = [*_NUMBER.finditer(old)], [*_NUMBER.finditer(new)]
    if _NUMBER.sub("0", old) != _NUMBER.sub("0", new):
        return edit
    other = [(one, two) for one, two in zip(before, after, strict=True) if one[0] != two[0]]
    if len(other) != 1 or not _COMPARED.search(old[: other[0][0].start()]):
        return edit
    return Edit(name="threshold", old=(other[0][0][0],), new=(other[0][1][0],))


def _dependants(changes: Sequence[Change], old: Facts, new: Facts) -> Iterator[Dependant]:
    """What is still there and asks for a record, or for a metric of a job, that no longer is."""
    things, metrics = new["things"], {name for names in new["metrics"].values() for name in names}
    removed = {change.name: {change.name} for change in changes if (change.kind, change.what) == ("records", "removed")}
    removed = {name: names for name, names in removed.items() if name not in things["records"]}
    for change in changes:
        if (change.kind, change.what) == ("jobs", "removed"):
            own = set(old["metrics"].get(change.name, ())) - metrics
            removed[f"job {change.name}"] = {*own, f'job="{change.name}"'}
    for what, names in removed.items():
        asks = re.compile("|".join(rf"(?<![\w:]){re.escape(name)}(?![\w:])" for name in sorted(names)))
        for kind in ("alerts", "records", "panels"):
            for name, those in things[kind].items():
                if any(asks.search(query) for one in those for query in _queries(one)):
                    yield Dependant(removed=what, kind=kind, name=name)


def _queries(thing: Mapping[str, Any]) -> tuple[str, ...]:
    return (*_values(thing.get("expression")), *_values(thing.get("queries")))
