"""Cases beside the profiles: what Alertmanager's own packages must say of alerts, of one system alone."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field

from apps import Profile
from checks.program import answer
from stacks import routing
from stacks.names import Label
from stacks.routing import Reach
from stacks.service import to_yaml
from stacks.strict import Refused, Strict, in_file, load, nearest

DIRECTORY = Path(__file__).resolve().parents[1] / "apps" / "tests"

# Where receivers are reached decides nothing here.
_ANYWHERE = Reach(services={}, generated=frozenset(), given=frozenset(), email=None, heartbeat=False, capture=None)

Labels = Mapping[str, str]


def _with_zone(text: str) -> str:
    with suppress(ValueError):
        if (at := datetime.fromisoformat(text)).tzinfo is not None:
            return at.isoformat()
    raise ValueError("a time has a date and a zone: 2026-01-31T22:30:00Z")


@dataclass(frozen=True, kw_only=True)
class Question:
    """Where does an alert with these labels go, at a time, while others fire?"""

    labels: Labels
    at: str | None = None
    firing: Sequence[Labels] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The routes by position, their receivers, those of them that are muted, and the rules that inhibit the alert."""

    paths: tuple[tuple[int, ...], ...]
    receivers: tuple[str, ...]
    muted: tuple[str, ...]
    inhibited_by: tuple[str, ...]


class Case(Strict):
    """An alert, and all that must come of it. `firing` are the other alerts that fire at that time."""

    labels: dict[Label, str]
    at: Annotated[str, AfterValidator(_with_zone)] | None = None
    firing: tuple[dict[Label, str], ...] = ()
    receivers: tuple[str, ...]
    muted: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


class Cases(Strict):
    cases: tuple[Case, ...] = Field(min_length=1)


def ask(config: Path, questions: Sequence[Question]) -> list[Answer]:
    """What Alertmanager's packages answer, of a configuration file. Refused if they cannot use it."""
    asked = [{"labels": each.labels, "at": each.at, "firing": list(each.firing)} for each in questions]
    return [
        Answer(
            paths=tuple(tuple(route["path"]) for route in found["routes"]),
            receivers=tuple(route["receiver"] for route in found["routes"]),
            muted=tuple(route["receiver"] for route in found["routes"] if route["muted_by"]),
            inhibited_by=tuple(each["rule"] for each in found["inhibited_by"]),
        )
        for found in json.loads(answer("alertroutes", str(config), question=json.dumps(asked)))
    ]


def ask_of(profiles: Sequence[Profile], questions: Sequence[Question]) -> list[Answer]:
    """The same, of an environment that watches these systems."""
    with tempfile.TemporaryDirectory(prefix="watchstack-") as directory:
        config = Path(directory) / "alertmanager.yml"
        config.write_text(to_yaml(routing.config(profiles, _ANYWHERE)))
        return ask(config, questions)


def file_of(system: str) -> Path:
    return DIRECTORY / f"{system}.routing.yaml"


def failures(profile: Profile, file: Path) -> list[str]:
    """One line for each case of the file that does not come as it says. Refused if the file cannot be used."""
    where = in_file(f"apps/tests/{file.name}", file)
    cases = load(Cases, yaml.load(file.read_text(), Loader=yaml.CSafeLoader), where).cases
    questions = [Question(labels=case.labels, at=case.at, firing=case.firing) for case in cases]
    answers = ask_of([profile], questions)
    return [
        f"{where(('cases', i))}: {problem}"
        for i, (case, found) in enumerate(zip(cases, answers, strict=True))
        for problem in _differences(profile, case, found)
    ]


def _differences(profile: Profile, case: Case, found: Answer) -> list[str]:
    names = _names(profile)
    problems = []
    for key, known in names.items():
        wanted, got = getattr(case, key), getattr(found, key)
        if wanted != got:
            strange = next((f"; {name!r}: {nearest(name, known)}" for name in wanted if name not in known), "")
            problems.append(f"expected {key} {_list(wanted)}, got {_list(got)}{strange}")
    return problems


def _names(profile: Profile) -> dict[str, list[str]]:
    made = routing.config([profile], _ANYWHERE)
    receivers, rules = made["receivers"], made["inhibit_rules"]
    if not isinstance(receivers, list) or not isinstance(rules, list):
        raise TypeError("Alertmanager's configuration has lists of receivers and inhibitions")
    told = [each["name"] for each in receivers]
    return {"receivers": told, "muted": told, "inhibited_by": [each["name"] for each in rules]}


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(names)}]"


def demand_cases(file: Path) -> None:
    """Refused where a profile has no cases."""
    if not file.is_file():
        raise Refused(f"apps/tests/{file.name}: no such file; the routing of a profile has cases")
