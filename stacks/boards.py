"""The dashboards of an environment: which of them, and each as far as what it shows is there."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dashboards
from apps import Profile
from dashboards import Board, Dashboard, changes, own
from stacks.changes import PanelChange
from stacks.jobs import LeftOut
from stacks.service import PLATFORM
from stacks.settings import Settings
from stacks.strict import Refused, nearest

ROOT = Path(__file__).resolve().parents[1]
OWN = "own"
# What a panel needs that shows error budgets: a system with objectives.
OBJECTIVES = "objectives"
PLATFORM_DASHBOARDS = (
    "start",
    "objectives",
    "stack-health",
    "hosts",
    "containers",
    "kubernetes-workloads",
    "prometheus",
    "thanos",
    "alertmanager",
    "loki",
    "logs-explorer",
    "collector",
    "jaeger",
)

# A board, or the model of a JSON file, which is deployed as it is.
Made = Board | dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A dashboard before it is rendered."""

    folder: str
    place: str
    uid: str
    made: Made


def of(
    settings: Settings, profiles: Sequence[Profile], running: Collection[str], root: Path = ROOT
) -> tuple[tuple[Dashboard, ...], list[LeftOut]]:
    """The dashboards, and what of them is left out because a component does not run here.

    Refused names the file of a dashboard that cannot be read or has the uid of another one, and the key of a change
    that does not fit its panel.
    """
    sources = [*_shipped(profiles), *_own(settings.dashboards.own, root)]
    _demand_unique(sources)
    sources = _changed(_chosen(sources, settings.dashboards.only), settings)
    # Of a dashboard that is not there a line tells already; links to it need none.
    known = {*running} | {f"dashboard/{name}" for name in dashboards.names()}
    left_out = [line for source in sources for line in _left_out(source.made, known)]
    shown = [source for source in sources if not _lacking(source.made, running)]
    there = {*running} | {f"dashboard/{source.uid}" for source in shown}
    return tuple(_rendered(source, there) for source in shown), left_out


def _shipped(profiles: Sequence[Profile]) -> list[_Source]:
    folders = {PLATFORM: PLATFORM_DASHBOARDS} | {profile.system: profile.dashboards for profile in profiles}
    found = []
    for folder, names in folders.items():
        for name in names:
            if name not in dashboards.names():
                known = nearest(name, [*dashboards.names()])
                raise Refused(f"apps/{folder}.yaml: dashboards: no dashboard {name!r}; {known}")
            place = f"dashboards/{name.replace('-', '_')}.py"
            found.append(_Source(folder=folder, place=place, uid=name, made=dashboards.build(name)))
    return found


def _own(paths: Iterable[str], root: Path) -> list[_Source]:
    found = []
    for file in (file for path in paths for file in own.files(root / Path(path).expanduser())):
        made = own.model(file) if file.suffix == ".json" else own.board(file)
        uid = made.uid if isinstance(made, Board) else str(made["uid"])
        place = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
        found.append(_Source(folder=OWN, place=place, uid=uid, made=made))
    return found


def _demand_unique(sources: Sequence[_Source]) -> None:
    first: dict[str, _Source] = {}
    problems = [
        f"{source.place}: uid {source.uid!r} is already the one of {other.place}; give it another"
        for source in sources
        if (other := first.setdefault(source.uid, source)) is not source
    ]
    if problems:
        raise Refused("\n".join(problems))


def _chosen(sources: Sequence[_Source], only: Sequence[str] | None) -> list[_Source]:
    if only is None:
        return list(sources)
    known = {source.uid for source in sources} | {source.folder for source in sources}
    problems = [
        f"watchstack:dashboards.only: no dashboard or folder {name!r}; {nearest(name, sorted(known))}"
        for name in only
        if name not in known
    ]
    if problems:
        raise Refused("\n".join(problems))
    return [source for source in sources if {source.uid, source.folder} & {*only}]


def _changed(sources: Sequence[_Source], settings: Settings) -> list[_Source]:
    wanted = settings.dashboards.panels
    boards = {source.uid: source.made for source in sources if isinstance(source.made, Board)}
    problems = [
        f"watchstack:dashboards.panels.{address}: no such dashboard here; {nearest(uid, sorted(boards))}"
        for address in sorted(wanted)
        if (uid := address.partition("/")[0]) not in boards
    ]
    found = []
    for source in sources:
        made, more = _with(source.made, wanted)
        problems += more
        found.append(_Source(folder=source.folder, place=source.place, uid=source.uid, made=made))
    if problems:
        raise Refused("\n".join(problems))
    return found


def _with(made: Made, wanted: Mapping[str, PanelChange]) -> tuple[Made, list[str]]:
    return changes.changed(made, wanted) if isinstance(made, Board) else (made, [])


def _rendered(source: _Source, there: Collection[str]) -> Dashboard:
    if isinstance(source.made, Board):
        board = source.made.within(there)
        title, text, asked = board.title, dashboards.render(board), dashboards.queries(board)
    else:
        board = None
        title, text, asked = str(source.made.get("title", "")), own.text(source.made), own.queries(source.made)
    return Dashboard(
        uid=source.uid,
        title=title,
        folder=source.folder,
        place=source.place,
        text=text,
        queries=asked,
        board=board,
    )


def _lacking(made: Made, running: Collection[str]) -> frozenset[str]:
    return made.needs - {*running} if isinstance(made, Board) else frozenset()


def _left_out(made: Made, running: Collection[str]) -> list[LeftOut]:
    """A line for the dashboard, or for those of its panels and links that lack the same components."""
    if not isinstance(made, Board):
        return []
    if lacking := _lacking(made, running):
        return [LeftOut(what=f"dashboards/{made.uid}", because=_because(lacking))]
    titles: dict[frozenset[str], dict[str, None]] = {}
    for title, needs in _parts(made, running):
        if lacking := needs - {*running}:
            titles.setdefault(lacking, {})[title] = None
    return [
        LeftOut(what=f"dashboards/{made.uid} ({', '.join(those)})", because=_because(lacking))
        for lacking, those in titles.items()
    ]


def _parts(board: Board, running: Collection[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """What a dashboard has to show: its panels, its links, and those of the panels that are there."""
    yield from ((panel.title, panel.needs) for panel in board.panels if panel.kind != "row")
    links = [*board.links, *(link for panel in board.panels if panel.needs <= {*running} for link in panel.links)]
    yield from ((f"link {link.title}", link.needs) for link in links)


def _because(lacking: Collection[str]) -> str:
    return f"needs {', '.join(sorted(lacking))}, which this environment does not run"
