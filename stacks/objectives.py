"""The objectives of an environment: those of the profiles, and those of the files that its settings name."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from apps import Profile
from rules import RuleFile, objectives, sloth
from rules.objectives import Slo
from stacks.jobs import LeftOut
from stacks.settings import Settings
from stacks.strict import Refused
from stacks.units import seconds


def of_systems(settings: Settings, profiles: Sequence[Profile], root: Path) -> tuple[Slo, ...]:
    """By system, as the profiles come; files are below `root`. Refused if two of a system have one name."""
    found: list[Slo] = []
    for profile in profiles:
        slos = [objectives.declared(profile.system, objective) for objective in profile.objectives]
        for path in settings.systems[profile.system].objectives:
            slos += sloth.objectives(root / path, path, profile.system)
        names = [slo.name for slo in slos]
        if twice := next((name for name in names if names.count(name) > 1), None):
            where = f"watchstack:systems.{profile.system}.objectives"
            raise Refused(f"{where}: two objectives are called {twice!r}; their series could not be told apart")
        found += slos
    return tuple(found)


def files(settings: Settings, slos: Sequence[Slo]) -> list[RuleFile]:
    """A rule file for each system that has objectives."""
    systems = groupby(slos, key=lambda slo: slo.system)
    return [objectives.file(system, list(own), settings.override) for system, own in systems]


def in_vain(settings: Settings, slos: Sequence[Slo]) -> list[LeftOut]:
    """What objectives ask for and do not get."""
    kept = settings.prometheus.retention
    because = f"watchstack:prometheus.retention is {kept}, and the error budget counts what is kept"
    short = [slo for slo in slos if seconds(slo.window) > seconds(kept)]
    found = [LeftOut(what=f"objective {slo.name} over {slo.window}", because=because) for slo in short]
    return found + [
        LeftOut(what=f"alert {alert.name} of {slo.name}", because="its burn rates would need more than 100 % errors")
        for slo in slos
        for alert in slo.alerts
        if not alert.pairs
    ]
