"""A comparison as Markdown that fits one comment, and as JSON."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby

from docs.markdown import table
from review.compare import DETAILS, Change, Edit, Environment, What

# GitHub takes 65,536 characters; here bytes are counted, which are never fewer.
LIMIT = 60_000
# In the order in which they are told, with the heading of each.
_KINDS = {
    "environment": "Environment",
    "alerts": "Alerts",
    "records": "Recording rules",
    "rule groups": "Rule groups",
    "objectives": "Objectives",
    "routes": "Routes",
    "receivers": "Receivers",
    "inhibitions": "Inhibitions",
    "times": "Times",
    "dashboards": "Dashboards",
    "panels": "Panels",
    "jobs": "Scrape jobs",
    "exposure": "Exposure",
    "secrets": "Secrets",
    "retention": "Retention",
    "volumes": "Volumes",
    "services": "Services",
    "backends": "Other backends",
    "packs": "Rule packs",
    "left out": "Left out",
    "settings": "Settings",
    "arguments": "Arguments",
    "configuration": "Configuration files",
}
# Of what is added or removed, these say enough; panels, dashboards and jobs have too many options.
_SAID = (
    *("severity", "expression", "for", "told", "at", "kept", "size", "targets", "kind", "queries", "objective"),
    *("window", "image", "version", "receiver", "because", "comes from", "value"),
)
_WITH_OPTIONS = ("inhibitions", "receivers", "times", "backends", "routes")
# Of a value in Markdown; of two that are longer, what they share is left out but for so much around it.
_LONGEST, _AROUND = 400, 40
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, kw_only=True)
class Told:
    """Changes that are the same in these environments, and to each of these things."""

    kind: str
    names: tuple[str, ...]
    what: str
    edits: tuple[Edit, ...]
    environments: tuple[str, ...]


def touches_production(found: Sequence[Environment]) -> list[str]:
    """The durable environments that are not what they were."""
    return [one.name for one in found if one.durable]


def told(found: Sequence[Environment]) -> list[Told]:
    """Every change once, with all environments that have it, and things that change in the same way together."""
    where: dict[Change, list[str]] = {}
    for environment in found:
        for change in _together(environment.changes):
            where.setdefault(change, []).append(environment.name)
    same: dict[tuple[object, ...], list[str]] = {}
    for change, names in where.items():
        edits = change.edits if change.what == "changed" else _said(change)
        alone = () if change.what == "changed" else (change.name,)
        same.setdefault((change.kind, change.what, edits, tuple(names), *alone), []).append(change.name)
    lines = [
        Told(kind=key[0], what=key[1], edits=key[2], environments=key[3], names=tuple(sorted(names)))  # type: ignore[arg-type]
        for key, names in same.items()
    ]
    order = list(_KINDS)
    return sorted(lines, key=lambda line: (order.index(line.kind), line.names, line.what))


def _said(change: Change) -> tuple[Edit, ...]:
    names = {*_SAID, "options"} if change.kind in _WITH_OPTIONS else _SAID
    return tuple(edit for edit in change.edits if edit.name in names)


def _together(changes: Iterable[Change]) -> Iterator[Change]:
    """Where several values below one key of a file come or go, the key alone."""
    by_key: dict[tuple[str, What], list[Change]] = {}
    for change in changes:
        if change.kind != "configuration" or change.what == "changed":
            yield change
        else:
            file, _, path = change.name.partition(": ")
            key = f"{file}: {'.'.join(path.split('.')[:2])}"
            by_key.setdefault((key, change.what), []).append(change)
    for (key, what), those in by_key.items():
        yield those[0] if len(those) == 1 else replace(those[0], name=key, what=what, edits=())


def as_dict(base: str, found: Sequence[Environment]) -> dict[str, object]:
    """For machines."""
    return {
        "base": base,
        "touches_production": touches_production(found),
        "environments": {
            one.name: {
                "what": one.what,
                "durable": one.durable,
                "services": dict(one.services),
                "refused": list(one.refused),
                "has": dict(one.size),
            }
            for one in found
        },
        "changes": [asdict(line) | {"detail": line.kind in DETAILS} for line in told(found)],
        "dependants": [{**asdict(dependant), "environment": one.name} for one in found for dependant in one.dependants],
    }


def markdown(base: str, found: Sequence[Environment], previews: Mapping[str, str], limit: int = LIMIT) -> str:
    """One comment: what changes, what only who wrote it needs, and the previews, as much as there is room for."""
    head = f"Compared with `{base[:12]}`."
    if not found:
        body = [f"**Nothing changes in any environment.** {head}", ""]
    else:
        body = [*_verdict(found, head), *_summary(found), *_sections(found, details=False), *_dependants(found)]
    fit = _cut(body, limit, "`./watchstack diff` shows all")
    details = _folded("Settings, arguments and configuration files", _sections(found, details=True))
    if len(fit) == len(body) and _size([*fit, *details]) <= limit:
        fit += details
    room = limit - _size(fit)
    for i, (name, preview) in enumerate(previews.items()):
        folded = _preview(name, preview, room // (len(previews) - i))
        fit += folded
        room -= _size(folded)
    return "\n".join(fit).rstrip() + "\n"


def _verdict(found: Sequence[Environment], head: str) -> list[str]:
    touched = touches_production(found)
    said = f"**Touches production: {', '.join(touched)}.**" if touched else "**Nothing touches production.**"
    return [f"{said} {head}", ""]


def _summary(found: Sequence[Environment]) -> list[str]:
    rows = [[f"`{one.name}`", "durable" if one.durable else "ephemeral", _count(one), _effect(one)] for one in found]
    return [*table(("environment", "lifecycle", "changes", "on `up`"), rows).splitlines(), ""]


def _count(one: Environment) -> str:
    if one.refused:
        return "cannot be compared: " + " ".join(one.refused)
    if one.what != "changed":
        has = [f"{one.size.get(kind, 0)} {kind}" for kind in ("services", "alerts", "dashboards", "panels", "jobs")]
        return f"{one.what}, with {', '.join(has)}"
    counts = {
        kind: len([*those])
        for kind, those in groupby(sorted(one.changes, key=lambda each: each.kind), key=lambda each: each.kind)
        if kind not in DETAILS
    }
    return ", ".join(f"{_KINDS[kind].lower()} {counts[kind]}" for kind in _KINDS if kind in counts) or "details only"


def _effect(one: Environment) -> str:
    ways = sorted({*one.services.values()})
    return "; ".join(f"{way}: {', '.join(name for name, how in one.services.items() if how == way)}" for way in ways)


def _sections(found: Sequence[Environment], *, details: bool) -> list[str]:
    everywhere = tuple(one.name for one in found)
    lines: list[str] = []
    for kind, those in groupby(told(found), key=lambda line: line.kind):
        if (kind in DETAILS) == details:
            lines += [f"#### {_KINDS[kind]}", "", *(_line(each, everywhere) for each in those), ""]
    return lines


def _line(line: Told, everywhere: tuple[str, ...]) -> str:
    where = "" if line.environments == everywhere else f" ({', '.join(line.environments)})"
    names = ", ".join(map(_code, line.names))
    mark = "" if line.what == "changed" else f" {line.what}"
    edits = "; ".join(_edit(edit, line.what) for edit in line.edits)
    return f"- {names}{mark}{where}{': ' if edits else ''}{edits}"


def _edit(edit: Edit, what: str) -> str:
    old, new = (", ".join(map(_code, values)) for values in (edit.old, edit.new))
    if what == "added":
        return f"{edit.name} {new}"
    if what == "removed":
        return f"{edit.name} {old}"
    if edit.name == "told":
        return f"told {new or 'no more'}, no longer {old}" if old else f"told {new} too"
    if len(edit.old) == len(edit.new) == 1:
        old, new = map(_code, _apart(edit.old[0], edit.new[0]))
    if old and new:
        return f"{edit.name} {old} → {new}"
    return f"{edit.name} {new} added" if new else f"{edit.name} {old} removed"


def _apart(old: str, new: str) -> tuple[str, str]:
    """Two long texts without most of what they begin and end with alike."""
    if max(len(old), len(new)) <= _LONGEST // 2:
        return old, new
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    cut, left = max(0, start - _AROUND), max(0, end - _AROUND)
    before, after = "…" if cut else "", "…" if left else ""
    return f"{before}{old[cut : len(old) - left]}{after}", f"{before}{new[cut : len(new) - left]}{after}"


def _shared(one: str, other: str) -> int:
    """How many characters two texts have in common, from their beginning on."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _code(text: str) -> str:
    """As code, on one line, however many backticks are in it."""
    line = " ".join(text.split())
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    longest = max((len(run) for run in re.findall(r"`+", short)), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in short else ""
    return f"{fence}{space}{short}{space}{fence}" if short else "(empty)"


def _dependants(found: Sequence[Environment]) -> list[str]:
    uses: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        for each in one.dependants:
            uses.setdefault((each.removed, each.kind, each.name), []).append(one.name)
    lines = [
        f"- {_code(removed)} is used by {_KINDS[kind].lower().removesuffix('s')} {_code(name)} ({', '.join(names)})"
        for (removed, kind, name), names in uses.items()
    ]
    return ["#### Removed, and still used", "", *lines, ""] if lines else []


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "</details>", ""] if lines else []


def _preview(name: str, preview: str, room: int) -> list[str]:
    """The text of a preview in a fence that it cannot end, as much of it as there is room for."""
    lines = _COLOUR.sub("", preview).rstrip().splitlines()
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0))
    title = f"<code>pulumi preview</code> of {name}"
    around = _size(_folded(title, [fence, fence, ""]))
    shown = _cut(lines, room - around, f"the job that made the preview of {name} shows all") if lines else ["(empty)"]
    found = _folded(title, [fence, *shown, fence, ""])
    return found if _size(found) <= room else []


def _cut(lines: Sequence[str], room: int, instead: str) -> list[str]:
    """As many of the lines as fit, with a sentence that says how many do not."""
    if _size(lines) <= room:
        return list(lines)
    last = f"… {len(lines)} of {len(lines)} lines are cut here; {instead}."
    kept, size = list[str](), _size(["", last, ""])
    for line in lines:
        size += _size([line])
        if size > room:
            break
        kept.append(line)
    return [*kept, "", last.replace(f"{len(lines)} of", f"{len(lines) - len(kept)} of", 1), ""]


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
